"""Draws panels for the page, as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from exc.runtime.report.axes import (
    Axis,
    is_logarithmic,
    padded,
    round_ticks,
    tick_texts,
    token_axis,
    token_ticks,
)
from exc.runtime.report.captions import alt_text
from exc.runtime.report.figure_rows import Drawn, Table
from exc.runtime.report.formats import count
from exc.runtime.report.panels import Entry, Panel, Scatter, Series, Spot, entry_name
from exc.runtime.report.scatter import bounds
from exc.runtime.report.style import FEW, Look
from exc.runtime.report.svg import DOT, Point, dash_of, element, label, mark_id, number, path, use

WIDTHS = {1: 660, 2: 520, 3: 350}  # pixels of a panel, by how many stand beside each other
TOP, BOTTOM, LEFT, RIGHT = 26.0, 42.0, 50.0, 12.0
_HEIGHTS = {1: 330, 2: 320, 3: 290}
_TICK = 48.0  # pixels that a tick's label takes, on phones too
_DENSE = 30  # checkpoints of a panel from which its marks are small
_SLOT = 0.7  # of the width, over which the marks of a single checkpoint are spread


def line_panel(
    panel: Panel, looks: Mapping[str, Look], table: Table, entries: Sequence[Entry], columns: int
) -> str:
    """The SVG of lines over tokens."""
    width, height = WIDTHS[columns], _HEIGHTS[columns]
    tokens = sorted({tokens for series in panel.series for tokens in series.tokens})
    across = token_axis(tokens, LEFT, width - RIGHT)
    up = _value_axis(panel, height)
    grid = value_grid(up, width)
    grid += "".join(
        label(count(tick), across.place(tick), height - BOTTOM + 17, "tick middle")
        for tick in token_ticks(tokens, _TICK / (width - LEFT - RIGHT))
    )
    if panel.zero:
        grid += rule(LEFT, up.place(0), width - RIGHT, up.place(0), "zero")
    grid += rule(LEFT, height - BOTTOM, width - RIGHT, height - BOTTOM, "axis")
    words = "pre-training tokens" + (" (log scale)" if is_logarithmic(tokens) else "")
    grid += label(panel.y_label, 0, 11, "name") + label(words, (LEFT + width) / 2, height - 5, "name middle")
    keys = {entry.name: index for index, entry in enumerate(entries)}
    bands, lines = "", ""
    for index, series in enumerate(panel.series):
        shift = 0.0
        if len(tokens) == 1:  # there are no lines, and bars would hide each other
            room = _SLOT * (width - LEFT - RIGHT) / len(panel.series)
            shift = room * (index - (len(panel.series) - 1) / 2)
        drawer = _Line(panel, series, looks[series.arm], table, across, up, shift, len(tokens) >= _DENSE)
        key = keys[entry_name(panel, series)]
        bands += element("g", drawer.band(), class_=drawer.look.css, data_key=key)
        kind = drawer.look.css + (" hollow" if series.dashed else "")
        lines += element("g", drawer.line(), class_=kind, data_key=key)
    column = str(table.column(panel.title))
    return frame(panel, width, height, grid + bands + lines, column)


class _Line:
    """One series of a panel with its axes."""

    def __init__(
        self,
        panel: Panel,
        series: Series,
        look: Look,
        table: Table,
        across: Axis,
        up: Axis,
        shift: float,
        dense: bool,
    ) -> None:
        self.panel, self.series, self.look, self.table = panel, series, look, table
        self.across, self.up, self.shift, self.dense = across, up, shift, dense

    def _place(self, spot: Spot) -> Point:
        x = self.across.place(spot.tokens) + self.shift
        return x, self.up.place(self.panel.scale * spot.estimate.value)

    def band(self) -> str:
        """The intervals: an area under a line, bars where there is none."""
        xs = [self._place(spot)[0] for spot in self.series.spots]
        lows, highs = (
            [self.up.place(v) for v in side] for side in bounds(self.series.estimates, self.panel.scale)
        )
        if len(xs) == 1:
            x, low, high = xs[0], lows[0], highs[0]
            caps = "".join(f"M{number(x - 4)} {number(y)}h8" for y in (low, high))
            return element("path", d=f"M{number(x)} {number(low)}V{number(high)}{caps}", class_="bar")
        edge = [*zip(xs, highs, strict=True), *reversed([*zip(xs, lows, strict=True)])]
        return element(
            "path",
            d=path(edge, closed=True),
            class_="band" if len(self.panel.series) <= FEW else "band faint",
        )

    def line(self) -> str:
        places = [self._place(spot) for spot in self.series.spots]
        out = ""
        if len(places) > 1:
            dash = dash_of(self.look, dashed=self.series.dashed)
            out = element("path", d=path(places), class_="line", stroke_dasharray=dash)
        for spot in self.series.replicates:
            out += use(DOT, self._place(spot), self._row(spot), "dot")
        mark = mark_id(self.look, small=self.dense)
        for spot, place in zip(self.series.spots, places, strict=True):
            out += use(mark, place, self._row(spot))
        return out

    def _row(self, spot: Spot) -> int:
        series = self.series
        name = entry_name(self.panel, series)
        return self.table.number(Drawn(self.panel, name, series.label, series.arm, self.panel.metric, spot))


def _value_axis(panel: Panel, height: float) -> Axis:
    values = [0.0] if panel.zero or panel.from_zero else []
    for series in panel.series:
        for side in bounds(series.estimates, panel.scale):
            values += side
        values += [panel.scale * spot.estimate.value for spot in (*series.spots, *series.replicates)]
    low, high = padded(values)
    if panel.from_zero:
        low, high = 0.0, min(high, 102.0) if panel.scale == 100.0 else high
    return Axis(low, high, height - BOTTOM, TOP)


def value_grid(up: Axis, width: float) -> str:
    """Lines across at round values, with their numbers."""
    ticks = round_ticks(up.low, up.high)
    return "".join(
        rule(LEFT, up.place(tick), width - RIGHT, up.place(tick), "grid")
        + label(text, LEFT - 7, up.place(tick) + 4, "tick end")
        for tick, text in zip(ticks, tick_texts(ticks), strict=True)
    )


def rule(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return element("path", d=f"M{number(x)} {number(y)}L{number(to_x)} {number(to_y)}", class_=kind)


def frame(panel: Panel | Scatter, width: float, height: float, inside: str, columns: str) -> str:
    """`columns` are those of the figure's table that the panel draws."""
    return element(
        "svg",
        inside,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=alt_text(panel),
        data_columns=columns,
    )


def panel_title(panel: Panel | Scatter) -> str:
    return html.escape(panel.title)
