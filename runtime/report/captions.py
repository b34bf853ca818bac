"""Words under and behind a figure: how much it rests on, and what a person who cannot see it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exc.runtime.report.cells import noun_of
from exc.runtime.report.contrasts import Contrast, Point
from exc.runtime.report.formats import count, delta_text, is_share, unit, value_text
from exc.runtime.report.panels import Mark, Panel, Scatter
from exc.spec.references import BASE
from exc.spec.words import plural


def bands(shown: Sequence[Point] | Sequence[Contrast], percent: str) -> str:
    """What the bands are, and over how much."""
    wide = " Those that end at the edge of a panel extend beyond it." if _has_pairs(shown) else ""
    return f" Bands and bars: {percent} bootstrap intervals.{wide} {sizes(shown)}" if shown else ""


def _has_pairs(shown: Sequence[Point] | Sequence[Contrast]) -> bool:
    """Whether something rests on two or three replicates, of which an interval may leave its panel."""
    estimates = [e for s in shown for e in (s.estimates if isinstance(s, Point) else s.deltas).values()]
    return any(1 < number < 4 for estimate in estimates for number in estimate.num_replicates)


def sizes(shown: Sequence[Point] | Sequence[Contrast], *, lines: bool = True) -> str:
    """What the numbers rest on: how many units, and how many replicates."""
    estimates = [e for s in shown for e in (s.estimates if isinstance(s, Point) else s.deltas).values()]
    if not estimates:
        return ""
    head = shown[0].head if isinstance(shown[0], Point) else shown[0].a.head
    noun = noun_of(head)
    sizes = sorted({estimate.num_units for estimate in estimates if estimate.num_units})
    text = ""
    if sizes:
        text = plural(sizes[0], noun) if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} {noun}s"
        text = f"n = {text}, "
    most = max(max(estimate.num_replicates) for estimate in estimates)
    if most == 1:
        return _sentence(
            f"{text}one replicate of each, so the intervals do not cover the spread of training."
        )
    dots = "lines are their mean, small dots are single replicates" if lines else "marks are their mean"
    return _sentence(f"{text}up to {most} replicates: {dots}.") + _alone(shown)


def _alone(shown: Sequence[Point] | Sequence[Contrast]) -> str:
    """What holds of recipes that were trained once, among others that were trained several times."""
    points = [p for s in shown for p in ((s,) if isinstance(s, Point) else (s.a, s.b))]
    if not any(len(p.measured) == 1 and p.head.recipe != BASE for p in points):
        return ""
    return " Where there is only one, the interval does not cover the spread of training."


def _sentence(text: str) -> str:
    return text if text.startswith("n =") else text[:1].upper() + text[1:]


def alt_text(panel: Panel | Scatter) -> str:
    """A panel in words."""
    if isinstance(panel, Panel):
        return f"{'Bar' if panel.bars else 'Line'} chart over {panel.across.label}. {trends([panel])}"
    said = [
        f"{m.label} at {count(m.tokens)} tokens " + (f"is {m.verdict}" if m.verdict else _place_of(panel, m))
        for m in panel.marks
    ]
    note = f" {panel.note}." if panel.note else ""
    return f"Scatter plot of {panel.x_label} and {panel.y_label}, {panel.title}. {'; '.join(said)}.{note}"


def _place_of(panel: Scatter, mark: Mark) -> str:
    show = delta_text if panel.changes else value_text
    x, y = (
        show(metric, spot.estimate.value)
        for metric, spot in zip(panel.metrics, (mark.x, mark.y), strict=True)
    )
    return f"is at {x} and {y}"


def trends(panels: Iterable[Panel]) -> str:
    """Each line from its first to its last value."""
    parts = []
    for panel in panels:
        lines = []
        for series in panel.series:
            first, last = series.estimates[0].value, series.estimates[-1].value
            metric = panel.metric
            show = delta_text if panel.zero else value_text
            mark = unit(metric, delta=panel.zero) if is_share(metric) else ""
            ends = [
                f"{show(metric, value)}{' ' if panel.zero else ''}{mark}".strip() for value in (first, last)
            ]
            at = [panel.across.words(x) for x in (series.xs[0], series.xs[-1])]
            if series.level:
                lines.append(f"{series.label} is {ends[0]}")
            elif len(series.xs) == 1:
                lines.append(f"{series.label} is {ends[0]} at {at[0]}")
            else:
                lines.append(f"{series.label} goes from {ends[0]} at {at[0]} to {ends[1]} at {at[1]}")
        parts.append(f"{panel.title}: {'; '.join(lines)}.")
    return " ".join(parts)
