"""What each figure draws, chosen from the results: which panels, and a line in each for what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from exc.runtime.report.captions import bands, sizes
from exc.runtime.report.cells import BASE, Cell, metric_names
from exc.runtime.report.contrasts import Contrast, Point, largest_k
from exc.runtime.report.formats import listing
from exc.runtime.report.panels import Drawing, Mark, Panel, Scatter, Series, Spot
from exc.runtime.report.results import Results
from exc.runtime.report.selections import requests_of, select
from exc.runtime.report.statistics import Estimate
from exc.runtime.report.tables import cell_value


def drawings_of(results: Results) -> tuple[list[Drawing], list[str]]:
    """Every figure the spec asks for that has something to show, and a line for each that has not."""
    found: list[Drawing] = []
    notes: list[str] = []
    taken: set[str] = set()
    for request in requests_of(results.plan.report):
        name = request.figure
        make = FIGURES.get(name)
        words = f" ({request.words})" if request.words else ""
        if make is None:
            notes.append(f"the figure `{name}` is asked for, which this version does not draw")
            continue
        selected = select(results, request.cells)
        made = [drawing for drawing in make(selected) if drawing.panels]
        for drawing in made:
            named = replace(drawing, name=_free(drawing.name, taken), title=drawing.title + words)
            found.append(named)
        if not made:
            measured = any(cell.missing is None for cell in selected.cells)
            why = f"it needs {_NEEDS[name]}" if measured else "none of its cells is measured"
            notes.append(f"the figure `{name}`{words} has nothing to draw: {why}")
    return found, notes


# What a figure needs that not every experiment measures.
_NEEDS = {
    "gains": "a recipe and its base model measured at one checkpoint",
    "panels": "pass@k of some model",
    "sharpening": "pass@k at two values of k, of a recipe and its base model",
    "general": "an evaluation of bits per byte",
}


def _free(name: str, taken: set[str]) -> str:
    """A name for files and anchors: of plain characters, and not taken yet."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
    number, free = 1, plain
    while free in taken:
        number += 1
        free = f"{plain}-{number}"
    taken.add(free)
    return free


def _places(results: Results, kind: str) -> Iterable[tuple[str, str, str]]:
    """Evaluation, trunk and a name for files, for all that were planned."""
    for evaluation, settings in results.evaluations.items():
        if settings["kind"] == kind:
            for trunk in dict.fromkeys(c.trunk for c in results.cells if c.evaluation == evaluation):
                yield evaluation, trunk, f"{evaluation}-{trunk}"


def _final(points: Iterable[Point], evaluation: str, trunk: str) -> list[Point]:
    return [p for p in points if p.head.final and (p.head.evaluation, p.head.trunk) == (evaluation, trunk)]


def _contrasts(results: Results, evaluation: str, trunk: str, against: str) -> list[Contrast]:
    """Measured ones of last snapshots; against the input only where that is not base."""
    return [
        c
        for c in results.contrasts
        if c.deltas
        and c.a.head.final
        and (c.a.head.evaluation, c.a.head.trunk) == (evaluation, trunk)
        and against in c.against
        and (against == "base" or c.b.head.recipe != BASE)
    ]


def _series_of_points(points: Sequence[Point], metric: str) -> tuple[Series, ...]:
    lines = []
    for arm in dict.fromkeys(point.head.arm for point in points):
        own = sorted(
            (p for p in points if p.head.arm == arm and metric in p.estimates), key=lambda p: p.head.tokens
        )
        dots = [
            _single(p.estimates[metric], cell_value(cell, metric), cell)
            for p in own
            if len(p.measured) > 1
            for cell in p.measured
        ]
        if own:
            spots = tuple(Spot(p.estimates[metric], p.measured) for p in own)
            lines.append(Series(arm, arm, spots, tuple(dots)))
    return tuple(lines)


def _series_of_contrasts(
    contrasts: Sequence[Contrast], metric: str, *, dashed: bool = False
) -> tuple[Series, ...]:
    lines = []
    for label in dict.fromkeys(contrast.label for contrast in contrasts):
        own = sorted((c for c in contrasts if c.label == label), key=lambda c: c.a.head.tokens)
        dots = [
            _single(c.deltas[metric], value, cell, c.b.measured)
            for c in own
            if len(c.a.measured) > 1
            for cell, value in zip(c.a.measured, _replicate_deltas(c, metric), strict=True)
        ]
        spots = tuple(_spot(c, metric) for c in own)
        lines.append(Series(label, own[0].a.head.arm, spots, tuple(dots), dashed))
    return tuple(lines)


def _spot(contrast: Contrast, metric: str) -> Spot:
    return Spot(contrast.deltas[metric], contrast.a.measured, contrast.b.measured)


def _single(mean: Estimate, value: float, cell: Cell, against: tuple[Cell, ...] = ()) -> Spot:
    """One replicate of a mean, which has no interval of its own."""
    return Spot(Estimate(value, None, None, mean.num_units, (1,)), (cell,), against, single=True)


def _replicate_deltas(contrast: Contrast, metric: str) -> list[float]:
    """Each replicate of a, less the mean of b, on their common units."""
    a, b = contrast.a.samples[metric], contrast.b.samples[metric]
    ids = np.intersect1d(a.ids, b.ids)
    part, other = a.at(ids), b.at(ids).value()
    return [float(value) - other for value in part.above.sum(axis=1) / part.below.sum(axis=1)]


def gains(results: Results) -> list[Drawing]:
    """What each recipe adds to its checkpoint, over the tokens that the checkpoint had seen."""
    out = []
    for evaluation, trunk, name in _places(results, "pass_at_k"):
        base = _contrasts(results, evaluation, trunk, "base")
        inputs = _contrasts(results, evaluation, trunk, "input")
        metrics = _first_and_last(results, evaluation) if base or inputs else ()
        panels = tuple(
            Panel(
                f"\u0394 {metric}",
                "change (percentage points)",
                metric,
                100.0,
                _series_of_contrasts(base, metric) + _series_of_contrasts(inputs, metric, dashed=True),
                zero=True,
            )
            for metric in metrics
        )
        caption = (
            f"Change of {listing(list(metrics))} in percentage points against the base model of the same "
            f"checkpoint, over the tokens that the checkpoint had seen. Each panel has its own scale."
        )
        if inputs:
            caption += " Dashed: against the model that the last stage started from."
        caption += bands(base + inputs, results.percent)
        title = f"Gains over pre-training: {evaluation} on {trunk}"
        out.append(Drawing(f"gains-{name}", title, caption, panels, results.level))
    return out


def levels(results: Results) -> list[Drawing]:
    """pass@k itself, a panel for each k."""
    out = []
    for evaluation, trunk, name in _places(results, "pass_at_k"):
        points = [p for p in _final(results.points, evaluation, trunk) if p.estimates]
        metrics = metric_names(results.evaluations[evaluation]) if points else ()
        panels = tuple(
            Panel(
                metric,
                f"{metric} (%)",
                metric,
                100.0,
                _series_of_points(points, metric),
                zero=False,
                from_zero=True,
            )
            for metric in metrics
        )
        caption = (
            f"{listing(list(metrics))} in percent over the tokens that the checkpoint had seen, a line for "
            f"each recipe. Each panel has its own scale.{bands(points, results.percent)}"
        )
        title = f"pass@k over pre-training: {evaluation} on {trunk}"
        out.append(Drawing(f"panels-{name}", title, caption, panels, results.level))
    return out


def sharpening(results: Results) -> list[Drawing]:
    """The change of pass@1 beside that of pass@K: sharpened, expanded, or not decided."""
    out = []
    for evaluation, trunk, name in _places(results, "pass_at_k"):
        metrics = _first_and_last(results, evaluation)
        if len(metrics) < 2 or metrics[0] != "pass@1":
            continue
        panels, used = [], []
        for against, words in (("base", "base"), ("input", "the stage's input")):
            contrasts = _contrasts(results, evaluation, trunk, against)
            used += contrasts
            if contrasts:
                marks = tuple(_mark(contrast, metrics) for contrast in contrasts)
                panels.append(Scatter(f"against {words}", (metrics[0], metrics[1]), marks))
        caption = (
            f"Change of pass@1 (across) and of {metrics[1]} (up), a mark for each recipe and checkpoint with "
            f"{results.percent} intervals; a thin line joins the checkpoints of a recipe. Filled: the "
            f"intervals decide for sharpened, expanded or declined; hollow: inconclusive. "
            f"{sizes(used, lines=False)}"
        )
        title = f"Sharpening or expansion: {evaluation} on {trunk}"
        out.append(Drawing(f"sharpening-{name}", title, caption, tuple(panels), results.level))
    return out


def _mark(contrast: Contrast, metrics: Sequence[str]) -> Mark:
    label = contrast.verdict.label if contrast.verdict else ""
    across, up = (_spot(contrast, metric) for metric in metrics)
    return Mark(contrast.label, contrast.a.head.arm, across, up, label)


def general(results: Results) -> list[Drawing]:
    """What the recipes cost elsewhere: bits per byte of held-out text."""
    out = []
    metric = "bits_per_byte"
    for evaluation, trunk, name in _places(results, metric):
        points = [p for p in _final(results.points, evaluation, trunk) if p.estimates]
        base = _contrasts(results, evaluation, trunk, "base")
        panels = []
        if points:
            series = _series_of_points(points, metric)
            panels.append(_bits_panel("bits per byte", "bits per byte (lower is better)", series))
        if base:
            series = _series_of_contrasts(base, metric)
            panels.append(_bits_panel("change against base", "change in bits per byte", series, zero=True))
        caption = (
            "Bits per byte of held-out text, over the tokens that the checkpoint had seen: lower is better. "
            f"The change is against the base model of the same checkpoint.{bands(points, results.percent)}"
        )
        title = f"General capability kept: {evaluation} on {trunk}"
        out.append(Drawing(f"general-{name}", title, caption, tuple(panels), results.level))
    return out


def _bits_panel(title: str, y_label: str, series: tuple[Series, ...], *, zero: bool = False) -> Panel:
    return Panel(title, y_label, "bits_per_byte", 1.0, series, zero)


FIGURES: dict[str, Callable[[Results], list[Drawing]]] = {
    "gains": gains,
    "panels": levels,
    "sharpening": sharpening,
    "general": general,
}


def _first_and_last(results: Results, evaluation: str) -> tuple[str, ...]:
    """pass@1, or the smallest k there is, and the largest."""
    names = metric_names(results.evaluations[evaluation])
    last = largest_k(names)
    return names[:1] if last is None else tuple(dict.fromkeys((names[0], f"pass@{last}")))
