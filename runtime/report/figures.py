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
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from exc.runtime.report.axes import is_logarithmic, token_ticks
from exc.runtime.report.formats import count
from exc.runtime.report.panels import Drawing, Panel, Scatter, Series, entries_of
from exc.runtime.report.scatter import bounds, draw_scatter, frame, name_checkpoints
from exc.runtime.report.style import FEW, INK, MUTED, SECOND, SETTINGS, Look

_WIDE_INCHES = 10.4
_PANEL_INCHES = 3.1  # height
_DPI = 200
_BAND = 0.16  # opacity


def write_figure(drawing: Drawing, looks: Mapping[str, Look], folder: Path) -> list[str]:
    """Write NAME.svg, .png and .pdf into `folder`; gives the file names."""
    with matplotlib.rc_context(SETTINGS):
        figure = _figure(drawing, looks)
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
    columns = min(num, 3)
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
    if scatters:
        frame([ax for ax, _ in scatters])
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
    every = sorted({tokens for series in panel.series for tokens in series.tokens})
    _token_axis(ax, every)
    if panel.zero:
        ax.axhline(0, color=INK, linewidth=0.9, zorder=1.5)
    for index, series in enumerate(panel.series):
        # On one checkpoint there are no lines, and bars would hide each other.
        shift = index - (len(panel.series) - 1) / 2 if len(every) == 1 else 0.0
        _line(ax, series, looks[series.arm], panel.scale, shift, crowded=len(panel.series) > FEW)
    ax.set_title(panel.title)
    ax.set_ylabel(panel.y_label)
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="x", visible=False)
    if panel.from_zero:
        ax.set_ylim(0, min(ax.get_ylim()[1], 102))


def _line(ax: Axes, series: Series, look: Look, scale: float, shift: float, *, crowded: bool) -> None:
    xs = [_shifted(tokens, shift) for tokens in series.tokens]
    ys = [scale * estimate.value for estimate in series.estimates]
    face = "white" if series.dashed else look.colour
    style = _linestyle(look, dashed=series.dashed)
    lows, highs = bounds(series.estimates, scale)
    if len(xs) > 1:
        alpha = _BAND * (0.5 if series.dashed else 1) * (0.5 if crowded else 1)
        ax.fill_between(xs, lows, highs, color=look.colour, alpha=alpha, linewidth=0)
    else:
        _bars(ax, xs, ys, lows, highs, look.colour)
    ax.plot(
        xs,
        ys,
        color=look.colour,
        linestyle=style,
        linewidth=1.8,
        marker=look.marker,
        markersize=5.5,
        markerfacecolor=face,
        markeredgecolor=look.colour,
        markeredgewidth=1.2,
        zorder=3,
    )
    if series.replicates:
        ax.plot(
            [_shifted(spot.tokens, shift) for spot in series.replicates],
            [scale * spot.estimate.value for spot in series.replicates],
            linestyle="none",
            marker="o",
            markersize=3.2,
            markerfacecolor="white",
            markeredgecolor=look.colour,
            markeredgewidth=0.8,
            alpha=0.9,
            zorder=2.5,
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


def _shifted(tokens: float, shift: float) -> float:
    return tokens * (1 + 0.03 * shift)


def _token_axis(ax: Axes, tokens: Sequence[int]) -> None:
    """Ticks stand at checkpoints, and only there."""
    low, high = tokens[0], tokens[-1]
    logarithmic = is_logarithmic(tokens)
    if logarithmic:
        ax.set_xscale("log")
    elif low == high:
        ax.set_xlim(low * 0.8, low * 1.2) if low else ax.set_xlim(-1, 1)
    ax.xaxis.set_major_locator(FixedLocator(token_ticks(tokens)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    ax.set_xlabel("pre-training tokens" + (" (log scale)" if logarithmic else ""))


def _legend(drawing: Drawing, looks: Mapping[str, Look]) -> tuple[list[Any], list[str]]:
    """One entry for every line of the whole figure."""
    handles: dict[str, Any] = {
        entry.name: _handle(looks[entry.arm], dashed=entry.dashed, line=entry.line)
        for entry in entries_of(drawing)
    }
    if isinstance(drawing.panels[0], Scatter):
        handles["inconclusive"] = _mark_handle("o", MUTED, "white")
    else:
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
