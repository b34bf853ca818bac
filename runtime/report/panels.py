"""A figure as data: panels, and what each draws, down to the cells that a point was computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from exc.runtime.report.cells import Cell
from exc.runtime.report.formats import count, is_share, unit
from exc.runtime.report.statistics import Estimate
from exc.spec.references import BASE


@dataclass(frozen=True, slots=True)
class Spot:
    """One point of a line: the mean over `cells`, or a single replicate where there are several."""

    estimate: Estimate
    cells: tuple[Cell, ...]  # measured, of distinct identity
    against: tuple[Cell, ...] = ()  # the other side of a difference
    single: bool = False
    x: float | None = None  # where it stands across, where that is not at its tokens

    @property
    def tokens(self) -> int:
        return self.cells[0].tokens

    @property
    def across(self) -> float:
        return self.tokens if self.x is None else self.x


@dataclass(frozen=True, slots=True)
class Series:
    """A line, or bars: `arm` gives the colour, `dashed` sets a second line of the same arm apart."""

    label: str
    arm: str
    spots: tuple[Spot, ...]  # from left to right
    replicates: tuple[Spot, ...]  # where there are several
    dashed: bool = False
    level: bool = False  # one value, drawn as a line from side to side
    chosen: bool = False  # what was chosen by its result: marks without lines

    @property
    def xs(self) -> tuple[float, ...]:
        return tuple(spot.across for spot in self.spots)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        return tuple(spot.estimate for spot in self.spots)


@dataclass(frozen=True, slots=True)
class Across:
    """The axis across. Ticks stand at checkpoints, where names say, or at round numbers."""

    label: str
    kind: Literal["tokens", "numbers", "names"]
    logarithmic: bool | None = None  # None: as the values need
    names: tuple[tuple[float, str], ...] = ()
    together: bool = False  # all names are written, aslant where they do not fit side by side

    def words(self, value: float) -> str:
        """A place on it, as a sentence names it."""
        if self.kind == "names":
            return dict(self.names).get(value, f"{value:g}")
        return f"{count(value)} {'tokens' if self.kind == 'tokens' else self.label}"


MOST_COLUMNS = 3
DENSE = 30  # places of a panel from which its marks are small
TOKENS = Across("pre-training tokens", "tokens")


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    y_label: str
    metric: str
    scale: float  # from the estimates' unit to the axis'
    series: tuple[Series, ...]
    zero: bool  # zero is a line of its own: what is drawn are changes
    from_zero: bool = False
    across: Across = TOKENS
    bars: bool = False
    beside: bool = False  # lines, or bars, that share a place stand beside each other
    column: str = ""  # of the table under the figure; by default the title

    @property
    def lines(self) -> tuple[Series, ...]:
        """All but what goes from side to side."""
        return tuple(series for series in self.series if not series.level)

    @property
    def xs(self) -> list[float]:
        """Every place across at which something stands, rising."""
        spots = [spot for series in self.lines for spot in (*series.spots, *series.replicates)]
        return sorted({spot.across for spot in spots})

    @property
    def is_dense(self) -> bool:
        return len(self.xs) >= DENSE


@dataclass(frozen=True, slots=True)
class Mark:
    """Two numbers of one model, or two changes between the same two."""

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
        return self.verdict != "inconclusive"


@dataclass(frozen=True, slots=True)
class Scatter:
    title: str
    metrics: tuple[str, str]  # across, up
    marks: tuple[Mark, ...]
    changes: bool = True  # differences, about zero; the panels of a figure then have one frame
    names: tuple[str, str] = ("", "")  # of the axes, where the metrics alone do not say it
    arrows: bool = False  # from the marks of base to those of the other arms at their checkpoint
    note: str = ""  # a number about all marks

    @property
    def scales(self) -> tuple[float, float]:
        """From the estimates' units to the axes'."""
        x, y = (100.0 if is_share(metric) else 1.0 for metric in self.metrics)
        return x, y

    @property
    def columns(self) -> tuple[str, str]:
        """What the table under the figure calls the two."""
        sign = "\u0394 " if self.changes else ""
        x, y = (f"{sign}{name or metric}" for name, metric in zip(self.names, self.metrics, strict=True))
        return x, y

    @property
    def x_label(self) -> str:
        return self._label(0)

    @property
    def y_label(self) -> str:
        return self._label(1)

    def _label(self, index: int) -> str:
        mark = unit(self.metrics[index], delta=self.changes)
        return f"{self.columns[index]} ({mark})" if mark else self.columns[index]


@dataclass(frozen=True, slots=True)
class Drawing:
    name: str  # of its files, and of its place in the page
    title: str
    caption: str
    panels: tuple[Panel | Scatter, ...]
    level: float  # of its intervals: the share of cases in which one is to hold the truth
    columns: int = 0  # panels beside each other; 0: as many as there are, three at most
    lacks: str = ""  # why there are no panels, where that is known better than by the figure

    @property
    def percent(self) -> str:
        return f"{100 * self.level:.4g}%"


def key_of(drawing: Drawing) -> str:
    """What the legend explains beside the names: `hollow` marks, `bands`, or nothing."""
    first = drawing.panels[0]
    if isinstance(first, Scatter):
        return "hollow" if first.changes else ""
    return "" if first.bars or first.beside or not has_intervals(drawing) else "bands"


def has_intervals(drawing: Drawing) -> bool:
    """Whether any number of a figure has an interval."""
    for panel in drawing.panels:
        if isinstance(panel, Scatter):
            estimates = [spot.estimate for mark in panel.marks for spot in (mark.x, mark.y)]
        else:
            estimates = [estimate for series in panel.series for estimate in series.estimates]
        if any(estimate.low is not None for estimate in estimates):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Entry:
    """What a legend names, and what is shown or hidden as one."""

    name: str
    arm: str
    dashed: bool
    line: bool
    chosen: bool = False


def entry_name(panel: Panel, series: Series) -> str:
    """A recipe's own name will do where all lines of a panel of changes are against base."""
    return series.arm if _is_plain(panel) else series.label


def _is_plain(panel: Panel) -> bool:
    if not panel.zero or any(other.dashed for other in panel.series):
        return False
    return all(other.label == f"{other.arm} \u2212 {BASE}" for other in panel.series)


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
                line = series.level or not (panel.bars or panel.beside or series.chosen)
                found.setdefault(name, Entry(name, series.arm, series.dashed, line, series.chosen))
    return list(found.values())


def names_in(drawings: Sequence[Drawing]) -> list[str]:
    """Every name that has a look of its own: recipes, and trunks where a figure sets them apart."""
    names = (entry.arm for drawing in drawings for entry in entries_of(drawing))
    return [name for name in dict.fromkeys(names) if name != BASE]
