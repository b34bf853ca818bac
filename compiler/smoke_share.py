"""What one of several processes does of a job: a smoke run is one process, with the memory of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.batch import grpo_batch
from exc.spec.paired import SIDES


def one_share(config: Mapping[str, Any], world: int) -> Mapping[str, Any]:
    """A training job's config with the batch or the rollout that one of `world` processes has of it."""
    if world == 1:
        return config
    if "prompts_per_rollout" in config:
        return _rollout_share(config, world)
    if "batch_size" in config:
        return {**config, "batch_size": config["batch_size"] // world}
    return {**config, **{side: one_share(config[side], world) for side in SIDES if side in config}}


def _rollout_share(config: Mapping[str, Any], world: int) -> Mapping[str, Any]:
    """At least the share, in whole prompts that the updates can divide."""
    num_generations, updates = config["num_generations"], config["updates_per_rollout"]
    prompts = -(-config["prompts_per_rollout"] // world)
    while num_generations * prompts % updates:
        prompts += 1
    try:
        derived = grpo_batch(num_generations, prompts, updates, config.get("micro_batch_size"), 1)
    except ValueError:  # micro-batches that divide all shares together, and not one rounded up
        return config
    return {**config, "prompts_per_rollout": prompts, "derived": derived}
