"""Reinforcement and supervised fine-tuning as one loss: a weighted sum, one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exc.runtime.context import JobContext
from exc.runtime.stages.judging import Judge, load_judge
from exc.runtime.stages.paired import Pace, PairedTrainer, run_paired
from exc.runtime.stages.stream import Stream


def run(ctx: JobContext, judging: Callable[..., Judge] = load_judge) -> None:
    """Train on the weighted sum of both losses. Steps are optimizer steps, and rollouts.

    The optimizer, its schedule and its clipping are those of `rl`. Counts, metrics and failures are those of
    `run_paired`; `grad_norm` is of the sum, `sft_grad_norm` of the demonstrations' loss before its weight.
    """
    run_paired(ctx, judging, CombinedTrainer, Pace(ctx.config["max_steps"]))


class CombinedTrainer(PairedTrainer):
    """The stream gives its gradients, and takes no step."""

    weights: tuple[float, float]  # of the losses: reinforcement, fine-tuning

    def join(self, stream: Stream, pace: Pace, config: Mapping[str, Any]) -> None:
        super().join(stream, pace, config)
        self.weights = tuple(config["weights"])

    def at_gradients(self, model: Any) -> None:
        """Put the weighted sum of both gradients in place of those of reinforcement."""
        gradients = self.take_gradients()
        self.differentiate(model, self.state.global_step)
        self.report(sft_grad_norm=self.stream.norm(self.trained))
        of_rl, of_sft = self.weights
        for parameter, gradient in zip(self.trained, gradients, strict=True):
            if parameter.grad is not None:
                parameter.grad.mul_(of_sft)
            if gradient is not None and parameter.grad is not None:
                parameter.grad.add_(gradient, alpha=of_rl)
            elif gradient is not None:
                parameter.grad = gradient.mul_(of_rl)
