"""Draws figures with matplotlib, the only module that loads it: the same bytes for the same drawing."""

from __future__ import annotations

import io
import math
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

from exc.runtime.report.formats import count
from exc.runtime.report.panels import Drawing, Panel, Scatter, Series
from exc.runtime.report.scatter import bounds, draw_scatter, frame, name_checkpoints
from exc.runtime.report.style import INK, MUTED, SETTINGS, Look

WIDE_INCHES = 10.4  # drawn at about its size on a desktop page
NARROW_INCHES = 3.9  # one panel over another, for a phone
_PANEL_INCHES = 3.1  # height
_DPI = 200
_LOG_FROM = 8.0  # ratio of the largest to the smallest token count above which the axis is logarithmic
_MIN_TICK_GAP = 0.11  # of the axis; nearer checkpoints leave their tick label to the neighbour


def write_figure(drawing: Drawing, looks: Mapping[str, Look], folder: Path) -> list[str]:
    """Write NAME.svg, .png and .pdf into `folder`; gives the file names."""
    with matplotlib.rc_context(SETTINGS):
        figure = _figure(drawing, looks, narrow=False)
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


def narrow_svg(drawing: Drawing, looks: Mapping[str, Look]) -> str:
    """The same figure with its panels one over another."""
    out = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        _figure(drawing, looks, narrow=True).savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _figure(drawing: Drawing, looks: Mapping[str, Look], *, narrow: bool) -> Figure:
    num = len(drawing.panels)
    columns = 1 if narrow else min(num, 3)
    rows = -(-num // columns)
    width = NARROW_INCHES if narrow else WIDE_INCHES if columns > 1 else WIDE_INCHES * 0.62
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
        _line(ax, series, looks[series.arm], panel.scale, shift)
    ax.set_title(panel.title)
    ax.set_ylabel(panel.y_label)
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="x", visible=False)
    if panel.from_zero:
        ax.set_ylim(0, min(ax.get_ylim()[1], 102))


def _line(ax: Axes, series: Series, look: Look, scale: float, shift: float) -> None:
    xs = [_shifted(tokens, shift) for tokens in series.tokens]
    ys = [scale * estimate.value for estimate in series.estimates]
    face = "white" if series.dashed else look.colour
    style = (0, (4, 2)) if series.dashed else "-"
    lows, highs = bounds(series.estimates, scale)
    if len(xs) > 1:
        ax.fill_between(
            xs, lows, highs, color=look.colour, alpha=0.08 if series.dashed else 0.16, linewidth=0
        )
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
            [_shifted(tokens, shift) for tokens, _ in series.replicates],
            [scale * value for _, value in series.replicates],
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
    logarithmic = low > 0 and high / low >= _LOG_FROM
    if logarithmic:
        ax.set_xscale("log")
    elif low == high:
        ax.set_xlim(low * 0.8, low * 1.2) if low else ax.set_xlim(-1, 1)
    ax.xaxis.set_major_locator(FixedLocator(_spaced(tokens, logarithmic=logarithmic)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    ax.set_xlabel("pre-training tokens" + (" (log scale)" if logarithmic else ""))


def _spaced(tokens: Sequence[int], *, logarithmic: bool) -> list[float]:
    """The last checkpoint, and from the right all that leave room for their label."""
    place = [math.log(value) if logarithmic else float(value) for value in tokens]
    span = place[-1] - place[0] or 1.0
    kept: list[int] = []
    for index in reversed(range(len(tokens))):
        if not kept or (place[kept[-1]] - place[index]) / span >= _MIN_TICK_GAP:
            kept.append(index)
    return [float(tokens[index]) for index in reversed(kept)]


def _legend(drawing: Drawing, looks: Mapping[str, Look]) -> tuple[list[Any], list[str]]:
    """One entry for every line of the whole figure."""
    handles: dict[str, Any] = {}
    for panel in drawing.panels:
        if isinstance(panel, Scatter):
            for mark in panel.marks:
                handles.setdefault(mark.arm, _handle(looks[mark.arm], dashed=False, line=False))
        else:
            for series in panel.series:
                name = (
                    series.arm if not series.dashed and panel.zero and _one_reference(panel) else series.label
                )
                handles.setdefault(name, _handle(looks[series.arm], dashed=series.dashed, line=True))
    if isinstance(drawing.panels[0], Scatter):
        handles["inconclusive"] = _handle(Look(MUTED, "o"), dashed=True, line=False)
    else:
        handles[f"{drawing.percent} interval"] = Patch(color=MUTED, alpha=0.2, linewidth=0)
    return list(handles.values()), list(handles)


def _one_reference(panel: Panel) -> bool:
    """Whether all lines of a panel of changes are against base, so that a recipe's name is enough."""
    return not any(series.dashed for series in panel.series)


def _handle(look: Look, *, dashed: bool, line: bool) -> Line2D:
    return Line2D(
        [],
        [],
        color=look.colour,
        marker=look.marker,
        markersize=6,
        markeredgewidth=1.3,
        linewidth=1.8,
        linestyle="none" if not line else (0, (4, 2)) if dashed else "-",
        markerfacecolor="white" if dashed else look.colour,
        markeredgecolor=look.colour,
    )
