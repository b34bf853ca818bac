"""Words under and behind a figure: how much it rests on, and what a person who cannot see it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exc.runtime.report.contrasts import Contrast, Point
from exc.runtime.report.formats import count, delta_text, is_share, unit, value_text
from exc.runtime.report.panels import Panel, Scatter
from exc.spec.words import plural


def bands(shown: Sequence[Point] | Sequence[Contrast], percent: str) -> str:
    """What the bands are, and over how much."""
    return f" Bands and bars: {percent} bootstrap intervals. {sizes(shown)}" if shown else ""


def sizes(shown: Sequence[Point] | Sequence[Contrast], *, lines: bool = True) -> str:
    """What the numbers rest on: how many units, and how many replicates."""
    estimates = [e for s in shown for e in (s.estimates if isinstance(s, Point) else s.deltas).values()]
    if not estimates:
        return ""
    head = shown[0].head if isinstance(shown[0], Point) else shown[0].a.head
    noun = "document" if head.kind == "bits_per_byte" else "problem"
    sizes = sorted({estimate.num_units for estimate in estimates})
    text = plural(sizes[0], noun) if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} {noun}s"
    most = max(max(estimate.num_replicates) for estimate in estimates)
    if most == 1:
        return f"n = {text}, one replicate of each, so that no interval covers the spread of training."
    dots = "lines are their mean, small dots are single ones" if lines else "marks are their mean"
    return f"n = {text}, up to {most} replicates: {dots}."


def alt_text(panel: Panel | Scatter) -> str:
    """A panel in words."""
    if isinstance(panel, Panel):
        return f"Line chart over pre-training tokens. {trends([panel])}"
    verdicts = [f"{m.label} at {count(m.tokens)} tokens is {m.verdict}" for m in panel.marks if m.verdict]
    return f"Scatter plot of {panel.x_label} and {panel.y_label}, {panel.title}. {'; '.join(verdicts)}."


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
            at = [count(series.tokens[0]), count(series.tokens[-1])]
            if len(series.tokens) == 1:
                lines.append(f"{series.label} is {ends[0]} at {at[0]} tokens")
            else:
                lines.append(f"{series.label} goes from {ends[0]} at {at[0]} tokens to {ends[1]} at {at[1]}")
        parts.append(f"{panel.title}: {'; '.join(lines)}.")
    return " ".join(parts)
