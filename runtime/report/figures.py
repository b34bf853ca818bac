"""Draws figures with matplotlib, the only module that loads it: the same bytes for the same drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from exc.runtime.report.axes import Axis, is_slanted, place_axis, place_ticks
from exc.runtime.report.chart import Slots, value_range
from exc.runtime.report.panels import (
    MOST_COLUMNS,
    Drawing,
    Panel,
    Scatter,
    Series,
    Spot,
    entries_of,
    key_of,
)
from exc.runtime.report.scatter import bounds, draw_scatter, frame, name_checkpoints
from exc.runtime.report.style import FEW, INK, MUTED, SECOND, SETTINGS, Look

_WIDE_INCHES = 10.4
_PANEL_INCHES = 3.1  # height
_DPI = 200
_BAND = 0.16  # opacity
_COLUMN = 0.3
_SLANT = 40.0  # degrees, of names that do not fit side by side
_TICK_SHARE = 0.11  # of an axis, that a tick's label takes


def write_figure(drawing: Drawing, looks: Mapping[str, Look], folder: Path) -> list[str]:
    """Write NAME.svg, .png and .pdf into `folder`; gives the file names."""
    with matplotlib.rc_context(SETTINGS):
        figure = _figure(drawing, looks)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, for all three
        plain: dict[str, Any] = {
            "svg": {"Date": None},
            "png": {"Software": None},
            "pdf": {"CreationDate": None},
        }
        names = []
        for suffix, metadata in plain.items():
            name = f"{drawing.name}.{suffix}"
            figure.savefig(folder / name, format=suffix, dpi=_DPI, metadata=metadata)
            names.append(name)
    return names


def _figure(drawing: Drawing, looks: Mapping[str, Look]) -> Figure:
    num = len(drawing.panels)
    columns = min(num, drawing.columns or MOST_COLUMNS)
    rows = -(-num // columns)
    width = _WIDE_INCHES if columns > 1 else _WIDE_INCHES * 0.62
    handles, labels = _legend(drawing, looks)
    across = max(1, int(width / (0.5 + 0.075 * max(map(len, labels), default=1))))
    top = 0.24 * -(-len(labels) // across) + 0.12
    height = (_PANEL_INCHES + (0.5 if isinstance(drawing.panels[0], Scatter) else 0.0)) * rows + top
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, ax in enumerate(axes.flat):
        if index >= num:
            ax.set_visible(False)
            continue
        panel = drawing.panels[index]
        if isinstance(panel, Scatter):
            draw_scatter(ax, panel, looks)
        else:
            _lines(ax, panel, looks)
            ax.tick_params(labelleft=True)
    scatters = [(ax, p) for ax, p in zip(axes.flat, drawing.panels, strict=False) if isinstance(p, Scatter)]
    changes = [ax for ax, panel in scatters if panel.changes]
    if changes:
        frame(changes)
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=min(across, len(labels)),
        handlelength=2.4,
        columnspacing=1.6,
        borderaxespad=0.2,
        handler_map={tuple: HandlerTuple(ndivide=None)},
    )
    if scatters:
        figure.draw_without_rendering()  # only now do the marks have their places
    for ax, panel in scatters:
        name_checkpoints(ax, panel, looks)
    return figure


def _lines(ax: Axes, panel: Panel, looks: Mapping[str, Look]) -> None:
    xs = panel.xs or [0.0]
    beside = panel.beside or panel.bars or len(xs) == 1
    # Places are those of an axis from 0 to 1, which is drawn as it is: lines stand where the page has them.
    across = place_axis(panel.across, xs, 0.0, 1.0, beside=beside)
    _across_axis(ax, panel, across, xs)
    if panel.zero:
        ax.axhline(0, color=INK, linewidth=0.9, zorder=1.5)
    slots = Slots(panel, across, beside=beside)
    for series in panel.series:
        _line(ax, _Placed(panel, series, across, slots), looks[series.arm])
    ax.set_title(panel.title)
    ax.set_ylabel(panel.y_label)
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="x", visible=False)
    ax.set_ylim(*value_range(panel))


class _Placed:
    """A series with the places of its points on an axis from 0 to 1."""

    def __init__(self, panel: Panel, series: Series, across: Axis, slots: Slots) -> None:
        self.panel, self.series, self.room = panel, series, slots.room
        self.across, self.shift = across, slots.shift(series)
        self.joined = len(series.spots) > 1 and not (panel.beside or panel.bars or series.chosen)

    def place(self, spots: Sequence[Spot]) -> list[float]:
        return [self.across.place(spot.across) + self.shift for spot in spots]

    def values(self, spots: Sequence[Spot]) -> list[float]:
        return [self.panel.scale * spot.estimate.value for spot in spots]


def _line(ax: Axes, placed: _Placed, look: Look) -> None:
    series, scale = placed.series, placed.panel.scale
    xs, ys = placed.place(series.spots), placed.values(series.spots)
    lows, highs = bounds(series.estimates, scale)
    if series.level:
        ax.axhline(ys[0], color=look.colour, linewidth=1.4, linestyle=(0, SECOND), zorder=2)
        ax.axhspan(lows[0], highs[0], color=look.colour, alpha=0.06, linewidth=0, zorder=1)
        return
    if placed.panel.bars:
        foot = max(0.0, value_range(placed.panel)[0])
        heights = [y - foot for y in ys]
        ax.bar(xs, heights, 0.84 * placed.room, foot, color=look.colour, alpha=_COLUMN, linewidth=0)
    if placed.joined:
        crowded = len(placed.panel.series) > FEW
        alpha = _BAND * (0.5 if series.dashed else 1) * (0.3 if crowded else 1)
        ax.fill_between(xs, lows, highs, color=look.colour, alpha=alpha, linewidth=0)
    elif not series.chosen:
        _bars(ax, xs, ys, lows, highs, look.colour)
    _marks(ax, placed, look)
    if series.replicates:
        ax.plot(
            placed.place(series.replicates),
            placed.values(series.replicates),
            linestyle="none",
            marker="o",
            markersize=3.2,
            markerfacecolor="white",
            markeredgecolor=look.colour,
            markeredgewidth=0.8,
            alpha=0.9,
            zorder=2.5,
        )


def _marks(ax: Axes, placed: _Placed, look: Look) -> None:
    series = placed.series
    dense = placed.panel.is_dense
    small = 2.4 if dense else 3.5 if placed.panel.bars else 5.5
    ax.plot(
        placed.place(series.spots),
        placed.values(series.spots),
        color=look.colour,
        linestyle=_linestyle(look, dashed=series.dashed) if placed.joined else "none",
        linewidth=1.4 if dense else 1.8,
        marker="D" if series.chosen else look.marker,
        markersize=7.5 if series.chosen else small,
        markerfacecolor="none" if series.chosen else "white" if series.dashed else look.colour,
        markeredgecolor=look.colour,
        markeredgewidth=0.6 if dense else 1.2,
        zorder=3,
    )


def _bars(
    ax: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    colour: str,
) -> None:
    # An interval of percentiles need not hold its estimate; a bar cannot be shorter than nothing.
    down = [max(0.0, y - low) for y, low in zip(ys, lows, strict=True)]
    up = [max(0.0, high - y) for y, high in zip(ys, highs, strict=True)]
    ax.errorbar(xs, ys, yerr=(down, up), fmt="none", ecolor=colour, elinewidth=1.4, capsize=3)


def _across_axis(ax: Axes, panel: Panel, across: Axis, xs: Sequence[float]) -> None:
    ticks = place_ticks(panel.across, across, xs, _TICK_SHARE)
    if is_slanted(panel.across, ticks, across, _TICK_SHARE):
        ax.tick_params(axis="x", rotation=_SLANT)
        for name in ax.get_xticklabels():
            name.set(ha="right", rotation_mode="anchor")
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_locator(FixedLocator([across.place(value) for value, _ in ticks]))
    ax.xaxis.set_major_formatter(FixedFormatter([text for _, text in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(panel.across.label + (" (log scale)" if across.logarithmic else ""))


def _legend(drawing: Drawing, looks: Mapping[str, Look]) -> tuple[list[Any], list[str]]:
    """One entry for every line of the whole figure."""
    handles: dict[str, Any] = {
        entry.name: _mark_handle("D", looks[entry.arm].colour, "white")
        if entry.chosen
        else _handle(looks[entry.arm], dashed=entry.dashed, line=entry.line)
        for entry in entries_of(drawing)
    }
    key = key_of(drawing)
    if key == "hollow":
        handles["inconclusive"] = _mark_handle("o", MUTED, "white")
    elif key:
        handles[f"{drawing.percent} interval"] = Patch(color=MUTED, alpha=0.2, linewidth=0)
    return list(handles.values()), list(handles)


def _handle(look: Look, *, dashed: bool, line: bool) -> Line2D:
    handle = _mark_handle(look.marker, look.colour, "white" if dashed else look.colour)
    handle.set_linewidth(1.8)
    handle.set_linestyle(_linestyle(look, dashed=dashed) if line else "none")
    return handle


def _mark_handle(marker: str, colour: str, face: str) -> Line2D:
    return Line2D(
        [],
        [],
        color=colour,
        marker=marker,
        markersize=6,
        markeredgewidth=1.3,
        linestyle="none",
        markerfacecolor=face,
        markeredgecolor=colour,
    )


def _linestyle(look: Look, *, dashed: bool) -> Any:
    dash = look.dash or (SECOND if dashed else ())
    return (0, dash) if dash else "-"
