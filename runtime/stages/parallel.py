"""Reinforcement and supervised fine-tuning side by side, their models averaged (arXiv 2606.04272)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from exc.runtime.context import JobContext
from exc.runtime.stages.judging import Judge, load_judge
from exc.runtime.stages.paired import Pace, PairedTrainer, run_paired
from exc.runtime.stages.stream import Stream


def run(ctx: JobContext, judging: Callable[..., Judge] = load_judge) -> None:
    """Train by both sides at once. Steps are optimizer steps of each side, and rollouts.

    A step takes both gradients at the same weights, each of its own loss, clipped on its own; each side's
    optimizer makes weights of them, and what goes on is the weighted mean of the two. With `sync_every` n
    each side goes on from its own weights, and every n-th step ends in the mean. Counts, metrics and failures
    are those of `run_paired`; `loss` and its like are of the rollouts, `sft_loss` and its like of the
    demonstrations.
    """
    run_paired(ctx, judging, ParallelTrainer, Pace(ctx.config["max_steps"]))


class ParallelTrainer(PairedTrainer):
    """The model's weights are those of reinforcement; those of the other side are held beside them.

    They are there from the stream's update to the next mean: for a moment where every step ends in one.
    """

    weights: tuple[float, float]  # of the means: reinforcement, fine-tuning
    sync_every: int
    _others: list[Any] | None = None  # the weights of the supervised side, where the two are apart

    def join(self, stream: Stream, pace: Pace, config: Mapping[str, Any]) -> None:
        super().join(stream, pace, config)
        self.weights, self.sync_every = tuple(config["weights"]), config["sync_every"]

    def at_gradients(self, model: Any) -> None:
        """Take the step of the supervised side; weights and gradients are afterwards as they were before."""
        gradients = self.take_gradients()
        if self._others is not None:
            self._exchange()
        self.differentiate(model, self.state.global_step)
        if self._others is None:
            self._others = [parameter.data.clone() for parameter in self.trained]
            self._exchange()
        self.step_stream()
        self._exchange()
        self.give_gradients(gradients)

    def after_step(self) -> None:
        """End a step in the mean, where it is one that does."""
        if (self.state.global_step + 1) % self.sync_every:
            return
        assert self._others is not None
        of_rl, of_sft = self.weights
        for parameter, other in zip(self.trained, self._others, strict=True):
            # With the weights 1 and 0, in either order, these are the weights of one side to the last bit.
            torch.add(other.mul_(of_sft), parameter.data, alpha=of_rl, out=parameter.data)
        self._others = None

    def _exchange(self) -> None:
        """Change the model's weights for those held beside it."""
        assert self._others is not None
        for index, parameter in enumerate(self.trained):
            parameter.data, self._others[index] = self._others[index], parameter.data

    def own_state(self) -> dict[str, Any]:
        return {} if self._others is None else {"others": self._others}

    def load_own(self, state: Mapping[str, Any]) -> None:
        if (others := state.get("others")) is not None:
            pairs = zip(others, self.trained, strict=True)
            self._others = [other.to(parameter.device) for other, parameter in pairs]
