"""Trunks: their checkpoints as steps, and their learning rates."""

from __future__ import annotations

from typing import Any

from exc.compiler.ladder import ladder_of
from exc.compiler.origins import trunk_parameters
from exc.compiler.schedules import Resolution, resolve
from exc.compiler.world import World
from exc.spec.schedule import Schedule
from exc.spec.trunks import Pretrain


def resolve_checkpoints(world: World, trunk: str) -> Resolution:
    """What a trunk's schedule asks for, and the steps of its own that it becomes.

    Raises ScheduleError, and UnknownSize where a schedule by parameters is of a model that cannot be counted.
    """
    spec = world.spec.trunks[trunk]
    if (ladder := ladder_of(world, trunk)) is not None:
        return ladder.resolve(spec.checkpoints or Schedule())
    if spec.checkpoints is None:
        return Resolution((("the model itself", spec.total_steps),))
    parameters = trunk_parameters(world, trunk) if spec.checkpoints.chinchilla is not None else None
    return resolve(spec.checkpoints, spec.total_steps, spec.tokens_per_step, parameters)


def total_steps(world: World, trunk: str) -> int:
    """The last step of a trunk; of published checkpoints the last that is there, or is asked for."""
    if (ladder := ladder_of(world, trunk)) is not None:
        return ladder.last or checkpoint_steps(world, trunk)[-1]
    return world.spec.trunks[trunk].total_steps


def tokens_at(world: World, trunk: str, step: int) -> int:
    """The tokens of its own that a trunk has seen at a step; 0 where nobody says how many."""
    if (ladder := ladder_of(world, trunk)) is not None:
        return ladder.at(step).tokens
    return world.spec.trunks[trunk].tokens_at(step)


def checkpoint_steps(world: World, trunk: str) -> list[int]:
    """The trunk's checkpoints in ascending order."""
    key = ("steps", trunk)
    if key not in world.memo:
        world.memo[key] = sorted({step for _, step in resolve_checkpoints(world, trunk).steps})
    steps: list[int] = world.memo[key]
    return steps


def checkpoint_at(world: World, trunk: str, at: int | str) -> int:
    """The step of a checkpoint that is named by its step, or as the `first` or the `last`."""
    return at if isinstance(at, int) else checkpoint_steps(world, trunk)[0 if at == "first" else -1]


def lr_config(pretrain: Pretrain) -> dict[str, Any]:
    """The learning rate with its lengths in steps, as `learning_rate.make_schedule` reads it."""
    per_step, schedule = pretrain.tokens_per_step, pretrain.schedule
    return {
        "shape": schedule.shape,
        "peak": schedule.peak,
        "warmup_steps": -(-schedule.warmup // per_step),
        "total_steps": pretrain.total_steps,
        "decay_steps": -(-(schedule.decay or 0) // per_step),
        "floor": schedule.floor,
    }
