"""The figures a plan asks for, each with the cells it may draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exc.runtime.report.cells import Cell
from exc.runtime.report.contrasts import Contrast, Point, contrasts_of, points_of
from exc.runtime.report.formats import count, setting
from exc.runtime.report.results import Results
from exc.runtime.report.statistics import Bootstrap


@dataclass(frozen=True, slots=True)
class Request:
    """`cells` are places in the plan's list; None stands for all. `words` say what they were chosen by."""

    figure: str
    cells: frozenset[int] | None = None
    words: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)  # what else the spec says of the figure

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of names; empty where the spec says nothing."""
        return tuple(map(str, self.told.get(key) or ()))


def requests_of(report: Mapping[str, Any]) -> list[Request]:
    """The entries of `figures`: a name, or a mapping with `figure`, `on` and `cells`."""
    return [_request(entry) for entry in report.get("figures", ())]


def _request(entry: str | Mapping[str, Any]) -> Request:
    if isinstance(entry, str):
        return Request(entry)
    if "figure" not in entry:
        return Request(str(next(iter(entry))))
    cells = entry.get("cells")
    chosen = None if cells is None else frozenset(map(int, cells))
    told = {key: value for key, value in entry.items() if key not in ("figure", "on", "cells")}
    return Request(str(entry["figure"]), chosen, _words(entry.get("on") or {}), told)


def _words(on: Mapping[str, Any]) -> str:
    """`recipes rl, sft; at steps 300, 600` of a selector."""
    return "; ".join(_part(name, value) for name, value in on.items() if value not in (None, [], {}))


def _part(name: str, value: Any) -> str:
    if name != "at" or not isinstance(value, Mapping):
        return f"{name} {setting(value)}"
    parts = [
        f"{key} {_span(key, inner)}"
        for key, inner in value.items()
        if inner not in (None, []) and (key, inner) != ("snap", "exact")
    ]
    return f"at {' and '.join(parts)}".replace("include ", "")


def _span(key: str, value: Any) -> str:
    """Steps, tokens or shares: some, or from one to another."""
    show = count if key == "tokens" else str
    if not isinstance(value, Mapping):
        return ", ".join(map(show, value)) if isinstance(value, list | tuple) else str(value)
    ends = [f"{word} {show(value[end])}" for word, end in (("from", "start"), ("to", "stop")) if end in value]
    return " ".join(ends + [f"{name} {value[name]}" for name in value if name not in ("start", "stop")])


def select(results: Results, chosen: frozenset[int] | None) -> Results:
    """The results as far as they are of chosen cells; a difference is, if its first side is.

    Where only some replicates of a point are chosen, its numbers are computed again, from those alone.
    """
    if chosen is None:
        return results
    touched = {cell.point for cell in results.cells if cell.number in chosen}
    left_out = [c for c in results.cells if c.point in touched and c.number not in chosen]
    points, contrasts = results.points, results.contrasts
    if left_out:
        numbers = {cell.number for cell in left_out}
        points, contrasts = _computed(results, [c for c in results.cells if c.number not in numbers])
    return replace(
        results,
        cells=tuple(cell for cell in results.cells if cell.number in chosen),
        points=tuple(point for point in points if point.head.point in touched),
        contrasts=tuple(contrast for contrast in contrasts if contrast.a.head.point in touched),
    )


def _computed(results: Results, cells: Sequence[Cell]) -> tuple[tuple[Point, ...], tuple[Contrast, ...]]:
    bootstrap = Bootstrap(results.plan.seed, level=results.level)
    points = points_of(cells, results.evaluations, bootstrap)
    contrasts = contrasts_of(results.plan, points, bootstrap, results.evaluations)
    return tuple(points), tuple(contrasts)
