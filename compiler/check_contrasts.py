"""Checks of contrasts: two models that are compared differ only in what the spec says they differ in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.contrast_settings import Trained, ancestry, differences
from exc.compiler.points import Point, point_of
from exc.compiler.scope import Scope
from exc.compiler.selection import Branch
from exc.compiler.world import World
from exc.spec.cells import text_of
from exc.spec.experiment import Contrast, Path
from exc.spec.references import BASE, ModelRef
from exc.spec.trunks import Pretrain
from exc.spec.words import cut, listed

_MOST = 6  # settings that one finding lists
_OF_RUNS = ("model", "tokenizer", "data", "batch_size", "sequence_length", "tokens", "schedule", "optimizer")


def check_contrasts(scope: Scope) -> None:
    """Nothing is said while there are errors: what is compared may not be what was meant."""
    if scope.diagnostics.has_errors:
        return
    world = scope.world()
    for index, contrast in enumerate(scope.spec.report.contrasts):
        path: Path = ("report", "contrasts", index)
        _check_trunks(scope, path, contrast)
        sides = _sides(scope, world, contrast)
        if sides is not None:
            _check_settings(scope, world, path, contrast, sides)


def _sides(scope: Scope, world: World, contrast: Contrast) -> tuple[Point, Point] | None:
    """Both models of a contrast at one checkpoint, the first at which both are planned."""
    for trunk, at in dict.fromkeys((trunk, at) for trunk, at, _ in scope.planned):
        reader = Branch(trunk, at, BASE, 0)
        points = [_point(scope, world, ref, reader) for ref in (contrast.a, contrast.b)]
        if points[0] is not None and points[1] is not None:
            return points[0], points[1]
    return None


def _point(scope: Scope, world: World, ref: ModelRef, reader: Branch) -> Point | None:
    if ref.recipe in ("prev", None) and ref.trunk is None and ref.at is None:
        return Point(reader)
    point = point_of(world, ref, reader)
    branch = point.branch
    is_there = branch.recipe == BASE or (branch.trunk, branch.at, branch.recipe) in scope.planned
    return point if is_there else None


def _check_settings(
    scope: Scope, world: World, path: Path, contrast: Contrast, sides: tuple[Point, Point]
) -> None:
    first, second = (ancestry(world, point) for point in sides)
    for kind in first:
        if kind not in second:
            continue
        shared = _shared(first[kind], second[kind])
        if shared is not None:
            _check_lengths(scope, path, contrast, *shared)
            continue
        found = {
            name: values
            for name, values in differences(first[kind], second[kind]).items()
            if name not in contrast.varies
        }
        if found:
            names = f"`{_named(scope, first[kind][0])}` and `{_named(scope, second[kind][0])}`"
            message = f"{names} differ in what `varies` does not name: {_listed(found)}"
            named = ", ".join([*contrast.varies, *list(found)[:2]])
            hint = (
                f"give both the same, name it in the contrast, such as `varies: [{named}]`, or say why: "
                "`accept: {uneven-contrast: REASON}`"
            )
            scope.warning("uneven-contrast", message, (*path, "b"), hint)


def _shared(first: list[Trained], second: list[Trained]) -> tuple[Trained, Trained] | None:
    """A stage that is in both ancestries: the work before it is the same."""
    pairs = ((one, other) for one in first for other in second)
    return next((pair for pair in pairs if _place(pair[0]) == _place(pair[1])), None)


def _place(stage: Trained) -> tuple[object, ...]:
    return (*stage.place, stage.side)


def _check_lengths(scope: Scope, path: Path, contrast: Contrast, one: Trained, other: Trained) -> None:
    if one.length is None or other.length is None or one.length == other.length:
        return
    if one.measure in contrast.varies:
        return
    name = _named(scope, one)
    message = (
        f"`{contrast.a}` and `{contrast.b}` hold two snapshots of `{name}`: {one.length} and {other.length}"
    )
    step = min(one.length, other.length)
    hint = (
        f"compare with the snapshot that the other starts from, such as `step: {step}`, or say why: "
        "`accept: {other-snapshot: REASON}`"
    )
    scope.warning("other-snapshot", message, (*path, "b"), hint)


def _check_trunks(scope: Scope, path: Path, contrast: Contrast) -> None:
    """Two trunks that are compared by name."""
    names = (contrast.a.trunk, contrast.b.trunk)
    if None in names or names[0] == names[1]:
        return
    runs = [scope.spec.trunks[name].pretrain for name in names if name in scope.spec.trunks]
    one, other = (*runs, None, None)[:2]
    if not isinstance(one, Pretrain) or not isinstance(other, Pretrain):
        return
    found = {
        field: (getattr(one, field), getattr(other, field))
        for field in _OF_RUNS
        if getattr(one, field) != getattr(other, field) and field not in contrast.varies
    }
    if len(found) + len(set(_OF_RUNS) & set(contrast.varies)) > 1 and found:
        unnamed = listed([f"`{field}`" for field in found], _MOST)
        message = (
            f"the trunks `{names[0]}` and `{names[1]}` differ in more than one thing, and `varies` does not "
            f"name {unnamed}"
        )
        hint = (
            "name what the comparison is about, and say why the rest cannot be held: "
            "`accept: {uneven-contrast: REASON}`"
        )
        scope.warning("uneven-contrast", message, (*path, "b"), hint)


def _named(scope: Scope, stage: Trained) -> str:
    name = f"{stage.place[0]}.{scope.spec.recipes[stage.place[0]][stage.place[1]].name}"
    return name + (f".{stage.side}" if stage.side else "")


def _listed(found: dict[str, tuple[Any, Any]]) -> str:
    return listed((f"`{name}` ({_said(a)} and {_said(b)})" for name, (a, b) in found.items()), _MOST)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return cut(", ".join(f"{key} {_said(inner)}" for key, inner in value.items()), 30)
    return cut(f"{value:g}" if isinstance(value, float) else text_of(value), 30)
