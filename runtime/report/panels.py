"""A figure as data: panels, and what each draws, down to the cells that a point was computed from."""

from __future__ import annotations

from dataclasses import dataclass

from exc.runtime.report.cells import Cell
from exc.runtime.report.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Spot:
    """One point of a line: the mean over `cells`, or a single replicate where there are several."""

    estimate: Estimate
    cells: tuple[Cell, ...]  # measured, of distinct identity
    against: tuple[Cell, ...] = ()  # the other side of a difference
    single: bool = False

    @property
    def tokens(self) -> int:
        return self.cells[0].tokens


@dataclass(frozen=True, slots=True)
class Series:
    """A line: `arm` gives its colour, `dashed` sets a second line of the same arm apart."""

    label: str
    arm: str
    spots: tuple[Spot, ...]  # by tokens, rising
    replicates: tuple[Spot, ...]  # where there are several
    dashed: bool = False

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(spot.tokens for spot in self.spots)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        return tuple(spot.estimate for spot in self.spots)


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    y_label: str
    metric: str
    scale: float  # from the estimates' unit to the axis'
    series: tuple[Series, ...]
    zero: bool  # zero is a line of its own: what is drawn are changes
    from_zero: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """One change across and one up, of the same two models."""

    label: str
    arm: str
    x: Spot
    y: Spot
    verdict: str  # "" where there is none

    @property
    def tokens(self) -> int:
        return self.x.tokens

    @property
    def decided(self) -> bool:
        return self.verdict not in ("", "inconclusive")


@dataclass(frozen=True, slots=True)
class Scatter:
    title: str
    metrics: tuple[str, str]  # across, up
    marks: tuple[Mark, ...]

    @property
    def x_label(self) -> str:
        return f"\u0394 {self.metrics[0]} (pp)"

    @property
    def y_label(self) -> str:
        return f"\u0394 {self.metrics[1]} (pp)"


@dataclass(frozen=True, slots=True)
class Drawing:
    name: str  # of its files, and of its place in the page
    title: str
    caption: str
    panels: tuple[Panel | Scatter, ...]
    level: float  # of its intervals: the share of cases in which one is to hold the truth

    @property
    def percent(self) -> str:
        return f"{100 * self.level:.4g}%"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a legend names, and what is shown or hidden as one."""

    name: str
    arm: str
    dashed: bool
    line: bool


def entry_name(panel: Panel, series: Series) -> str:
    """A recipe's own name will do where all lines of a panel of changes are against base."""
    plain = panel.zero and not any(other.dashed for other in panel.series)
    return series.arm if plain else series.label


def entries_of(drawing: Drawing) -> list[Entry]:
    """The legend of the whole figure, in the order of its lines."""
    found: dict[str, Entry] = {}
    for panel in drawing.panels:
        if isinstance(panel, Scatter):
            for mark in panel.marks:
                found.setdefault(mark.arm, Entry(mark.arm, mark.arm, dashed=False, line=False))
        else:
            for series in panel.series:
                name = entry_name(panel, series)
                found.setdefault(name, Entry(name, series.arm, series.dashed, line=True))
    return list(found.values())
