"""What was made elsewhere, as page and figures mark it: a dagger, and a note that says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from exc.compiler.plan import Plan
from exc.runtime.adopted_values import AdoptedPoint, adopted_points
from exc.runtime.report import formats
from exc.runtime.report.cells import Cell
from exc.runtime.report.contrasts import Point
from exc.runtime.report.panels import Drawing, Mark, Panel, Scatter, Series, Spot
from exc.runtime.store import Store

DAGGER = "\u2020"
Drawn = TypeVar("Drawn", Mark, Series)


def mark_of(cells: Iterable[Cell]) -> str:
    """What follows a name whose number was made elsewhere, or from what was."""
    return f" {DAGGER}" if any(cell.adopted for cell in cells) else ""


def point_name(point: Point) -> str:
    """An arm as the page's tables name it."""
    return point.head.arm + mark_of(point.measured)


def footnotes(cells: Iterable[Cell]) -> list[str]:
    """Each adoption that some cell descends from, once, in the order of the cells."""
    found = {adoption.artifact: adoption for cell in cells for adoption in cell.adopted}
    return [f"{DAGGER} {adoption.text()}." for adoption in found.values()]


def marked(drawing: Drawing) -> Drawing:
    """A figure whose lines and marks say what of them was adopted, with the notes in its caption."""
    cells = list(_cells(_spots(drawing)))
    notes = footnotes(cells)
    if not notes:
        return drawing
    which = dict.fromkeys(f"{c.arm} at {formats.count(c.tokens)} tokens" for c in cells if c.adopted)
    caption = f"{drawing.caption} {DAGGER} Adopted: {formats.listing(list(which))}. {' '.join(notes)}"
    return replace(drawing, caption=caption, panels=tuple(_panel(panel) for panel in drawing.panels))


def _panel(panel: Panel | Scatter) -> Panel | Scatter:
    if isinstance(panel, Scatter):
        return replace(panel, marks=tuple(_labelled(mark, [mark.x, mark.y]) for mark in panel.marks))
    return replace(panel, series=tuple(_labelled(line, line.spots) for line in panel.series))


def _labelled(drawn: Drawn, spots: Sequence[Spot]) -> Drawn:
    mark = mark_of(_cells(spots))
    return replace(drawn, label=drawn.label + mark) if mark else drawn


def _cells(spots: Iterable[Spot]) -> Iterator[Cell]:
    for spot in spots:
        yield from spot.cells
        yield from spot.against


def _spots(drawing: Drawing) -> Iterator[Spot]:
    for panel in drawing.panels:
        if isinstance(panel, Scatter):
            for mark in panel.marks:
                yield from (mark.x, mark.y)
        else:
            for line in panel.series:
                yield from line.spots


def value_rows(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """Numbers from elsewhere that no artifact is behind, as a table of the page."""
    return [_value_row(entry) for entry in adopted_points(plan, store)]


def _value_row(entry: AdoptedPoint) -> dict[str, Any]:
    point = entry.point
    bounds = [formats.value_text(point.metric, b) for b in (point.low, point.high) if b is not None]
    return {
        "evaluation": point.evaluation,
        "place": f"{point.trunk}/{point.step}",
        "tokens": formats.count(entry.cell["tokens"]),
        "arm": point.recipe + (f"@{point.snapshot}" if point.snapshot is not None else "") + f" {DAGGER}",
        "metric": point.metric.replace("_", " "),
        "unit": formats.unit(point.metric),
        "value": formats.value_text(point.metric, point.value),
        "interval": f"{' to '.join(bounds)}" if len(bounds) == 2 else "",
        "problems": formats.NOTHING if point.problems is None else f"{point.problems:,}",
        "why": entry.adoption.why,
        "origin": entry.adoption.origin,
    }
