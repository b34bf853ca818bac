"""A figure as data: panels, what is drawn in each, and the same as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exc.runtime.report.statistics import Estimate
from exc.runtime.report.tables import Row, rounded


@dataclass(frozen=True, slots=True)
class Series:
    """A line: `arm` gives its colour, `dashed` sets a second line of the same arm apart."""

    label: str
    arm: str
    tokens: tuple[int, ...]
    estimates: tuple[Estimate, ...]
    replicates: tuple[tuple[int, float], ...]  # tokens and value of each, where there are several
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    y_label: str
    scale: float  # from the estimates' unit to the axis'
    series: tuple[Series, ...]
    zero: bool  # zero is a line of its own, or the foot of the axis
    from_zero: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    arm: str
    tokens: int
    x: Estimate
    y: Estimate
    verdict: str  # "" where there is none


@dataclass(frozen=True, slots=True)
class Scatter:
    title: str
    x_label: str
    y_label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    name: str
    title: str
    caption: str
    alt: str
    panels: tuple[Panel | Scatter, ...]
    percent: str  # the level of its intervals


def drawn_rows(panels: Iterable[Panel | Scatter]) -> list[Row]:
    """What is drawn, one row a point: in the unit of the estimates, shares between 0 and 1."""
    rows: list[Row] = []
    for panel in panels:
        rows += _scatter_rows(panel) if isinstance(panel, Scatter) else _line_rows(panel)
    return rows


def _line_rows(panel: Panel) -> list[Row]:
    rows = []
    for series in panel.series:
        place = {"panel": panel.title, "series": series.label, "arm": series.arm}
        for tokens, estimate in zip(series.tokens, series.estimates, strict=True):
            rows.append({**place, "tokens": tokens, "drawn": "mean", **_bounds("", estimate)})
        for tokens, value in series.replicates:
            number = {"value": rounded(value), "low": None, "high": None, "num_units": None}
            rows.append({**place, "tokens": tokens, "drawn": "replicate", **number})
    return rows


def _scatter_rows(panel: Scatter) -> list[Row]:
    return [
        {
            "panel": panel.title,
            "arm": mark.arm,
            "tokens": mark.tokens,
            **_bounds("x_", mark.x),
            **_bounds("y_", mark.y),
            "verdict": mark.verdict,
        }
        for mark in panel.marks
    ]


def _bounds(prefix: str, estimate: Estimate) -> Row:
    return {
        f"{prefix}value": rounded(estimate.value),
        f"{prefix}low": rounded(estimate.low),
        f"{prefix}high": rounded(estimate.high),
        f"{prefix}num_units": estimate.num_units,
    }
