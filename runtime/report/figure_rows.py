"""What a figure draws, as rows: of the CSV beside it, and of the table under it, which the tooltips read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from exc.runtime.report import formats
from exc.runtime.report.cells import Cell, noun_of
from exc.runtime.report.panels import Drawing, Mark, Panel, Scatter, Spot, entry_name
from exc.runtime.report.tables import Row, rounded

# Series, trunk, step, arm with its snapshot, the number of a single replicate's cell or -1.
_Place = tuple[str, str, int, str, int]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A number that a panel draws, and what it is a number of."""

    panel: Panel | Scatter
    entry: str  # of the legend
    label: str
    arm: str
    metric: str
    spot: Spot
    verdict: str = ""
    axis: int = 0  # of a scatter: across or up
    model: Cell | None = None  # of a scatter: the model that both of a mark's numbers lead to

    @property
    def place(self) -> _Place:
        head = self.model or self.spot.cells[0]
        return self.label, head.trunk, head.at, head.arm, head.number if self.spot.single else -1

    @property
    def delta(self) -> bool:
        return self.panel.changes if isinstance(self.panel, Scatter) else self.panel.zero

    @property
    def across(self) -> tuple[str, str] | None:
        """What the axis across is called, and the place on it; None where that is tokens, or a checkpoint."""
        if isinstance(self.panel, Scatter) or self.panel.across.kind == "tokens":
            return None
        axis = self.panel.across
        words = axis.words(self.spot.across) if axis.kind == "names" else formats.count(self.spot.across)
        return axis.label, words


@dataclass(slots=True)
class TableRow:
    """One point with all its numbers; `cells` and `against` are places in the plan's list."""

    entry: str
    series: str
    checkpoint: str
    tokens: str
    replicates: str
    num_units: str
    cells: tuple[Cell, ...]
    against: tuple[Cell, ...]
    verdict: str
    values: dict[str, tuple[str, str]] = field(default_factory=dict)  # by column: value and interval


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[tuple[str, str], ...]  # name and unit
    rows: tuple[TableRow, ...]
    numbers: dict[_Place, int]  # the row of each point
    noun: str  # of what n counts
    verdicts: bool

    def number(self, drawn: Drawn) -> int:
        return self.numbers[drawn.place]

    def column(self, name: str) -> int:
        return [column for column, _ in self.columns].index(name)


def drawn_in(panel: Panel | Scatter) -> Iterator[Drawn]:
    """Every number of a panel, in the order in which it is drawn."""
    if isinstance(panel, Scatter):
        for mark in panel.marks:
            yield from drawn_of(panel, mark)
        return
    for series in panel.series:
        name = entry_name(panel, series)
        for spot in (*series.spots, *series.replicates):
            yield Drawn(panel, name, series.label, series.arm, panel.metric, spot)


def drawn_of(panel: Scatter, mark: Mark) -> tuple[Drawn, Drawn]:
    """A mark's two numbers."""
    across, up = (
        Drawn(panel, mark.arm, mark.label, mark.arm, metric, spot, mark.verdict, axis, mark.y.cells[0])
        for axis, (metric, spot) in enumerate(zip(panel.metrics, (mark.x, mark.y), strict=True))
    )
    return across, up


def drawn_rows(drawing: Drawing) -> list[Row]:
    """One row a number, shares between 0 and 1, with the jobs and artifacts it was computed from."""
    rows = []
    for panel in drawing.panels:
        for drawn in drawn_in(panel):
            rows.append(_csv_row(drawn, drawing.level))
    if any(isinstance(panel, Panel) and panel.across.kind != "tokens" for panel in drawing.panels):
        every = (drawn for panel in drawing.panels for drawn in drawn_in(panel))
        rows = [{**row, **_across_row(drawn)} for row, drawn in zip(rows, every, strict=True)]
    return rows


def _across_row(drawn: Drawn) -> Row:
    """Where a number stands, of a figure that is not over tokens."""
    name, words = drawn.across or ("", "")
    is_named = isinstance(drawn.panel, Panel) and drawn.panel.across.kind == "names"
    place = "" if drawn.across is None else words if is_named else repr(float(drawn.spot.across))
    return {"model": drawn.spot.cells[0].arm, "across": name, "place": place}


def _csv_row(drawn: Drawn, level: float) -> Row:
    spot = drawn.spot
    head, estimate = spot.cells[0], spot.estimate
    return {
        "panel": drawn.panel.title,
        "series": drawn.label,
        "evaluation": head.evaluation,
        "trunk": head.trunk,
        "step": head.at,
        "tokens": head.tokens,
        "recipe": drawn.arm,
        "drawn": "replicate" if spot.single else "mean",
        "replicates": _words(cell.replicate for cell in spot.cells),
        "metric": drawn.metric,
        "against": spot.against[0].arm if spot.against else "",
        "value": rounded(estimate.value),
        "low": rounded(estimate.low),
        "high": rounded(estimate.high),
        "confidence": None if estimate.low is None else level,
        "num_units": estimate.num_units,
        "unit": noun_of(head),
        "verdict": drawn.verdict,
        "job": _words(cell.job for cell in spot.cells),
        "artifact": _words(cell.artifact for cell in spot.cells),
        "against_job": _words(cell.job for cell in spot.against),
        "against_artifact": _words(cell.artifact for cell in spot.against),
    }


def _words(items: Iterable[object]) -> str:
    return " ".join(map(str, items))


def table_of(drawing: Drawing) -> Table:
    """One row a point, its numbers of all panels side by side."""
    every = [drawn for panel in drawing.panels for drawn in drawn_in(panel)]
    places = dict.fromkeys((drawn.across[0], "") for drawn in every if drawn.across is not None)
    columns = places | dict.fromkeys(
        (column_name(drawn), formats.unit(drawn.metric, delta=drawn.delta)) for drawn in every
    )
    rows: dict[_Place, TableRow] = {}
    for drawn in every:
        row = rows.setdefault(drawn.place, _table_row(drawn))
        row.values[column_name(drawn)] = _texts(drawn)
        row.cells += tuple(cell for cell in drawn.spot.cells if cell not in row.cells)
        if drawn.across is not None:
            row.values[drawn.across[0]] = (drawn.across[1], "")
    numbers = {place: number for number, place in enumerate(rows)}
    verdicts = any(drawn.verdict for drawn in every)
    noun = noun_of(every[0].spot.cells[0]) + "s"
    return Table(tuple(columns), tuple(rows.values()), numbers, noun, verdicts)


def column_name(drawn: Drawn) -> str:
    """Panels of lines are a column each, a scatter is one for each axis."""
    if isinstance(drawn.panel, Scatter):
        return drawn.panel.columns[drawn.axis]
    return column_of(drawn.panel)


def column_of(panel: Panel) -> str:
    return panel.column or panel.title


def _table_row(drawn: Drawn) -> TableRow:
    spot = drawn.spot
    head = spot.cells[0]
    return TableRow(
        entry=drawn.entry,
        series=drawn.label,
        checkpoint=f"{head.trunk}/{head.at}" + ("" if head.final else f" {head.arm}"),
        tokens=formats.exact(head.tokens),
        replicates=f"only r{head.replicate}" if spot.single else _sides(spot.estimate.num_replicates),
        num_units=formats.exact(spot.estimate.num_units),
        cells=spot.cells,
        against=spot.against,
        verdict=drawn.verdict,
    )


def _sides(num_replicates: Sequence[int]) -> str:
    """Of both sides, of a difference."""
    return " / ".join(map(str, num_replicates))


def _texts(drawn: Drawn) -> tuple[str, str]:
    estimate, metric = drawn.spot.estimate, drawn.metric
    show = formats.delta_text if drawn.delta else formats.value_text
    return show(metric, estimate.value), formats.interval_text(metric, estimate, delta=drawn.delta)
