"""The report's page: results put into the words and tables that the template shows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from exc import __version__
from exc.compiler.plan import short_ref
from exc.runtime.report import formats
from exc.runtime.report.adopted import footnotes, mark_of, point_name, value_rows
from exc.runtime.report.cells import Cell, metric_names
from exc.runtime.report.contamination import contamination_rows
from exc.runtime.report.contrasts import Contrast, Point, largest_k, reference_text
from exc.runtime.report.figure_page import Group, Shown
from exc.runtime.report.record import total
from exc.runtime.report.results import Results
from exc.runtime.report.statistics import FLAT_SHARE, NUM_RESAMPLES, Estimate
from exc.runtime.report.svg import definitions
from exc.runtime.report.tables import cell_value, ordered_metrics
from exc.runtime.store import Store
from exc.spec.cells import base_of
from exc.spec.harness import less_is_better
from exc.spec.references import BASE

_HERE = Path(__file__).parent
_VERDICTS = ("expanded", "sharpened", "declined", "inconclusive")


def render(
    results: Results,
    shown: Sequence[Shown],
    arms: Sequence[Group],
    notes: Sequence[str],
    typeset: Sequence[str],
    store_root: Path,
    out: Path,
) -> str:
    """The whole page as HTML text that asks nothing of any other file or host."""
    report = results.plan.report
    of_models = [name for name, told in results.evaluations.items() if told["kind"] != "contamination"]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            results=results,
            plan=results.plan,
            version=__version__,
            summary=summary(results),
            headlines=[headline(results, name) for name in of_models],
            shown=shown,
            arms=arms,
            definitions=definitions(),
            typeset=typeset,
            tables=[results_table(results, name) for name in of_models],
            sought=contamination_rows(results.plan, Store(store_root)),
            adopted={"notes": footnotes(results.cells), "rows": value_rows(results.plan, Store(store_root))},
            missing=missing_rows(results),
            accepted=report.get("accepted", ()),
            warnings=list(
                dict.fromkeys(report.get("warnings", ()))
            ),  # one text may be said of several places
            notes=[*results.notes, *notes],
            origins=[origin(cell, store_root, out) for cell in results.cells],
            total=total(results.record.spent),
            methods={"level": results.percent, "resamples": NUM_RESAMPLES, "share": FLAT_SHARE},
            protocols=[protocol(name, settings) for name, settings in results.evaluations.items()],
        )
    )


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_HERE / "templates", _HERE]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters.update(
        reference=reference_text,
        count=formats.count,
        exact=formats.exact,
        scientific=formats.scientific,
        duration=formats.duration,
    )
    return made


def summary(results: Results) -> list[tuple[str, str]]:
    """What was studied, as pairs of a name and a value."""
    tokens = sorted({cell.tokens for cell in results.cells})
    span = (
        formats.count(tokens[0])
        if len(tokens) == 1
        else f"{formats.count(tokens[0])} to {formats.count(tokens[-1])}"
        if tokens
        else ""
    )
    places = {(cell.trunk, cell.at) for cell in results.cells}
    recipes = list(dict.fromkeys(cell.recipe for cell in results.cells if cell.recipe != BASE))
    variants = Counter(map(base_of, recipes))
    names = [name if number == 1 else f"{name} ({number} variants)" for name, number in variants.items()]
    measured = len(results.cells) - len(results.missing)
    return [
        ("Trunks", ", ".join(results.trunks)),
        ("Checkpoints", f"{len(places)} ({span} tokens)" if places else "0"),
        ("Recipes", ", ".join(names) or "none"),
        ("Evaluations", ", ".join(results.evaluations)),
        ("Cells measured", f"{measured} of {len(results.cells)}"),
        ("Seed", str(results.plan.seed)),
    ]


def headline(results: Results, evaluation: str) -> dict[str, Any]:
    """Contrasts of last snapshots, and what else the spec asks for, with intervals and verdicts."""
    settings = results.evaluations[evaluation]
    names = metric_names(settings)
    last = largest_k(names)
    metrics = tuple(dict.fromkeys((names[0], f"pass@{last}"))) if last else names[:1]
    own = [
        c
        for c in results.contrasts
        if c.a.head.evaluation == evaluation and (c.a.head.final or "asked" in c.against)
    ]
    bounds = [
        bound for c in own for m in metrics if m in c.deltas for bound in (c.deltas[m].low, c.deltas[m].high)
    ]
    reach = max((abs(bound) for bound in bounds if bound is not None), default=1.0) or 1.0
    rows = [_contrast_row(contrast, metrics, reach) for contrast in own]
    tally = {label: sum(row["verdict"] == label for row in rows) for label in _VERDICTS}
    return {
        "name": evaluation,
        "kind": settings["kind"],
        "metrics": [(metric, formats.unit(metric, delta=True)) for metric in metrics],
        "rows": rows,
        "tally": [(label, number) for label, number in tally.items() if number],
        "verdicts": any(row["verdict"] for row in rows),
    }


def _contrast_row(contrast: Contrast, metrics: Sequence[str], reach: float) -> dict[str, Any]:
    head = contrast.a.head
    found = contrast.verdict
    estimates = [contrast.deltas.get(metric) for metric in metrics]
    first = next((estimate for estimate in estimates if estimate), None)
    absent = [point for point in (contrast.a, contrast.b) if not point.samples]
    return {
        "trunk": head.trunk,
        "at": head.at,
        "tokens": formats.count(head.tokens),
        "a": (point_name(contrast.a), _anchor(contrast.a)),
        "b": (point_name(contrast.b) + contrast.b_place, _anchor(contrast.b)),
        "input": "input" in contrast.against and contrast.b.head.recipe != BASE,
        "deltas": [
            _delta(metric, estimate, reach) for metric, estimate in zip(metrics, estimates, strict=True)
        ],
        "verdict": found.label if found else "",
        "why": found.why if found else "",
        "num_units": f"{first.num_units:,}" if first else formats.NOTHING,
        "replicates": " / ".join(str(len(p.measured)) for p in (contrast.a, contrast.b)),
        "absent": formats.listing([p.head.arm for p in absent]),
    }


def _delta(metric: str, estimate: Estimate | None, reach: float) -> dict[str, str] | None:
    if estimate is None:
        return None
    text = formats.delta_text(metric, estimate.value)
    return {
        "value": text,
        "interval": formats.interval_text(metric, estimate, delta=True),
        "bar": _bar(metric, estimate, reach),
    }


def _bar(metric: str, estimate: Estimate, reach: float) -> str:
    """The interval about zero, -reach to reach: its tone, and its left end, width and value in percent."""
    if estimate.low is None or estimate.high is None:
        return ""

    def place(value: float) -> float:
        return 50 + 48 * value / reach

    tone = "open"
    if estimate.above_zero or estimate.below_zero:
        tone = "better" if estimate.above_zero != less_is_better(metric) else "worse"
    left, width = place(estimate.low), place(estimate.high) - place(estimate.low)
    return f"{tone} {left:.1f} {max(width, 0.5):.1f} {place(estimate.value):.1f}"


def _anchor(point: Point) -> str:
    return f"cell-{point.head.number}"


def results_table(results: Results, evaluation: str) -> dict[str, Any]:
    """Every cell of an evaluation, replicates under each other, with their mean where there are several."""
    settings = results.evaluations[evaluation]
    points = [point for point in results.points if point.head.evaluation == evaluation]
    names = metric_names(settings)
    cells = [cell for point in points for cell in point.measured]
    every = dict.fromkeys(metric for cell in cells for metric in ordered_metrics(cell, settings))
    metrics = [*names, *(metric for metric in every if metric not in names)]
    rows = []
    for point in sorted(
        points, key=lambda point: (results.trunks.index(point.head.trunk), point.head.tokens)
    ):
        rows += [_cell_row(cell, metrics, point) for cell in point.cells]
        if len(point.measured) > 1:
            rows.append(_mean_row(point, metrics))
    return {
        "name": evaluation,
        "metrics": [(metric.replace("_", " "), formats.unit(metric)) for metric in metrics],
        "rows": rows,
        "several_trunks": len({point.head.trunk for point in points}) > 1,
    }


def _cell_row(cell: Cell, metrics: Sequence[str], point: Point) -> dict[str, Any]:
    alone = point.estimates if len(point.measured) == 1 else {}
    values: list[tuple[str, str] | None] = []
    for metric in metrics if cell.missing is None else ():
        if metric not in cell.metrics and metric not in point.estimates:
            values.append(None)
            continue
        interval = formats.interval_text(metric, alone[metric]) if metric in alone else ""
        values.append((formats.value_text(metric, cell_value(cell, metric)), interval))
    return {
        **_row_place(cell),
        "replicate": str(cell.replicate),
        "values": values,
        "missing": cell.missing,
        "number": cell.number,
    }


def _mean_row(point: Point, metrics: Sequence[str]) -> dict[str, Any]:
    values: list[tuple[str, str] | None] = []
    for metric in metrics:
        estimate = point.estimates.get(metric)
        recorded = [cell.metrics[metric] for cell in point.measured if metric in cell.metrics]
        if estimate:
            values.append(
                (formats.value_text(metric, estimate.value), formats.interval_text(metric, estimate))
            )
        elif len(recorded) == len(point.measured):
            values.append((formats.value_text(metric, sum(recorded) / len(recorded)), ""))
        else:
            values.append(None)
    mean = f"mean of {len(point.measured)}"
    return {**_row_place(point.head), "replicate": mean, "values": values, "missing": None, "number": None}


def _row_place(cell: Cell) -> dict[str, Any]:
    return {
        "trunk": cell.trunk,
        "at": cell.at,
        "tokens": formats.count(cell.tokens),
        "arm": cell.arm + mark_of([cell]),
        "base": cell.recipe == BASE,
    }


def missing_rows(results: Results) -> list[dict[str, Any]]:
    """Missing cells by what they wait for, in the plan's order."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in results.missing:
        assert cell.missing is not None
        groups.setdefault((cell.missing.state, cell.missing.reason), []).append(cell)
    return [
        {
            "state": state,
            "reason": reason,
            "cells": [
                (cell.number, f"{cell.evaluation}: {cell.arm} r{cell.replicate} on {cell.trunk} at {cell.at}")
                for cell in cells
            ],
        }
        for (state, reason), cells in groups.items()
    ]


def origin(cell: Cell, store_root: Path, out: Path) -> dict[str, Any]:
    """Where a cell's numbers come from, with links to folders of the store."""
    return {
        "cell": cell,
        "tokens": formats.exact(cell.tokens),
        "score": _place(cell.artifact, store_root, out) if cell.missing is None else None,
        "model": _place(cell.model_artifact, store_root, out),
    }


def _place(artifact: str, store_root: Path, out: Path) -> dict[str, Any]:
    folder = store_root / "artifacts" / artifact
    relative = Path(os.path.relpath(folder, out)).as_posix()
    return {
        "short": short_ref(artifact),
        "path": f"artifacts/{artifact}",
        "href": quote(relative) + "/" if folder.is_dir() else None,
    }


def protocol(name: str, settings: Mapping[str, Any]) -> tuple[str, str]:
    """An evaluation's name, and its settings in one line."""
    parts = [
        f"{key.replace('_', ' ')} {formats.setting(value)}"
        for key, value in settings.items()
        if key not in ("kind", "metrics")
    ]
    return name, f"{settings['kind']}; " + ", ".join(parts) if parts else settings["kind"]
