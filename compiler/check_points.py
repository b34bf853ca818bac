"""Checks of the `at` of selectors: single points must be checkpoints of some trunk, ranges must be ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exc.compiler.check_steps import check_at, choices
from exc.compiler.schedules import range_problem
from exc.compiler.scope import Scope
from exc.compiler.selection import BETWEEN, selected_steps
from exc.compiler.trunks import tokens_at, total_steps
from exc.compiler.world import World
from exc.spec.experiment import Path
from exc.spec.references import At
from exc.spec.units import format_tokens


def check_points(scope: Scope) -> None:
    for path, at, trunks in _selectors(scope):
        if at is None:
            continue
        if at == At(snap=at.snap):
            scope.error(
                "missing-key", "`at` names no checkpoint", path, "steps, such as `[1000, 2000]`", key=True
            )
        names = [name for name in trunks or scope.spec.trunks if name in scope.draft.spec.trunks]
        points = {"steps": at.steps if isinstance(at.steps, tuple) else (), "include": at.include}
        for key, given in points.items():
            for number, point in enumerate(given):
                if isinstance(point, int):
                    check_at(scope, (*path, key, number), point, names)
        for key in ("steps", "tokens", "fraction"):
            _check_range(scope, path, key, at)
        for key in ("tokens", "fraction"):
            _check_amounts(scope, path, key, at, names)


def _selectors(scope: Scope) -> Iterator[tuple[Path, At | None, Iterable[str] | None]]:
    """The places of all selectors' `at`, with the trunks that they name."""
    spec = scope.spec
    for index, entry in enumerate(spec.branches or ()):
        yield ("branches", index, "at"), entry.at, entry.trunks
    for index, repeated in enumerate(spec.replicates):
        yield ("replicates", index, "on", "at"), repeated.on.at, repeated.on.trunks
    for name, evaluation in spec.evaluations.items():
        yield ("evaluations", name, "on", "at"), evaluation.on.at, evaluation.on.trunks
    for index, figure in enumerate(spec.report.figures):
        yield ("report", "figures", index, "on", "at"), figure.on.at, figure.on.trunks


def _check_range(scope: Scope, path: Path, key: str, at: At) -> None:
    part = getattr(at, key)
    if isinstance(part, BETWEEN):
        if part.start is not None and part.stop is not None and part.start > part.stop:
            scope.error("bad-value", "the range starts after its stop", (*path, key, "start"))
    elif part is not None and not isinstance(part, tuple):
        problem = range_problem(part, key)
        if problem is not None:
            scope.error(problem.code, problem.message, (*path, *problem.path), hint=problem.hint)


def _check_amounts(scope: Scope, path: Path, key: str, at: At, trunks: list[str]) -> None:
    """Each amount of tokens or share of a run must be a checkpoint of at least one of the trunks."""
    part = getattr(at, key)
    if not isinstance(part, tuple) or not trunks or any(name not in scope.steps for name in trunks):
        return
    world = scope.world()
    for number, value in enumerate(part):
        alone = At().model_copy(update={key: (value,), "snap": at.snap})
        if any(selected_steps(world, alone, trunk) for trunk in trunks):
            continue
        shown = f"{format_tokens(value)} tokens" if key == "tokens" else f"fraction {value:g}"
        whose = f"the trunk `{trunks[0]}`" if len(trunks) == 1 else "any of the trunks"
        scope.error(
            "off-schedule",
            f"{shown} is no checkpoint of {whose}",
            (*path, key, number),
            _amounts(scope, key, trunks),
            _hint(world, alone, trunks),
        )


def _hint(world: World, alone: At, trunks: list[str]) -> str | None:
    near = alone.model_copy(update={"snap": "nearest"})
    if any(selected_steps(world, near, trunk) for trunk in trunks):
        return "`snap: nearest` takes the step next to it"
    seen = (tokens_at(world, trunk, total_steps(world, trunk)) for trunk in trunks)
    if alone.tokens is not None and not any(seen):
        return "it is not known how many tokens it has seen: write `tokens` beside its `step`"
    return None


def _amounts(scope: Scope, key: str, trunks: list[str]) -> str | None:
    """The checkpoints in the unit that was asked for."""
    amounts: set[float] = set()
    world = scope.world()
    for trunk in trunks:
        total = total_steps(world, trunk)
        amounts.update(
            tokens_at(world, trunk, step) if key == "tokens" else step / total for step in scope.steps[trunk]
        )
    amounts.discard(0)
    if not amounts:
        return None
    return choices(amounts, lambda amount: format_tokens(int(amount)) if key == "tokens" else f"{amount:.6g}")
