"""What figures choose from the results, and lines made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from exc.runtime.report.cells import Cell, metric_names
from exc.runtime.report.contrasts import Contrast, Point, largest_k
from exc.runtime.report.formats import is_share, unit, words
from exc.runtime.report.panels import TOKENS, Across, Drawing, Panel, Scatter, Series, Spot
from exc.runtime.report.results import Results
from exc.runtime.report.selections import Request
from exc.runtime.report.statistics import Estimate, Sample
from exc.runtime.report.tables import cell_value
from exc.spec.harness import less_is_better
from exc.spec.references import BASE


@dataclass(frozen=True, slots=True)
class Asked:
    """A figure that the spec asks for, and what it may draw; `whole` are the results of all models."""

    results: Results
    whole: Results
    request: Request

    def drawing(
        self, name: str, title: str, caption: str, panels: Sequence[Panel | Scatter], columns: int = 0
    ) -> Drawing:
        return Drawing(name, title, caption, tuple(panels), self.results.level, columns)

    def evaluations(self, *kinds: str) -> list[str]:
        """Those of some kinds, or the one that the spec names."""
        one = self.request.told.get("evaluation")
        return [
            name
            for name, settings in self.results.evaluations.items()
            if settings["kind"] in kinds and one in (None, name)
        ]

    def metrics(self, evaluation: str, default: Sequence[str]) -> list[str]:
        """Of one evaluation, those that the spec names, or by default."""
        asked = [metric.removeprefix(f"{evaluation}/") for metric in self.request.texts("metrics")]
        own = metric_names(self.results.evaluations[evaluation])
        return [metric for metric in asked if metric in own] if asked else list(default)

    def places(self, *kinds: str) -> Iterator[tuple[str, str]]:
        """Evaluations with each trunk that has cells of them."""
        for evaluation in self.evaluations(*kinds):
            cells = [cell for cell in self.results.cells if cell.evaluation == evaluation]
            for trunk in dict.fromkeys(cell.trunk for cell in cells):
                yield evaluation, trunk

    @property
    def tokens(self) -> Across:
        """The axis of tokens, logarithmic if the spec says so."""
        return replace(TOKENS, logarithmic=self.request.told.get("log"))


def final(points: Iterable[Point], evaluation: str, trunk: str) -> list[Point]:
    """Measured models at their last step."""
    return [
        p
        for p in points
        if p.estimates and p.head.final and (p.head.evaluation, p.head.trunk) == (evaluation, trunk)
    ]


def contrasts_of(results: Results, evaluation: str, trunk: str, against: str) -> list[Contrast]:
    """Measured ones of last snapshots; against the input only where that is not base."""
    return [
        c
        for c in results.contrasts
        if c.deltas
        and c.a.head.final
        and (c.a.head.evaluation, c.a.head.trunk) == (evaluation, trunk)
        and against in c.against
        and (against != "input" or c.b.head.recipe != BASE)
    ]


def series_of_points(points: Sequence[Point], metric: str) -> tuple[Series, ...]:
    """A line over tokens for each arm, with its replicates."""
    lines = []
    for arm in dict.fromkeys(point.head.arm for point in points):
        own = sorted(
            (p for p in points if p.head.arm == arm and metric in p.estimates), key=lambda p: p.head.tokens
        )
        if own:
            dots = [dot for point in own for dot in dots_of(point, metric)]
            spots = tuple(spot_of(point, metric) for point in own)
            lines.append(Series(arm, arm, spots, tuple(dots)))
    return tuple(lines)


def series_of_contrasts(
    contrasts: Sequence[Contrast], metric: str, *, dashed: bool = False
) -> tuple[Series, ...]:
    """A line over tokens for each pair, with a's replicates."""
    lines = []
    measured = [contrast for contrast in contrasts if metric in contrast.deltas]
    for label in dict.fromkeys(contrast.label for contrast in measured):
        own = sorted((c for c in measured if c.label == label), key=lambda c: c.a.head.tokens)
        dots = [
            _single(c.deltas[metric], value, cell, c.b.measured)
            for c in own
            if len(c.a.measured) > 1
            for cell, value in zip(c.a.measured, _replicate_deltas(c, metric), strict=True)
        ]
        spots = tuple(delta_spot(c, metric) for c in own)
        lines.append(Series(label, own[0].a.head.arm, spots, tuple(dots), dashed))
    return tuple(lines)


def spot_of(point: Point, metric: str, x: float | None = None) -> Spot:
    return Spot(point.estimates[metric], point.measured, x=x)


def delta_spot(contrast: Contrast, metric: str) -> Spot:
    return Spot(contrast.deltas[metric], contrast.a.measured, contrast.b.measured)


def dots_of(point: Point, metric: str, x: float | None = None) -> list[Spot]:
    """Single replicates, where there are several."""
    if len(point.measured) < 2:
        return []
    mean = point.estimates[metric]
    return [replace(_single(mean, cell_value(cell, metric), cell), x=x) for cell in point.measured]


def _single(mean: Estimate, value: float, cell: Cell, against: tuple[Cell, ...] = ()) -> Spot:
    """One replicate of a mean, which has no interval of its own."""
    return Spot(Estimate(value, None, None, mean.num_units, (1,)), (cell,), against, single=True)


def _replicate_deltas(contrast: Contrast, metric: str) -> list[float]:
    """Each replicate of a, less the mean of b, on their common units."""
    a, b = contrast.a.samples[metric], contrast.b.samples[metric]
    if not isinstance(a, Sample) or not isinstance(b, Sample):
        return [cell_value(cell, metric) - b.value() for cell in contrast.a.measured]
    ids = np.intersect1d(a.ids, b.ids)
    part, other = a.at(ids), b.at(ids).value()
    return [float(value) - other for value in part.above.sum(axis=1) / part.below.sum(axis=1)]


def level_panel(
    metric: str,
    series: tuple[Series, ...],
    across: Across = TOKENS,
    *,
    title: str = "",
    column: str = "",
    from_zero: bool | None = None,
    bars: bool = False,
    beside: bool = False,
) -> Panel:
    """Lines, or bars, of a metric itself; the axis of a share starts at zero unless it is said otherwise."""
    share = is_share(metric)
    return Panel(
        title or words(metric),
        level_label(metric),
        metric,
        100.0 if share else 1.0,
        series,
        zero=False,
        from_zero=share if from_zero is None else from_zero,
        across=across,
        bars=bars,
        beside=beside,
        column=column,
    )


def level_label(metric: str) -> str:
    """The axis of a metric."""
    name = words(metric)
    if less_is_better(metric):
        return f"{name} (lower is better)"
    return f"{name} ({unit(metric)})" if unit(metric) else name


def change_panel(title: str, metric: str, series: tuple[Series, ...], across: Across = TOKENS) -> Panel:
    """Lines of differences."""
    if is_share(metric):
        return Panel(title, "change (percentage points)", metric, 100.0, series, zero=True, across=across)
    name = words(metric)
    return Panel(title, f"change in {name}", metric, 1.0, series, zero=True, across=across)


def reference_lines(asked: Asked, points: Sequence[Point], metric: str) -> tuple[Series, ...]:
    """The recipes that the spec names as references, as lines from side to side."""
    names = asked.request.texts("references")
    return tuple(
        Series(f"{p.head.arm} (reference)", p.head.arm, (spot_of(p, metric),), (), dashed=True, level=True)
        for p in points
        if p.head.final and metric in p.estimates and names_point(names, p)
    )


def names_point(names: Sequence[str], point: Point) -> bool:
    head = point.head
    return any(name in (head.recipe, head.recipe.partition("[")[0], head.arm) for name in names)


def first_and_last(results: Results, evaluation: str) -> tuple[str, ...]:
    """pass@1, or the smallest k there is, and the largest; of other kinds the metrics that stand for them."""
    names = metric_names(results.evaluations[evaluation])
    last = largest_k(names)
    return names[:1] if last is None else tuple(dict.fromkeys((names[0], f"pass@{last}")))


def chances(results: Results, evaluation: str) -> list[str]:
    """Every pass@k of an evaluation."""
    names = metric_names(results.evaluations[evaluation])
    return [name for name in names if name.startswith("pass@")]


def general_metric(results: Results) -> tuple[str, str] | None:
    """The evaluation and the metric that stand for general capability."""
    for name, settings in results.evaluations.items():
        if settings["kind"] == "lm_eval" and settings.get("metrics"):
            metrics = list(settings["metrics"])
            return name, "mean" if "mean" in metrics else metrics[0]
    kinds = {name: settings["kind"] for name, settings in results.evaluations.items()}
    return next(((name, kind) for name, kind in kinds.items() if kind == "bits_per_byte"), None)


def of_trunk(series: Series, trunk: str, *, alone: bool) -> Series:
    """A line in the colour of its trunk, for figures of several; `alone`: with no other of its trunk."""
    plain = trunk.replace("[", "(").replace("]", ")")
    inside = series.label.replace("[", "(").replace("]", ")")
    arm = plain if alone else f"{plain}[{inside}]"
    return replace(series, arm=arm, label=arm)
