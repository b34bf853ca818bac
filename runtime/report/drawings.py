"""What each figure draws, chosen from the results: which panels, and a line in each for what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from exc.runtime.report.captions import bands, sizes, trends
from exc.runtime.report.cells import BASE, metric_names
from exc.runtime.report.contrasts import Contrast, Point, largest_k
from exc.runtime.report.formats import count, listing
from exc.runtime.report.panels import Drawing, Mark, Panel, Scatter, Series
from exc.runtime.report.results import Results
from exc.runtime.report.tables import cell_value


def drawings_of(results: Results) -> tuple[list[Drawing], list[str]]:
    """Every figure the spec asks for that has something to show, and a line for each that has not."""
    found: list[Drawing] = []
    notes: list[str] = []
    for entry in results.plan.report.get("figures", ()):
        name = entry if isinstance(entry, str) else next(iter(entry))
        make = FIGURES.get(name)
        if make is None:
            notes.append(f"the figure `{name}` is asked for, which this version does not draw")
            continue
        made = [drawing for drawing in make(results) if drawing.panels]
        found += made
        if not made:
            notes.append(f"the figure `{name}` has nothing to draw: none of its cells is measured")
    return found, notes


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
    arms = dict.fromkeys(point.head.arm for point in points)
    lines = []
    for arm in arms:
        own = sorted(
            (p for p in points if p.head.arm == arm and metric in p.estimates), key=lambda p: p.head.tokens
        )
        dots = [
            (cell.tokens, cell_value(cell, metric)) for p in own if len(p.measured) > 1 for cell in p.measured
        ]
        if own:
            tokens = tuple(p.head.tokens for p in own)
            lines.append(Series(arm, arm, tokens, tuple(p.estimates[metric] for p in own), tuple(dots)))
    return tuple(lines)


def _series_of_contrasts(
    contrasts: Sequence[Contrast], metric: str, *, dashed: bool = False
) -> tuple[Series, ...]:
    lines = []
    for label in dict.fromkeys(contrast.label for contrast in contrasts):
        own = sorted((c for c in contrasts if c.label == label), key=lambda c: c.a.head.tokens)
        dots = [
            (c.a.head.tokens, value)
            for c in own
            if len(c.a.measured) > 1
            for value in _replicate_deltas(c, metric)
        ]
        tokens = tuple(c.a.head.tokens for c in own)
        deltas = tuple(c.deltas[metric] for c in own)
        lines.append(Series(label, own[0].a.head.arm, tokens, deltas, tuple(dots), dashed))
    return tuple(lines)


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
        alt = f"Line chart. {trends(panels)}"
        title = f"Gains over pre-training: {evaluation} on {trunk}"
        out.append(Drawing(f"gains-{name}", title, caption, alt, panels, results.percent))
    return out


def levels(results: Results) -> list[Drawing]:
    """pass@k itself, a panel for each k."""
    out = []
    for evaluation, trunk, name in _places(results, "pass_at_k"):
        points = [p for p in _final(results.points, evaluation, trunk) if p.estimates]
        metrics = metric_names(results.evaluations[evaluation]) if points else ()
        panels = tuple(
            Panel(
                metric, f"{metric} (%)", 100.0, _series_of_points(points, metric), zero=False, from_zero=True
            )
            for metric in metrics
        )
        caption = (
            f"{listing(list(metrics))} in percent over the tokens that the checkpoint had seen, a line for "
            f"each recipe. Each panel has its own scale.{bands(points, results.percent)}"
        )
        title = f"pass@k over pre-training: {evaluation} on {trunk}"
        alt = f"Line chart. {trends(panels)}"
        out.append(Drawing(f"panels-{name}", title, caption, alt, panels, results.percent))
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
                labels = [f"\u0394 {metric} (pp)" for metric in metrics]
                marks = tuple(_mark(contrast, metrics) for contrast in contrasts)
                panels.append(Scatter(f"against {words}", labels[0], labels[1], marks))
        caption = (
            f"Change of pass@1 (across) and of {metrics[1]} (up), a mark for each recipe and checkpoint with "
            f"{results.percent} intervals; a thin line joins the checkpoints of a recipe. Filled: the "
            f"intervals decide for sharpened, expanded or declined; hollow: inconclusive. "
            f"{sizes(used, lines=False)}"
        )
        verdicts = [
            f"{c.label} at {count(c.a.head.tokens)} tokens is {c.verdict.label}" for c in used if c.verdict
        ]
        title = f"Sharpening or expansion: {evaluation} on {trunk}"
        alt = f"Scatter plot of the two changes. {'; '.join(verdicts)}."
        out.append(Drawing(f"sharpening-{name}", title, caption, alt, tuple(panels), results.percent))
    return out


def _mark(contrast: Contrast, metrics: Sequence[str]) -> Mark:
    label = contrast.verdict.label if contrast.verdict else ""
    head = contrast.a.head
    return Mark(head.arm, head.tokens, contrast.deltas[metrics[0]], contrast.deltas[metrics[1]], label)


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
            panels.append(Panel("bits per byte", "bits per byte (lower is better)", 1.0, series, zero=False))
        if base:
            series = _series_of_contrasts(base, metric)
            panels.append(Panel("change against base", "change in bits per byte", 1.0, series, zero=True))
        caption = (
            "Bits per byte of held-out text, over the tokens that the checkpoint had seen: lower is better. "
            f"The change is against the base model of the same checkpoint.{bands(points, results.percent)}"
        )
        title = f"General capability kept: {evaluation} on {trunk}"
        alt = f"Line chart. {trends(panels)}"
        out.append(Drawing(f"general-{name}", title, caption, alt, tuple(panels), results.percent))
    return out


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
