"""`exc results`: every score of a plan as a row that leads back to its job and artifact."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from exc.compiler.plan import Plan
from exc.runtime.adopted_values import adopted_points
from exc.runtime.adoption import adoptions_of
from exc.runtime.outputs import find_job
from exc.runtime.state import job_states
from exc.runtime.store import Store


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One evaluation of one model. `metrics` is empty where there is no score yet; `missing` says why."""

    evaluation: str
    trunk: str
    at: int | None  # trunk step
    tokens: int | None  # trunk tokens at that step
    recipe: str
    matrix: Mapping[str, Any]
    replicate: int | None
    step: int | str | None  # snapshot of the recipe, `best.sums.pass@1` for a choice; None for its last
    final: bool
    metrics: Mapping[str, float]
    job: str
    artifact: str
    missing: str  # "" when the score is there
    adopted: tuple[str, ...] = ()  # what of it was made elsewhere, a sentence each
    problems: int | None = None  # behind an adopted number, where it was said

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def result_rows(plan: Plan, store: Store) -> list[ResultRow]:
    """A row for each cell of the plan's report, in plan order. Raises StoreError on a damaged artifact."""
    cells: Sequence[Mapping[str, Any]] = plan.report.get("cells", ())
    states = job_states(plan, store) if cells else {}
    rows = []
    for cell in cells:
        kind, _, identity = str(cell["artifact"]).partition("/")
        there = store.has(kind, identity)
        record = store.read(kind, identity).record if there else {}
        state = states[find_job(plan, cell["job"]).id]
        rows.append(
            ResultRow(
                evaluation=cell["evaluation"],
                trunk=cell["trunk"],
                at=cell.get("at"),
                tokens=cell.get("tokens"),
                recipe=cell["recipe"],
                matrix=cell.get("matrix") or {},
                replicate=cell.get("replicate"),
                step=cell.get("step"),
                final=bool(cell.get("final", True)),
                metrics=record["metrics"] if there else {},
                job=cell["job"],
                artifact=cell["artifact"],
                missing="" if there else _why(state.word, state.blocked_by),
                adopted=tuple(adoption.text() for adoption in adoptions_of(record)),
            )
        )
    return [*rows, *_adopted_rows(plan, store)]


def _adopted_rows(plan: Plan, store: Store) -> list[ResultRow]:
    """A row for each number from elsewhere: no job or artifact is behind it."""
    return [
        ResultRow(
            trunk=entry.point.trunk,
            at=entry.point.step,
            tokens=entry.cell.get("tokens"),
            recipe=entry.cell["recipe"],
            evaluation=entry.point.evaluation,
            matrix=entry.cell.get("matrix") or {},
            replicate=None,
            step=entry.point.snapshot,
            final=entry.point.snapshot is None,
            metrics={entry.point.metric: entry.point.value},
            job="",
            artifact="",
            missing="",
            adopted=(entry.adoption.text(),),
            problems=entry.point.problems,
        )
        for entry in adopted_points(plan, store)
    ]


def _why(word: str, blocked_by: str) -> str:
    return f"blocked by {blocked_by}" if blocked_by else word


_DAGGER = "\u2020"  # marks what was made elsewhere, or descends from it
_AXES = ("evaluation", "trunk", "at", "tokens", "recipe", "replicate", "step")


def results_csv(rows: Sequence[ResultRow]) -> str:
    """The rows as CSV, one column per metric; a cell that does not apply is empty."""
    metrics = _metric_names(rows)
    matrix = list(dict.fromkeys(name for row in rows for name in row.matrix))
    marks = ["adopted"] if any(row.adopted for row in rows) else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_AXES, *matrix, *metrics, "missing", "job", "artifact", *marks])
    for row in rows:
        axes = [getattr(row, axis) for axis in _AXES]
        cells = [row.matrix.get(name) for name in matrix]
        values = [row.metrics.get(name) for name in metrics]
        why = [" ".join(row.adopted)] if marks else []
        last = (row.missing, row.job, row.artifact, *why)
        writer.writerow(["" if v is None else v for v in (*axes, *cells, *values, *last)])
    return out.getvalue()


def results_table(rows: Sequence[ResultRow], evaluation: str, metrics: Sequence[str]) -> Table:
    """One evaluation's rows as a table for a terminal, with the metrics that it is about."""
    mine = [row for row in rows if row.evaluation == evaluation]
    axes = [axis for axis in ("recipe", "step") if any(getattr(row, axis) is not None for row in mine)]
    table = Table(title=Text(evaluation), title_justify="left", box=None, pad_edge=False, header_style="dim")
    for axis in ("model", *axes):
        table.add_column(axis, no_wrap=True)
    for name in metrics:
        table.add_column(name, justify="right", no_wrap=True)
    notes = list(dict.fromkeys(note for row in mine for note in row.adopted))
    table.caption = "\n".join(f"{_DAGGER} {note}" for note in notes) or None
    table.caption_justify = "left"
    lacks = any(row.missing for row in mine)
    if lacks:
        table.add_column("", style="dim", overflow="fold")
    for row in mine:
        names = {"recipe": _recipe(row), "step": "" if row.step is None else str(row.step)}
        model = row.trunk if row.at is None else f"{row.trunk}/{row.at}"
        model += f" {_DAGGER}" if row.adopted else ""
        values = [_number(row.metrics.get(m)) for m in metrics]
        why = [Text(row.missing)] if lacks else []
        table.add_row(Text(model), *(Text(names[axis]) for axis in axes), *values, *why)
    return table


def _recipe(row: ResultRow) -> str:
    return f"{row.recipe} r{row.replicate}" if row.replicate else row.recipe


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.3f}"


def _metric_names(rows: Sequence[ResultRow]) -> list[str]:
    """Every metric that a row has, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row.metrics))
