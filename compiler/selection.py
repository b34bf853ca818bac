"""Which branches there are: what the spec selects, how often each is repeated, and with which seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from exc.compiler.ladder import Ladder, ladder_of
from exc.compiler.schedules import ScheduleError, resolve
from exc.compiler.seeds import replicate_seed
from exc.compiler.trunks import checkpoint_steps, tokens_at, total_steps
from exc.compiler.world import World
from exc.spec.experiment import Branches
from exc.spec.references import At, FractionBetween, Selector, StepsBetween, TokensBetween
from exc.spec.schedule import Schedule

BETWEEN = StepsBetween | TokensBetween | FractionBetween


@dataclass(frozen=True, slots=True)
class Branch:
    """A recipe on one checkpoint with one replicate."""

    trunk: str
    at: int
    recipe: str
    replicate: int


def planned_branches(world: World) -> Iterator[Branch]:
    """The branches that the spec asks for, in its order; each once."""
    for trunk in world.spec.trunks:
        for at in checkpoint_steps(world, trunk):
            for recipe in world.spec.recipes:
                if is_planned(world, trunk, at, recipe):
                    for replicate in range(num_replicates(world, trunk, at, recipe)):
                        yield Branch(trunk, at, recipe, replicate)


def is_planned(world: World, trunk: str, at: int, recipe: str) -> bool:
    """Whether the spec applies the recipe to the checkpoint."""
    if world.spec.branches is None:
        return True
    return any(on_branch(world, entry, trunk, at, recipe) for entry in world.spec.branches)


def selects(world: World, on: Selector, trunk: str, at: int, recipe: str, replicate: int) -> bool:
    """Whether a selector takes in a branch, its snapshot aside."""
    return (on.replicates is None or replicate in on.replicates) and on_branch(world, on, trunk, at, recipe)


def on_branch(world: World, on: Selector | Branches, trunk: str, at: int, recipe: str) -> bool:
    """Whether a selector, or an entry of `branches`, takes in a recipe at a checkpoint."""
    return (
        (on.trunks is None or trunk in on.trunks)
        and (on.recipes is None or recipe in on.recipes)
        and (on.at is None or is_at(world, on.at, trunk, at))
    )


def is_at(world: World, at: At, trunk: str, step: int) -> bool:
    """Whether a step of a trunk is among the checkpoints that `at` means."""
    return step in world.once(("at", id(at), trunk), lambda: selected_steps(world, at, trunk))


def selected_steps(world: World, at: At, trunk: str) -> frozenset[int]:
    """The trunk's checkpoints that `at` means; none for what does not fit this trunk."""
    total = total_steps(world, trunk)
    ladder = ladder_of(world, trunk)
    per_step = Fraction(tokens_at(world, trunk, total), total)
    steps = checkpoint_steps(world, trunk)
    found: set[int] = set()
    for name, per_unit in (
        ("steps", Fraction(1)),
        ("tokens", per_step),
        ("fraction", Fraction(1, total)),
    ):
        part = getattr(at, name)
        if not per_unit:  # of a published model nobody says how many tokens it has seen
            continue
        if isinstance(part, BETWEEN) and name == "tokens":
            found |= {step for step in steps if _is_within(part, Fraction(tokens_at(world, trunk, step)))}
        elif isinstance(part, BETWEEN):
            found |= {step for step in steps if _is_within(part, step * per_unit)}
        elif part is not None:
            for value in [(point,) for point in part] if isinstance(part, tuple) else [part]:
                single = Schedule().model_copy(update={name: value, "snap": at.snap})
                found |= _resolved(single, total, per_step, ladder)
    if at.every is not None:
        found |= {step for step in steps if step % at.every == 0}
    ends = {"first": steps[0], "last": steps[-1]} if steps else {}
    found |= {ends.get(item, 0) if isinstance(item, str) else item for item in at.include}
    return frozenset(found & set(steps))


def _is_within(part: StepsBetween | TokensBetween | FractionBetween, value: Fraction) -> bool:
    start = Fraction(str(part.start)) if part.start is not None else None
    stop = Fraction(str(part.stop)) if part.stop is not None else None
    return (start is None or start <= value) and (stop is None or value <= stop)


def _resolved(schedule: Schedule, total: int, per_step: Fraction, ladder: Ladder | None) -> set[int]:
    """The steps of a schedule; none of one that does not fit the run, as trunks differ in length."""
    try:
        found = resolve(schedule, total, per_step) if ladder is None else ladder.resolve(schedule)
        return {step for _, step in found.steps}
    except ScheduleError:
        return set()


def num_replicates(world: World, trunk: str, at: int, recipe: str) -> int:
    seeds = _pinned(world, trunk, at, recipe)
    entry = _replicates_entry(world, trunk, at, recipe)
    return len(seeds) if seeds else (entry.num or 1) if entry else 1


def seed_of(world: World, branch: Branch) -> int:
    """The seed of all that draws in a branch."""
    pinned = _pinned(world, branch.trunk, branch.at, branch.recipe)
    return pinned[branch.replicate] if pinned else replicate_seed(world.spec.seed, branch.replicate)


def _replicates_entry(world: World, trunk: str, at: int, recipe: str) -> Any:
    key = ("replicates", trunk, at, recipe)
    if key not in world.memo:
        matching = [entry for entry in world.spec.replicates if on_branch(world, entry.on, trunk, at, recipe)]
        world.memo[key] = matching[-1] if matching else None
    return world.memo[key]


def _pinned(world: World, trunk: str, at: int, recipe: str) -> tuple[int, ...]:
    entry = _replicates_entry(world, trunk, at, recipe)
    return entry.seeds or () if entry else ()
