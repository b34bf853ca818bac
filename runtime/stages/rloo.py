"""Reinforcement learning against a verifier by RLOO (arXiv 2402.14740), with TRL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trl import RLOOConfig, RLOOTrainer

from exc.runtime.context import JobContext
from exc.runtime.stages.judging import Judge, load_judge
from exc.runtime.stages.rollouts import SampledTrainer, rollout_arguments, run_rollouts
from exc.runtime.stages.trlconfig import build_config
from exc.runtime.stages.tuning import load_reference, save_reference


def run(ctx: JobContext, judging: Callable[..., Judge] = load_judge) -> None:
    """Train the model to complete prompts in ways that the verifier accepts. Steps are rollouts.

    Counts, for N parameters outside the embeddings and T tokens of prompts and completions in a rollout:
    2 N T to sample, 2 N T for the log-probabilities at sampling time, 6 N T to train, 2 N T for the reference
    model (beta above zero). Samples are completions. Metrics hold the last rollout's reward and the last
    step's loss.
    Raises JobFailed("config" | "data" | "verifier" | "diverged" | "disk" | "out-of-memory").
    """
    run_rollouts(ctx, LeaveOneOutTrainer, judging)


class LeaveOneOutTrainer(SampledTrainer, RLOOTrainer):
    """TRL's trainer with prompts in a resumable order, stop strings, and a count of what it consumes."""

    @staticmethod
    def make_arguments(config: Mapping[str, Any], scratch: Path) -> RLOOConfig:
        """Build TRL's configuration from the job's. Raises JobFailed("config")."""
        return build_config(RLOOConfig, config["args"], rollout_arguments(config, scratch))

    @property
    def passes(self) -> float:
        return 2.0 + 2.0 + 6.0 + 2.0 * (self.beta != 0.0)

    def _generate_single_turn(self, prompt_ids: Any, images: Any, multimodal_fields: Any) -> list[list[int]]:
        with self.stopping():
            completions = super()._generate_single_turn(  # type: ignore[no-untyped-call]
                prompt_ids, images, multimodal_fields
            )
        return self.cut_and_count(prompt_ids, completions)[0]

    def _save_extras(self, folder: Path) -> None:
        save_reference(self, folder)

    def _load_extras(self, folder: Path) -> None:
        load_reference(self, folder)
