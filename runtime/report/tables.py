"""The numbers as files: CSV, one row a number with where it comes from, and one JSON of everything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from exc.runtime.report.cells import Cell, is_counted, metric_names, ratio
from exc.runtime.report.contrasts import Contrast, Point
from exc.runtime.report.record import total
from exc.runtime.report.results import Results
from exc.runtime.report.statistics import FLAT_SHARE, NUM_RESAMPLES, Estimate

Row = dict[str, Any]

_DECIMALS = 8  # beyond them lies what order of summation leaves


def rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DECIMALS) + 0.0


def cell_rows(cells: Iterable[Cell], evaluations: Mapping[str, Any], points: Iterable[Point]) -> list[Row]:
    """One row for each metric of a cell; a missing cell has one row that says why.

    The bounds are those of the cell alone, over its problems; they are left out where replicates are several,
    whose interval is that of their point.
    """
    cells = list(cells)
    marks = any(cell.adopted for cell in cells)  # a column only where something was
    alone = {point.measured[0].number: point for point in points if len(point.measured) == 1}
    rows = []
    for cell in cells:
        place = _place(cell)
        origin = _origin(cell) | ({"adopted": " ".join(a.text() for a in cell.adopted)} if marks else {})
        if cell.missing is not None:
            state = {"state": cell.missing.state, "reason": cell.missing.reason}
            rows.append({**place, **state, **_number("", None), **origin})
            continue
        state = {"state": "measured", "reason": ""}
        estimates = alone[cell.number].estimates if cell.number in alone else {}
        for metric in ordered_metrics(cell, evaluations[cell.evaluation]):
            value = cell_value(cell, metric)
            number = _number(metric, estimates.get(metric) or value)
            rows.append({**place, **state, **number, **origin})
    return rows


def ordered_metrics(cell: Cell, evaluation: Mapping[str, Any]) -> list[str]:
    """Metrics with intervals first, then what else the artifact records, by name."""
    first = [
        name for name in metric_names(evaluation) if name in cell.metrics or is_counted(cell.units, name)
    ]
    return first + sorted(name for name in cell.metrics if name not in first)


def cell_value(cell: Cell, metric: str) -> float:
    """From the cell's own counts where they give it, else as recorded."""
    if cell.units is not None and is_counted(cell.units, metric):
        try:
            above, below = ratio(cell.units, metric)
        except ValueError:  # a k that the evaluation no longer asks for
            return float(cell.metrics[metric])
        return float(above.sum() / below.sum())
    return float(cell.metrics[metric])


def point_rows(points: Iterable[Point]) -> list[Row]:
    """One row for each metric of an arm at a checkpoint: the mean over replicates."""
    return [
        {
            **_arm_place(point.head),
            **_number(metric, estimate),
            "num_units": estimate.num_units,
            "replicates_measured": len(point.measured),
            "replicates_planned": len({cell.artifact for cell in point.cells}),
            "spread": rounded(spread(point, metric)),
            "artifacts": " ".join(cell.artifact for cell in point.measured),
        }
        for point in points
        for metric, estimate in point.estimates.items()
    ]


def spread(point: Point, metric: str) -> float | None:
    """Standard deviation over replicates, None below two."""
    values = [cell_value(cell, metric) for cell in point.measured]
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return float((sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5)


def contrast_rows(contrasts: Iterable[Contrast]) -> list[Row]:
    """One row for each metric of a contrast; one without a number where a side is missing."""
    rows = []
    for contrast in contrasts:
        head = contrast.a.head
        place = {
            "evaluation": head.evaluation,
            "trunk": head.trunk,
            "at": head.at,
            "tokens": head.tokens,
            "a": head.arm,
            "b": contrast.b_arm,
            "against": " ".join(contrast.against),
        }
        found = contrast.verdict
        words = {"verdict": found.label if found else "", "why": found.why if found else ""}
        ends = {
            "a_artifacts": " ".join(cell.artifact for cell in contrast.a.measured),
            "b_artifacts": " ".join(cell.artifact for cell in contrast.b.measured),
        }
        for metric, delta in contrast.deltas.items() or [("", None)]:
            sides = {
                "a_value": rounded(contrast.a.estimates[metric].value) if delta else None,
                "b_value": rounded(contrast.b.estimates[metric].value) if delta else None,
                "num_units": delta.num_units if delta else 0,
                "a_replicates": len(contrast.a.measured),
                "b_replicates": len(contrast.b.measured),
            }
            rows.append({**place, **_number(metric, delta), **sides, **words, **ends})
    return rows


def _place(cell: Cell) -> Row:
    return {**_arm_place(cell), "replicate": cell.replicate}


def _arm_place(cell: Cell) -> Row:
    names = ("evaluation", "trunk", "at", "tokens", "arm", "recipe", "step", "final")
    return {name: getattr(cell, name) for name in names}


def _origin(cell: Cell) -> Row:
    return {
        "job": cell.job,
        "artifact": cell.artifact,
        "model_job": cell.model_job,
        "model_artifact": cell.model_artifact,
        "seeds": " ".join(map(str, cell.seeds)),
        "source": " ".join(cell.source),
    }


def _number(metric: str, value: Estimate | float | None) -> Row:
    if isinstance(value, Estimate):
        return {
            "metric": metric,
            "value": rounded(value.value),
            "low": rounded(value.low),
            "high": rounded(value.high),
        }
    return {"metric": metric, "value": rounded(value), "low": None, "high": None}


def csv_text(rows: Sequence[Row]) -> str:
    """Rows of one shape as CSV with a header; empty text for no rows."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _csv_value(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _csv_value(value: Any) -> Any:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


def write_tables(results: Results, out: Path) -> list[str]:
    """Write tables/*.csv and results.json under `out`; gives their names relative to it."""
    tables = {
        "tables/cells.csv": cell_rows(results.cells, results.evaluations, results.points),
        "tables/points.csv": point_rows(results.points),
        "tables/contrasts.csv": contrast_rows(results.contrasts),
    }
    (out / "tables").mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (out / name).write_text(csv_text(rows), encoding="utf-8")
    data = {
        "format": 1,
        "experiment": results.plan.experiment,
        "title": results.title,
        "plan": results.plan.digest,
        "seed": results.plan.seed,
        "interval": {"level": results.level, "num_resamples": NUM_RESAMPLES, "flat_share": FLAT_SHARE},
        "evaluations": results.evaluations,
        **{name.removeprefix("tables/").removesuffix(".csv"): rows for name, rows in tables.items()},
        "accepted": list(results.plan.report.get("accepted", ())),
        "warnings": list(results.plan.report.get("warnings", ())),
        "notes": list(results.notes),
        "environment": results.record.environment,
        "hosts": results.record.hosts,
        "commits": results.record.commits,
        "spent": [_spent_row(spent) for spent in (*results.record.spent, total(results.record.spent))],
    }
    text = orjson.dumps(data, option=orjson.OPT_INDENT_2)
    (out / "results.json").write_bytes(text + b"\n")
    return [*tables, "results.json"]


def _spent_row(spent: Any) -> Row:
    names = ("kind", "num_jobs", "num_done", "flops", "samples", "tokens", "seconds")
    return {name: getattr(spent, name) for name in names}
