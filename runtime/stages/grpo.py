"""Reinforcement learning against a verifier by GRPO, with TRL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trl import GRPOConfig, GRPOTrainer

from exc.runtime.context import JobContext
from exc.runtime.stages.judging import Judge, load_judge
from exc.runtime.stages.rollouts import SampledTrainer, rollout_arguments, run_rollouts
from exc.runtime.stages.trlconfig import build_config
from exc.runtime.stages.tuning import load_reference, save_reference

_ENTROPY_STATE = "entropy_ctrl_state.json"  # the name under which TRL reads it back


def run(ctx: JobContext, judging: Callable[..., Judge] = load_judge) -> None:
    """Train the model to complete prompts in ways that the verifier accepts. Steps are rollouts.

    Counts, for N parameters outside the embeddings and T tokens of prompts and completions in a rollout:
    2 N T to sample, 6 N T to train, each completion once, 2 N T for the reference model (beta
    above zero), 2 N T for the log-probabilities at sampling time (more than one optimizer step a rollout, or
    another engine that sampled).
    Samples are completions. Metrics hold the last rollout's reward and the last step's loss.
    Raises JobFailed("config" | "data" | "verifier" | "diverged" | "disk" | "out-of-memory").
    """
    run_rollouts(ctx, RolloutTrainer, judging)


class RolloutTrainer(SampledTrainer, GRPOTrainer):
    """TRL's trainer with prompts in a resumable order, stop strings, and a count of what it consumes."""

    @staticmethod
    def make_arguments(config: Mapping[str, Any], scratch: Path) -> GRPOConfig:
        """Build TRL's configuration from the job's. Raises JobFailed("config")."""
        owned = {**rollout_arguments(config, scratch), "log_completions_hub_repo": None}  # talks to a hub
        return build_config(GRPOConfig, config["args"], owned)

    @property
    def passes(self) -> float:
        judged_again = self.run.updates_per_step > 1 or bool(self.use_vllm)
        return 2.0 + 6.0 + 2.0 * (self.beta != 0.0) + 2.0 * judged_again

    def _generate_single_turn(
        self,
        prompt_ids: Any,
        images: Any,
        multimodal_fields: Any,
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], Any]:
        with self.stopping():
            completions, logprobs = super()._generate_single_turn(  # type: ignore[no-untyped-call]
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        return self.cut_and_count(prompt_ids, completions, logprobs)

    def _save_extras(self, folder: Path) -> None:
        if self.use_adaptive_entropy:
            values = {"entropy_coef": self.entropy_coef, "last_world_entropy": self._last_world_entropy}
            (folder / _ENTROPY_STATE).write_text(json.dumps(values), encoding="utf-8")
        save_reference(self, folder)

    def _load_extras(self, folder: Path) -> None:
        load_reference(self, folder)
