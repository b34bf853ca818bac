"""Checks of single steps: what is asked of a trunk or a stage must be kept there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from exc.compiler.scope import Place, Scope
from exc.compiler.trunks import total_steps
from exc.spec.diagnostics import MAX_LISTED
from exc.spec.experiment import Path
from exc.spec.recipes import Trained
from exc.spec.references import BASE, BestStep, ModelRef, Selector
from exc.spec.words import listed

N = TypeVar("N", int, float)

_TRUNK: Place = ("", -1)  # in place of the stage that reads, where a trunk does


def check_steps(scope: Scope) -> None:
    for path, reader, ref in scope.references():
        _check_step(scope, path, reader, ref)
        if isinstance(ref.at, int):
            check_at(scope, (*path, "at"), ref.at, _trunks_of(scope, reader, ref))
    for path, ref in scope.trunk_starts():
        _check_step(scope, path, _TRUNK, ref)
        if isinstance(ref.at, int):
            check_at(scope, (*path, "at"), ref.at, _trunks_of(scope, _TRUNK, ref))
    for name, evaluation in scope.spec.evaluations.items():
        _check_selected_steps(scope, ("evaluations", name, "on", "step"), evaluation.on)


def _trunks_of(scope: Scope, reader: Place | None, ref: ModelRef) -> Iterable[str]:
    """The trunks on which a reference is read, if it names none."""
    if ref.trunk is not None:
        return [ref.trunk]
    if reader is None:
        return scope.spec.trunks
    return dict.fromkeys(trunk for trunk, _, recipe in scope.planned if recipe == reader[0])


def check_at(scope: Scope, path: Path, at: int, trunks: Iterable[str]) -> None:
    """A checkpoint must be one of at least one of the trunks; a trunk that is itself at fault may have it."""
    names = [name for name in trunks if name in scope.draft.spec.trunks]
    if not names or any(name not in scope.steps or at in scope.steps[name] for name in names):
        return
    world = scope.world()
    ends = {name: total_steps(world, name) for name in names}
    if at > max(ends.values()):
        longest = max(ends, key=lambda name: ends[name])
        message = f"step {at} lies past the end of the trunk `{longest}`: its last step is {ends[longest]}"
        scope.error("past-end", message, path)
        return
    steps = {step for name in names for step in scope.steps[name]}
    whose = f"the trunk `{names[0]}`" if len(names) == 1 else "any of the trunks"
    scope.error(
        "off-schedule", f"step {at} is no checkpoint of {whose}", path, choices(steps), _near(at, steps)
    )


def _check_step(scope: Scope, path: Path, reader: Place | None, ref: ModelRef) -> None:
    """A stage that reads a step makes it be kept; a contrast only compares what is measured."""
    place = scope.target(ref)
    if place is not None and isinstance(ref.step, BestStep) and len(scope.kept.get(place, ())) == 1:
        message = f"{_name(scope, place)} keeps its last step alone, so there is nothing to choose"
        hint = "say there which steps are kept, such as `keep: {every: 10}`"
        scope.error("bad-value", message, (*path, "step", "best"), hint=hint, key=True)
    if place is None or not isinstance(ref.step, int):
        return
    body = scope.stage(place).body
    if not isinstance(body, Trained):
        return
    horizon = body.horizon
    where = (*path, "step")
    if ref.step > horizon:
        scope.error(
            "past-end",
            f"step {ref.step} lies past the end of {_name(scope, place)}: its last is {horizon}",
            where,
        )
    elif reader is None and place in scope.kept:
        steps = set(scope.kept[place]) | _used(scope, place)
        if ref.step not in steps:
            message = f"{_name(scope, place)} does not keep step {ref.step}"
            scope.error("off-schedule", message, where, choices(steps), _near(ref.step, steps))


def _used(scope: Scope, place: Place) -> set[int]:
    """The steps of a stage that other stages start from."""
    last = scope.kept.get(place, [0])[-1]
    refs = [ref for _, reader, ref in scope.references() if reader is not None]
    refs += [ref for _, ref in scope.trunk_starts()]
    return {
        ref.step
        for ref in refs
        if isinstance(ref.step, int) and ref.step <= last and scope.target(ref) == place
    }


def _check_selected_steps(scope: Scope, path: Path, on: Selector) -> None:
    """Each step that an evaluation lists must be kept by the last stage of a recipe that it selects."""
    if not isinstance(on.step, tuple):
        return
    recipes = scope.spec.recipes if on.recipes is None else on.recipes
    places = [(name, len(scope.spec.recipes[name]) - 1) for name in recipes if name in scope.spec.recipes]
    stepped = [place for place in places if isinstance(scope.stage(place).body, Trained)]
    if not stepped or len(places) < len([name for name in recipes if name != BASE]):
        return
    if any(place not in scope.kept for place in stepped):
        return
    steps = {step for place in stepped for step in {*scope.kept[place], *_used(scope, place)}}
    for index, step in enumerate(on.step):
        if step > max(steps):
            message = f"step {step} lies past the end of every selected recipe: the last is {max(steps)}"
            scope.error("past-end", message, (*path, index))
        elif step not in steps:
            message = f"no selected recipe keeps step {step}"
            scope.error("off-schedule", message, (*path, index), choices(steps), _near(step, steps))


def _name(scope: Scope, place: Place) -> str:
    return f"`{place[0]}.{scope.stage(place).name}`"


def choices(steps: Iterable[N], shown_as: Callable[[N], str] = str) -> str:
    """What may be chosen, for "expected": the first of many."""
    ordered = sorted(steps)
    shown = listed(map(shown_as, ordered), MAX_LISTED)
    return f"one of {shown}" if len(ordered) > 1 else shown


def _near(step: int, steps: Iterable[int]) -> str:
    return f"the nearest is {min(steps, key=lambda other: (abs(other - step), other))}"
