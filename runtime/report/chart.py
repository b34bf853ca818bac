"""Draws panels for the page, as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import pairwise

from exc.runtime.report.axes import (
    Axis,
    Tick,
    is_slanted,
    padded,
    place_axis,
    place_ticks,
    round_ticks,
    tick_texts,
)
from exc.runtime.report.captions import alt_text
from exc.runtime.report.figure_rows import Drawn, Table, column_of
from exc.runtime.report.panels import Entry, Panel, Scatter, Series, Spot, entry_name
from exc.runtime.report.scatter import bounds
from exc.runtime.report.style import FEW, Look
from exc.runtime.report.svg import CHOSEN, DOT, Point, dash_of, element, label, mark_id, number, path, use

WIDTHS = {1: 660, 2: 520, 3: 350}  # pixels of a panel, by how many stand beside each other
TOP, BOTTOM, LEFT, RIGHT = 26.0, 42.0, 50.0, 12.0
_HEIGHTS = {1: 330, 2: 320, 3: 290}
_TICK = 48.0  # pixels that a tick's label takes, on phones too
_LEAN = 4.0  # pixels downwards that a letter of a slanted name takes
# How far an interval may stretch the axis: in spans of all values, or in halves of the middle interval.
_MOST_SPANS, _MOST_WIDTHS = 1.5, 3.0
_SLOT = 0.7  # of the width, over which the marks of a single checkpoint are spread


def line_panel(
    panel: Panel, looks: Mapping[str, Look], table: Table, entries: Sequence[Entry], columns: int
) -> str:
    """The SVG of lines or bars over tokens, or whatever lies across."""
    width, height = WIDTHS[columns], _HEIGHTS[columns]
    xs = panel.xs or [0.0]
    beside = panel.beside or panel.bars or len(xs) == 1
    across = place_axis(panel.across, xs, LEFT, width - RIGHT, beside=beside)
    up = Axis(*value_range(panel), height - BOTTOM, TOP)
    below, lean = _words_below(panel, across, xs, up.start)
    grid = value_grid(up, width) + below
    if panel.zero:
        grid += rule(LEFT, up.place(0), width - RIGHT, up.place(0), "zero")
    grid += rule(LEFT, up.start, width - RIGHT, up.start, "axis")
    words = panel.across.label + (" (log scale)" if across.logarithmic else "")
    grid += label(panel.y_label, 0, 11, "name")
    grid += label(words, (LEFT + width) / 2, height + lean - 5, "name middle")
    keys = {entry.name: index for index, entry in enumerate(entries)}
    slots = Slots(panel, across, beside=beside)
    bands, lines = "", ""
    for series in panel.series:
        drawer = _Line(panel, series, looks[series.arm], table, across, up, slots)
        key = keys[entry_name(panel, series)]
        kind = drawer.look.css + (" level" if series.level else "")
        bands += element("g", drawer.band(), class_=kind, data_key=key)
        kind += " hollow" if series.dashed or series.chosen else ""
        lines += element("g", drawer.line(), class_=kind, data_key=key)
    names = [panel.across.label] if panel.across.kind != "tokens" else []
    shown = " ".join(str(table.column(name)) for name in (*names, column_of(panel)))
    return frame(panel, width, height + lean, grid + bands + lines, shown, (across, up))


def _words_below(panel: Panel, across: Axis, xs: Sequence[float], bottom: float) -> tuple[str, float]:
    """What stands under the axis, and how many pixels it needs beyond those of a row of words."""
    room = _TICK / (across.end - across.start)
    ticks = place_ticks(panel.across, across, xs, room)
    if not is_slanted(panel.across, ticks, across, room):
        return place_grid(ticks, across, bottom), 0.0
    words = "".join(
        label(text, across.place(value) + 4, bottom + 13, "tick end slanted") for value, text in ticks
    )
    return element("g", words, class_="across"), _LEAN * max(len(text) for _, text in ticks)


class Slots:
    """Where series that share a place stand beside each other: lines of one place, and bars."""

    def __init__(self, panel: Panel, across: Axis, *, beside: bool) -> None:
        self._order = list(dict.fromkeys(series.arm for series in panel.lines))
        xs = panel.xs
        places = [across.place(x) for x in xs]
        gaps = [b - a for a, b in pairwise(places)]
        self.space = _SLOT * min(gaps, default=abs(across.end - across.start))
        most = max((len({s.arm for s in panel.lines if x in s.xs}) for x in xs), default=1)
        self.shared = beside and most > 1
        self.room = self.space / max(1, len(self._order)) if self.shared else self.space

    def shift(self, series: Series) -> float:
        """To the right, in pixels."""
        if not self.shared or series.level:
            return 0.0
        return self.room * (self._order.index(series.arm) - (len(self._order) - 1) / 2)


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
        slots: Slots,
    ) -> None:
        self.panel, self.series, self.look, self.table = panel, series, look, table
        self.across, self.up, self.dense = across, up, panel.is_dense
        self.shift, self.room = slots.shift(series), slots.room
        self.joined = len(series.spots) > 1 and not (panel.beside or panel.bars or series.chosen)

    def _place(self, spot: Spot) -> Point:
        x = self.across.place(spot.across) + self.shift
        return x, self.up.place(self.panel.scale * spot.estimate.value)

    def _within(self, value: float) -> float:
        """The place of a bound, which may lie outside of the panel."""
        return self.up.place(min(max(value, self.up.low), self.up.high))

    def band(self) -> str:
        """The intervals: an area under a line, bars where there is none."""
        lows, highs = (
            [self._within(v) for v in side] for side in bounds(self.series.estimates, self.panel.scale)
        )
        if self.series.level:
            left, right = self.across.start, self.across.end
            edge = [(left, highs[0]), (right, highs[0]), (right, lows[0]), (left, lows[0])]
            return element("path", d=path(edge, closed=True), class_="band faint")
        xs = [self._place(spot)[0] for spot in self.series.spots]
        if not self.joined:
            whiskers = "" if self.panel.bars else self._whiskers()
            return whiskers if not self.panel.bars else "".join(self._bar(spot) for spot in self.series.spots)
        edge = [*zip(xs, highs, strict=True), *reversed([*zip(xs, lows, strict=True)])]
        return element(
            "path",
            d=path(edge, closed=True),
            class_="band" if len(self.panel.series) <= FEW else "band faint",
        )

    def _whiskers(self) -> str:
        out = ""
        for spot in self.series.spots:
            if spot.estimate.low is None or spot.estimate.high is None:
                continue
            x = self._place(spot)[0]
            low, high = (self._within(self.panel.scale * v) for v in (spot.estimate.low, spot.estimate.high))
            caps = "".join(f"M{number(x - 4)} {number(y)}L{number(x + 4)} {number(y)}" for y in (low, high))
            out += element(
                "path", d=f"M{number(x)} {number(low)}L{number(x)} {number(high)}{caps}", class_="bar"
            )
        return out

    def _bar(self, spot: Spot) -> str:
        x, y = self._place(spot)
        half = 0.42 * self.room
        foot = self.up.place(max(0.0, self.up.low))
        corners = [(x - half, foot), (x - half, y), (x + half, y), (x + half, foot)]
        return element("path", d=path(corners, closed=True), class_="column")

    def line(self) -> str:
        places = [self._place(spot) for spot in self.series.spots]
        out = self._whiskers() if self.panel.bars and not self.series.level else ""
        if self.series.level:
            places = [(self.across.end, places[0][1])]
            ends = [(self.across.start, places[0][1]), places[0]]
            dash = dash_of(self.look, dashed=True)
            out = element("path", d=path(ends), class_="line", stroke_dasharray=dash)
        elif self.joined:
            dash = dash_of(self.look, dashed=self.series.dashed)
            out = element("path", d=path(places), class_="line", stroke_dasharray=dash)
        for spot in self.series.replicates:
            out += use(DOT, self._place(spot), self._row(spot), "dot")
        mark = CHOSEN if self.series.chosen else mark_id(self.look, small=self.dense or self.panel.bars)
        for spot, place in zip(self.series.spots, places, strict=True):
            out += use(mark, place, self._row(spot))
        return out

    def _row(self, spot: Spot) -> int:
        series = self.series
        name = entry_name(self.panel, series)
        return self.table.number(Drawn(self.panel, name, series.label, series.arm, self.panel.metric, spot))


def value_range(panel: Panel) -> tuple[float, float]:
    """The limits of a panel's axis: around all values, and all intervals but those that dwarf the others.

    Two replicates that differ have an interval beside the whole of which nothing else could be read.
    """
    spots = [spot for series in panel.series for spot in (*series.spots, *series.replicates)]
    values = [panel.scale * spot.estimate.value for spot in spots]
    sides = [bounds(series.estimates, panel.scale) for series in panel.series]
    lows, highs = ([value for side in sides for value in side[end]] for end in (0, 1))
    halves = sorted((high - low) / 2 for low, high in zip(lows, highs, strict=True))
    reach = max(_MOST_SPANS * (max(values) - min(values)), _MOST_WIDTHS * halves[len(halves) // 2])
    low, high = max(min(lows), min(values) - reach), min(max(highs), max(values) + reach)
    zero = [0.0] if panel.zero or panel.from_zero else []
    low, high = padded([low, high, *values, *zero])
    if panel.from_zero:
        return 0.0, min(high, 102.0) if panel.scale == 100.0 else high
    return low, high


def value_grid(up: Axis, width: float) -> str:
    """Lines across at round values, with their numbers."""
    ticks = round_ticks(up.low, up.high)
    lines = "".join(
        rule(LEFT, up.place(tick), width - RIGHT, up.place(tick), "grid")
        + label(text, LEFT - 7, up.place(tick) + 4, "tick end")
        for tick, text in zip(ticks, tick_texts(ticks), strict=True)
    )
    return element("g", lines, class_="up")


def place_grid(ticks: Sequence[Tick], across: Axis, bottom: float, top: float | None = None) -> str:
    """Words under the axis; where `top` is given, with lines up to there."""
    lines = "".join(
        (rule(across.place(value), bottom, across.place(value), top, "grid") if top is not None else "")
        + label(text, across.place(value), bottom + 17, "tick middle")
        for value, text in ticks
    )
    return element("g", lines, class_="across") if lines else ""


def rule(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return element("path", d=f"M{number(x)} {number(y)}L{number(to_x)} {number(to_y)}", class_=kind)


def frame(
    panel: Panel | Scatter, width: float, height: float, inside: str, columns: str, axes: tuple[Axis, Axis]
) -> str:
    """`columns` are those of the figure's table that the panel draws; `axes` serve to draw it anew."""
    across, up = axes
    kind = "log" if across.logarithmic else "linear"
    if isinstance(panel, Panel):
        kind = f"{kind} counts" if panel.across.kind == "numbers" else "fixed"
    floor = " floor" if isinstance(panel, Panel) and panel.from_zero else ""
    return element(
        "svg",
        inside,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=alt_text(panel),
        data_columns=columns,
        data_across=f"{_numbers(across)} {kind}",
        data_up=f"{_numbers(up)} linear{floor}",
    )


def _numbers(axis: Axis) -> str:
    return f"{axis.low:.9g} {axis.high:.9g} {number(axis.start)} {number(axis.end)}"


def panel_title(panel: Panel | Scatter) -> str:
    return html.escape(panel.title)
