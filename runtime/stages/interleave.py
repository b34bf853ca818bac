"""Reinforcement and supervised fine-tuning in turn, each with an optimizer of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exc.runtime.context import JobContext
from exc.runtime.stages.judging import Judge, load_judge
from exc.runtime.stages.paired import Pace, PairedTrainer, run_paired


def run(ctx: JobContext, judging: Callable[..., Judge] = load_judge) -> None:
    """Train in rounds of `sft_steps` steps on demonstrations, then `rl_steps` on rollouts. Steps are rounds.

    Each side keeps its optimizer's state from round to round, and its schedule counts its own steps. State is
    saved at whole rounds. Counts, metrics and failures are those of `run_paired`; metrics of the
    demonstrations are means over the steps of a round.
    """
    config = ctx.config
    run_paired(
        ctx, judging, InterleaveTrainer, Pace(config["rounds"], config["rl_steps"], config["sft_steps"])
    )


class InterleaveTrainer(PairedTrainer):
    """Trainer counts the steps of reinforcement; those of fine-tuning come before the first of a round."""

    def before_step(self) -> None:
        rounds, inside = divmod(self.state.global_step, self.pace.rl)
        if inside:
            return
        model: Any = self.model_wrapped
        model.train()
        for step in range(rounds * self.pace.sft, (rounds + 1) * self.pace.sft):
            self.differentiate(model, step)
            self.step_stream()
            self.take_gradients()
