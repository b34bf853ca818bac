"""What pre-training from a model takes over from the last pre-training in that model's ancestry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exc.compiler.data_graph import depends_on
from exc.compiler.learning_rate import make_schedule
from exc.compiler.points import Point, last_pretrainings, last_step, pretraining, pretraining_seed, starts
from exc.compiler.trunks import lr_config
from exc.compiler.world import World
from exc.spec.references import BASE
from exc.spec.trunks import Pretrain

Part = Literal["optimizer", "data_position", "schedule"]
PARTS: tuple[Part, ...] = ("optimizer", "data_position", "schedule")
_SAME_RATE = 1e-6  # relative; beyond rounding of a length in tokens to steps, it is another schedule


@dataclass(frozen=True, slots=True)
class Continuation:
    """Where a run begins. The defaults are those of a run that takes over nothing."""

    lr: dict[str, Any]  # as `make_schedule` reads it
    start_step: int = 0  # the learning rate of the run's step s is that of step start_step + s
    start_row: int = 0  # sequences of the mixture that were read before
    data_seed: int | None = None  # of the mixture's order, where it is not the run's own
    optimizer: Point | None = None  # whose moments it goes on with


class ContinuesError(Exception):
    """What cannot be continued, and why."""

    def __init__(self, part: Part, message: str, hint: str | None = None, code: str = "continues") -> None:
        super().__init__(message)
        self.part, self.message, self.hint, self.code = part, message, hint, code


def continuation(world: World, run: Pretrain, start: Point | None) -> Continuation:
    """Where a run begins that starts from a model, or from scratch. Raises ContinuesError."""
    parts = {part: _PARTS[part](world, run, start) for part in PARTS if _continues(run, part, start)}
    lr = parts["schedule"][0] if "schedule" in parts else lr_config(run)
    start_step = parts["schedule"][1] if "schedule" in parts else 0
    start_row, data_seed = parts.get("data_position", (0, None))
    return Continuation(lr, start_step, start_row, data_seed, parts.get("optimizer"))


def _continues(run: Pretrain, part: Part, start: Point | None) -> bool:
    return start is not None and getattr(run.continues, part) == "continue"


def _parent(world: World, start: Point, part: Part) -> tuple[Point, Pretrain, int]:
    """The pre-training that is continued, and how many of its steps were done."""
    found = last_pretrainings(world, start)
    if not found:
        raise ContinuesError(part, "no pre-training stands in the ancestry of the model that it starts from")
    if len(found) > 1:
        names = " and ".join(f"`{name_of(world, each)}` at {last_step(world, each)}" for each in found)
        message = f"the model that it starts from is merged from several runs: {names}"
        raise ContinuesError(part, message, "none of them is the one to continue; set this to `fresh`")
    run, step = pretraining(world, found[0]), last_step(world, found[0])
    assert run is not None
    if step is None:
        message = f"which step of `{name_of(world, found[0])}` it starts from is only chosen when it runs"
        raise ContinuesError(part, message, "name a step, or set this to `fresh`")
    return found[0], run, step


def run_before(world: World, point: Point) -> Continuation:
    """Where the pre-training began that made a model. Raises ContinuesError."""
    run, before = pretraining(world, point), starts(world, point)
    assert run is not None
    made: Continuation = world.once(
        ("continuation", point.branch, point.index),
        lambda: continuation(world, run, before[0] if before else None),
    )
    return made


def _optimizer(world: World, run: Pretrain, start: Point | None) -> Point:  # noqa: ARG001
    assert start is not None
    return _parent(world, start, "optimizer")[0]


def _position(world: World, run: Pretrain, start: Point | None) -> tuple[int, int | None]:
    """How many sequences were read, and the seed of the order that they came in."""
    assert start is not None
    where: Part = "data_position"
    point, before, step = _parent(world, start, where)
    name = name_of(world, point)
    if run.data != before.data:
        message = f"its mixture is not that of `{name}`, so there is no place in it to go on from"
        raise ContinuesError(where, message, "give both the same `data`, or set this to `fresh`")
    if run.sequence_length != before.sequence_length:
        message = f"`sequence_length` {run.sequence_length} is not the {before.sequence_length} of `{name}`"
        raise ContinuesError(where, message, "the sequences of one are not those of the other")
    for source in run.data:
        if depends_on(world.spec, source):
            message = f"`{source}` is made anew for each reader, so there is no place in it to go on from"
            raise ContinuesError(where, message)
    began = run_before(world, point)
    seed = began.data_seed if began.data_seed is not None else pretraining_seed(world, point)
    return began.start_row + step * before.batch_size, seed


def _schedule(world: World, run: Pretrain, start: Point | None) -> tuple[dict[str, Any], int]:
    """The learning rate counted from the very start, and how many of its steps were done."""
    assert start is not None
    where: Part = "schedule"
    point, before, step = _parent(world, start, where)
    name = name_of(world, point)
    if run.tokens_per_step != before.tokens_per_step:
        message = f"a step has {run.tokens_per_step} tokens here, and {before.tokens_per_step} in `{name}`"
        raise ContinuesError(where, message, "the learning rate goes on by steps, which must be equally long")
    began = run_before(world, point)
    done = began.start_step + step
    has_end = began.lr["shape"] != "constant"
    total = began.lr["total_steps"] if has_end else done + run.total_steps
    if done + run.total_steps > total:
        message = f"it ends at step {done + run.total_steps}, and the learning rate of `{name}` at {total}"
        hint = f"{_left(total - done)} of it; `tokens` of the first run says how long it is"
        raise ContinuesError(where, message, hint, "past-end")
    lr = {**lr_config(run), "total_steps": total}
    try:
        now, then = lr["peak"] * make_schedule(lr)(done), began.lr["peak"] * make_schedule(began.lr)(done)
    except ValueError as error:
        raise ContinuesError(where, str(error)) from None
    if abs(now - then) > _SAME_RATE * max(now, then):
        message = f"the learning rate would jump from {then:.4g} to {now:.4g} at step {done}"
        raise ContinuesError(where, message, f"write the `schedule` of `{name}`, or set this to `fresh`")
    return lr, done


def _left(steps: int) -> str:
    return "nothing is left" if steps <= 0 else f"{steps} steps are left"


_PARTS: Mapping[Part, Callable[[World, Pretrain, Point | None], Any]] = {
    "optimizer": _optimizer,
    "data_position": _position,
    "schedule": _schedule,
}


def name_of(world: World, point: Point) -> str:
    """What to call the run that made a model."""
    branch = point.branch
    if branch.recipe == BASE:
        return branch.trunk
    return f"{branch.recipe}.{world.spec.recipes[branch.recipe][point.index].name}"
