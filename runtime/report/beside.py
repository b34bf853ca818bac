"""Figures that set recipes beside each other: the spread of replicates, sweeps, prompts of the base model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exc.runtime.report.captions import bands, sizes
from exc.runtime.report.contrasts import Point
from exc.runtime.report.formats import count, delta_text, listing, unit
from exc.runtime.report.lines import (
    Asked,
    chances,
    dots_of,
    final,
    first_and_last,
    general_metric,
    level_panel,
    names_point,
    reference_lines,
    series_of_points,
    spot_of,
)
from exc.runtime.report.panels import Across, Drawing, Panel, Series, Spot
from exc.runtime.report.statistics import Estimate
from exc.runtime.report.tables import cell_value, spread
from exc.spec.cells import base_of
from exc.spec.harness import less_is_better
from exc.spec.references import BASE

# What two evaluations may differ in and still be compared for their exemplars.
_NOT_THE_PROTOCOL = ("num_fewshot", "k", "num_samples", "block_size", "metrics", "mean")


def seeds(asked: Asked) -> list[Drawing]:
    """Every replicate, with the mean of those of a recipe; the best only where the spec asks for it."""
    out = []
    for evaluation, trunk in asked.places("pass_at_k", "lm_eval", "bits_per_byte"):
        points = [p for p in final(asked.results.points, evaluation, trunk) if len(p.measured) > 1]
        metrics = asked.metrics(evaluation, first_and_last(asked.results, evaluation))
        places = sorted({point.head.tokens for point in points})
        names = tuple((float(number), count(tokens)) for number, tokens in enumerate(places))
        across = Across("pre-training tokens of the checkpoint", "names", names=names)
        best = asked.request.told.get("best")
        panels = []
        for metric in metrics if points else ():
            series = _replicated(points, metric, places)
            series += _best(points, metric, str(best).removeprefix(f"{evaluation}/"), places) if best else ()
            panels.append(level_panel(metric, series, across, beside=True, from_zero=False))
        caption = f"Small dots are replicates, marks their mean with {asked.results.percent} intervals."
        caption += f" {_spreads(points, metrics[0])}" if points else ""
        if best:
            caption += (
                f" Diamonds: the replicate that is best by {best}, chosen by its result, so that its numbers "
                "are biased upwards; no other replicate in this report is chosen so."
            )
        title = f"Spread over replicates: {evaluation} on {trunk}"
        out.append(asked.drawing(f"seeds-{evaluation}-{trunk}", title, caption, panels))
    return out


def _replicated(points: Sequence[Point], metric: str, places: Sequence[int]) -> tuple[Series, ...]:
    lines = []
    for arm in dict.fromkeys(point.head.arm for point in points):
        own = [p for p in points if p.head.arm == arm and metric in p.estimates]
        at = [float(places.index(p.head.tokens)) for p in own]
        spots = tuple(spot_of(p, metric, x) for p, x in zip(own, at, strict=True))
        dots = tuple(dot for p, x in zip(own, at, strict=True) for dot in dots_of(p, metric, x))
        lines.append(Series(arm, arm, spots, dots))
    return tuple(lines)


def _best(points: Sequence[Point], metric: str, by: str, places: Sequence[int]) -> tuple[Series, ...]:
    """Of each recipe the replicate that is best by one metric, the same in every panel."""
    lines = []
    for arm in dict.fromkeys(point.head.arm for point in points):
        spots, most = [], 0
        for point in points:
            if point.head.arm != arm or by not in point.estimates or metric not in point.estimates:
                continue
            sign = -1 if less_is_better(by) else 1
            cell = max(point.measured, key=lambda cell: sign * cell_value(cell, by))
            mean = point.estimates[metric]
            estimate = Estimate(cell_value(cell, metric), None, None, mean.num_units, (1,))
            spots.append(Spot(estimate, (cell,), single=True, x=float(places.index(point.head.tokens))))
            most = max(most, len(point.measured))
        if spots:
            lines.append(Series(f"{arm}, best of {most} by {by}", arm, tuple(spots), (), chosen=True))
    return tuple(lines)


def _spreads(points: Sequence[Point], metric: str) -> str:
    """How far replicates lie apart, as standard deviations."""
    parts = []
    for arm in dict.fromkeys(point.head.arm for point in points):
        found = [spread(p, metric) for p in points if p.head.arm == arm and metric in p.estimates]
        known = [value for value in found if value is not None]
        texts = [delta_text(metric, value).lstrip("+") for value in (min(known), max(known))] if known else []
        ends = " to ".join(dict.fromkeys(texts))
        parts.append(f"{arm} {ends} {unit(metric, delta=True)}".strip())
    return f"Standard deviation of {metric} over replicates: {listing(parts)}."


def sweep(asked: Asked) -> list[Drawing]:
    """Recipes, or the values of an axis of theirs, beside each other: their task, and what they cost."""
    out = []
    names = asked.request.texts("references")
    for trunk, at in dict.fromkeys((p.head.trunk, p.head.at) for p in asked.results.points):
        panels, used = [], []
        across: Across | None = None
        for evaluation, metric in _swept_metrics(asked):
            place = (evaluation, trunk, at)
            here = [
                p for p in asked.results.points if p.head.point[:3] == place and p.head.final and p.estimates
            ]
            bars = [p for p in here if metric in p.estimates and not names_point(names, p)]
            across = across or _swept_axis(asked, bars)
            placed = _swept(asked, bars, metric, across)
            every = [p for p in asked.whole.points if p.head.point[:3] == place and p.estimates]
            if placed:
                used += bars
                series = (*placed, *reference_lines(asked, every, metric))
                title = metric if metric.startswith("pass@") else f"{evaluation}: {metric.replace('_', ' ')}"
                panels.append(
                    level_panel(
                        metric, series, across, bars=True, title=title, from_zero=metric != "bits_per_byte"
                    )
                )
        if not panels:
            continue
        tokens = count(used[0].head.tokens)
        caption = f"Last steps, with {asked.results.percent} intervals."
        caption += f" Dashed lines: {listing(list(names))}." if names else ""
        caption += f" {sizes(used, lines=False)}"
        title = f"Recipes beside each other: {trunk} at {tokens} tokens"
        columns = 2 if len(panels) == 4 else 0
        out.append(asked.drawing(f"sweep-{trunk}-{at}", title, caption, panels, columns))
    return out


def _swept_metrics(asked: Asked) -> list[tuple[str, str]]:
    """By default every pass@k of the first task, and what stands for general capability."""
    names = asked.request.texts("metrics")
    task = next(iter(asked.evaluations("pass_at_k")), None)
    elsewhere = general_metric(asked.results)
    if not names:
        own = [(task, metric) for metric in chances(asked.results, task)] if task else []
        return own + ([elsewhere] if elsewhere else [])
    owners = sorted(asked.results.evaluations, key=len, reverse=True)
    found = []
    for name in names:
        owner = next((each for each in owners if name.startswith(f"{each}/")), task)
        if owner is not None:
            found.append((owner, name.removeprefix(f"{owner}/")))
    return found


def _swept_axis(asked: Asked, points: Sequence[Point]) -> Across:
    axis = asked.request.told.get("axis")
    if axis is None:
        names = list(dict.fromkeys(point.head.arm for point in points))
        ticks = tuple((float(n), name) for n, name in enumerate(names))
        return Across("recipe", "names", names=ticks, together=True)
    values = dict.fromkeys(_value(asked, point, axis) for point in points)
    known = sorted((value for value in values if value is not None), key=_by_size)
    return Across(str(axis), "names", names=tuple((float(n), value) for n, value in enumerate(known)))


def _by_size(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _value(asked: Asked, point: Point, axis: str) -> str | None:
    cell: Mapping[str, Any] = asked.results.plan.report["cells"][point.head.number]
    matrix = cell.get("matrix") or {}
    return None if axis not in matrix else str(matrix[axis])


def _swept(asked: Asked, points: Sequence[Point], metric: str, across: Across) -> tuple[Series, ...]:
    places = {name: place for place, name in across.names}
    axis = asked.request.told.get("axis")
    groups: dict[str, list[tuple[float, Point]]] = {}
    for point in points:
        if axis is None:
            groups.setdefault(point.head.arm, []).append((places[point.head.arm], point))
        elif (value := _value(asked, point, axis)) is not None:
            groups.setdefault(_without(point, axis), []).append((places[value], point))
    lines = []
    for name, own in groups.items():
        spots = tuple(spot_of(p, metric, x) for x, p in sorted(own, key=lambda pair: pair[0]))
        dots = tuple(dot for x, p in own for dot in dots_of(p, metric, x))
        lines.append(Series(name, name, spots, dots))
    return tuple(lines)


def _without(point: Point, axis: str) -> str:
    """A recipe's name without one axis."""
    arm = point.head.arm
    inside = arm.removeprefix(base_of(arm)).strip("[]")
    rest = [part for part in inside.split(",") if part and part.partition("=")[0] != axis]
    return base_of(arm) + (f"[{','.join(rest)}]" if rest else "")


def baselines(asked: Asked) -> list[Drawing]:
    """The base model under prompts that differ in the number of their exemplars."""
    groups: dict[str, list[str]] = {}
    for name, settings in asked.results.evaluations.items():
        if settings["kind"] in ("pass_at_k", "lm_eval"):
            alike = {key: value for key, value in settings.items() if key not in _NOT_THE_PROTOCOL}
            groups.setdefault(repr(sorted(alike.items())), []).append(name)
    out = []
    for names in groups.values():
        for trunk in asked.whole.trunks:
            found = _of_each_number(asked, names, trunk)
            if len(found) > 1:
                out.append(_baseline(asked, names[0], found, trunk))
    return out


def _of_each_number(asked: Asked, names: Sequence[str], trunk: str) -> dict[str, list[Point]]:
    """Of the evaluations with equally many exemplars, the one that measured most models."""
    found: dict[int, tuple[str, list[Point]]] = {}
    for name in names:
        points = [p for p in final(asked.results.points, name, trunk) if p.head.recipe == BASE]
        shots = _shots(asked, name)
        if points and (shots not in found or len(points) > len(found[shots][1])):
            found[shots] = (name, points)
    return dict(found[shots] for shots in sorted(found))


def _shots(asked: Asked, evaluation: str) -> int:
    """Exemplars before the base model's problem; -1 where each task says."""
    given = asked.results.evaluations[evaluation].get("num_fewshot")
    return -1 if given is None else int(given.get("base", 0))


def _baseline(asked: Asked, what: str, found: Mapping[str, list[Point]], trunk: str) -> Drawing:
    panels: list[Panel] = []
    first = next(iter(found))
    own = chances(asked.results, first) or list(asked.results.evaluations[first].get("metrics", ()))
    for metric in asked.metrics(first, own):
        series = []
        for name, points in found.items():
            shots = _shots(asked, name)
            label = f"{shots}-shot" if shots >= 0 else "as the tasks say"
            series += [
                Series(label, label, line.spots, line.replicates) for line in series_of_points(points, metric)
            ]
        if len(series) > 1:
            panels.append(level_panel(metric, tuple(series), asked.tokens))
    shown = [point for points in found.values() for point in points]
    caption = (
        f"The base model over the tokens that it had seen, with {listing([f'`{name}`' for name in found])}, "
        f"which differ in how many exemplars stand before the problem.{bands(shown, asked.results.percent)}"
    )
    title = f"Prompts of the base model: {what} on {trunk}"
    return asked.drawing(f"baselines-{what}-{trunk}", title, caption, panels)
