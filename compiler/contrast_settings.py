"""What the two models of a contrast were made with: the settings of the stages in their ancestry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exc.compiler.points import Point, last_step, starts
from exc.compiler.world import World
from exc.spec.arg_roles import role
from exc.spec.args import resolve_args
from exc.spec.check_paired import OF_THE_OPTIMIZER
from exc.spec.data import Task
from exc.spec.paired import LENGTHS, SIDES, Combined, Interleave, Paired
from exc.spec.presets import with_loss
from exc.spec.recipes import OnTask, Rollouts
from exc.spec.references import BASE

_HIDDEN = frozenset({"args", "keep", "loss"})  # a loss is the `args` that it stands for
# Of a task, what of it reaches the stages that train on it; what is only asked in evaluations does not.
_OF_TASK = ("prompt", "verifier", "rewards", "stop")
# Of a stage with two sides, what it says of how they go together; of two kinds of them it is not the same.
_TOGETHER = ("weights", "sync_every", "rl_steps", "sft_steps")


@dataclass(frozen=True, slots=True)
class Trained:
    """A stage in the ancestry of a model, or a side of one: what it is like, and how far it was trained."""

    place: tuple[str, int]
    of: str  # the kind of the stage
    side: str  # "" where the stage has no sides
    kind: str  # of the trainer: grpo, sft, ...
    settings: Mapping[str, Any]
    length: int | None  # None where that is chosen
    measure: str  # what the length is called: rollouts or max_steps


def ancestry(world: World, point: Point) -> dict[str, list[Trained]]:
    """The stages on tasks in the ancestry of a model, itself included, by trainer; the latest first."""
    found: dict[str, list[Trained]] = {}
    waiting, seen = [point], {point}
    while waiting:
        each = waiting.pop(0)
        if each.branch.recipe == BASE:
            continue
        for stage in _trained(world, each):
            found.setdefault(stage.kind, []).append(stage)
        for start in starts(world, each):
            if start not in seen:
                seen.add(start)
                waiting.append(start)
    return found


def _trained(world: World, point: Point) -> list[Trained]:
    stage = world.spec.recipes[point.branch.recipe][point.index]
    body, place = stage.body, (point.branch.recipe, point.index)
    length = last_step(world, point)
    if isinstance(body, Paired):
        return [
            Trained(
                place,
                stage.kind,
                side,
                kind,
                _side_settings(world, body, side),
                _length_of_side(body, side, length),
                LENGTHS[side],
            )
            for side, kind in SIDES.items()
        ]
    if isinstance(body, OnTask):
        measure = "rollouts" if isinstance(body, Rollouts) else "max_steps"
        settings = _settings(world, stage.kind, body)
        return [Trained(place, stage.kind, "", stage.kind, settings, length, measure)]
    return []


def _side_settings(world: World, body: Paired, side: str) -> dict[str, Any]:
    """What one side says, and what the stage says for both; how they go together is told with rl."""
    settings = _settings(world, SIDES[side], getattr(body, side))
    own = body.model_dump(mode="json", include={"lora", *(_TOGETHER if side == "rl" else ())})
    if isinstance(body, Combined) and side == "sft":  # which has no optimizer
        settings = {name: value for name, value in settings.items() if name not in OF_THE_OPTIMIZER}
    return settings | own


def _length_of_side(body: Paired, side: str, length: int | None) -> int | None:
    if length is None or not isinstance(body, Interleave):
        return length
    return length * (body.rl_steps if side == "rl" else body.sft_steps)


def _settings(world: World, kind: str, body: Any) -> dict[str, Any]:
    """Everything that a stage says but its length: its own keys, its task, and every field of `args`."""
    own = body.model_dump(mode="json", exclude=_HIDDEN | {"rollouts", "max_steps", "task", "split"})
    full = resolve_args(kind, with_loss(getattr(body, "loss", None), body.args))
    results = {field: value for field, value in full.items() if role(kind, field) == "result"}
    task = world.spec.tasks[body.task]
    return {**own, **results, **_task_settings(body.task, body.split, task)}


def _task_settings(name: str, split: str, task: Task) -> dict[str, Any]:
    """A task by what it is, not by its name: two tasks over the same rows with the same words are one."""
    rows = task.splits.get(split)
    said = {field: getattr(task, field) for field in _OF_TASK}
    return {"task": name, "split": split, "_task": (said, rows)}


def differences(first: Sequence[Trained], second: Sequence[Trained]) -> dict[str, tuple[Any, Any]]:
    """Setting -> its two values, of those that the last stages of two ancestries both have and that differ.

    Lengths are those of all stages of the kind together, so that ten rounds of 20 are as long as one of 200.
    """
    found: dict[str, tuple[Any, Any]] = {}
    totals = [_total(stages) for stages in (first, second)]
    if None not in totals and totals[0] != totals[1]:
        found[first[0].measure] = (totals[0], totals[1])
    one, other = dict(first[0].settings), dict(second[0].settings)
    if one.pop("_task") == other.pop("_task"):
        for field in ("task", "split"):
            del one[field], other[field]
    if first[0].of != second[0].of:
        one = {field: value for field, value in one.items() if field not in _TOGETHER}
    if first[0].side == second[0].side == "sft":
        one.pop("lora")  # told with rl
    found |= {
        field: (value, other[field])
        for field, value in one.items()
        if field in other and value != other[field]
    }
    return found


def _total(stages: Sequence[Trained]) -> int | None:
    lengths = [stage.length for stage in stages]
    return None if None in lengths else sum(length for length in lengths if length is not None)
