"""Draws one change against another for the page, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exc.runtime.report.axes import Axis, padded, round_ticks, tick_texts
from exc.runtime.report.chart import BOTTOM, LEFT, RIGHT, TOP, WIDTHS, frame, rule, value_grid
from exc.runtime.report.figure_rows import Table, drawn_of
from exc.runtime.report.formats import count
from exc.runtime.report.panels import Entry, Mark, Scatter
from exc.runtime.report.scatter import EXPANDED_WORDS, SHARPENED_WORDS, bounds, framed, named_marks, xy
from exc.runtime.report.style import Look
from exc.runtime.report.svg import element, label, mark_id, number, path, use

_HEIGHT = 380.0
_LABEL = (38.0, 11.0)  # pixels that a checkpoint's name takes
_DENSE = 60  # marks from which they are small


def cloud_frame(panels: Sequence[Scatter], width: float) -> tuple[Axis, Axis]:
    """One pair of axes for all panels of a figure."""
    marks = [mark for panel in panels for mark in panel.marks]
    across = padded(v for side in bounds([mark.x.estimate for mark in marks], 100) for v in side)
    up = padded(v for side in bounds([mark.y.estimate for mark in marks], 100) for v in side)
    left, right, low, high = framed(across, up)
    return Axis(left, right, LEFT, width - RIGHT), Axis(low, high, _HEIGHT - BOTTOM, TOP)


def cloud_panel(
    panel: Scatter,
    looks: Mapping[str, Look],
    table: Table,
    entries: Sequence[Entry],
    axes: tuple[Axis, Axis],
    columns: int,
) -> str:
    """The SVG of marks, a thin line through those of a recipe."""
    across, up = axes
    width = WIDTHS[columns]
    keys = {entry.arm: index for index, entry in enumerate(entries)}
    places = {id(mark): (across.place(xy(mark)[0]), up.place(xy(mark)[1])) for mark in panel.marks}
    names: dict[str, str] = {}
    # The picture's y runs downwards.
    for mark, right, above in named_marks(panel, [(x, -y) for x, y in places.values()], _LABEL):
        x, y = places[id(mark)]
        kind = "point" if right > 0 else "point end"
        text = label(count(mark.tokens), x + 7 * right, y - 9 * above + 4, kind)
        names[mark.arm] = names.get(mark.arm, "") + text
    inside = _ground(panel, across, up, width)
    for arm in dict.fromkeys(mark.arm for mark in panel.marks):
        own = sorted((mark for mark in panel.marks if mark.arm == arm), key=lambda mark: mark.tokens)
        drawn = element("path", d=path(places[id(mark)] for mark in own), class_="thread")
        drawn += "".join(_bars(mark, across, up) for mark in own)
        for mark in own:
            row = table.number(drawn_of(panel, mark)[0])
            shape = mark_id(looks[arm], small=len(panel.marks) >= _DENSE)
            drawn += use(shape, places[id(mark)], row, None if mark.decided else "hollow")
        inside += element("g", drawn + names.get(arm, ""), class_=looks[arm].css, data_key=keys[arm])
    shown = " ".join(str(table.column(f"\u0394 {metric}")) for metric in panel.metrics)
    return frame(panel, width, _HEIGHT, inside, shown)


def _bars(mark: Mark, across: Axis, up: Axis) -> str:
    x, y = across.place(xy(mark)[0]), up.place(xy(mark)[1])
    (left,), (right,) = bounds([mark.x.estimate], 100)
    (low,), (high,) = bounds([mark.y.estimate], 100)
    flat = f"M{number(across.place(left))} {number(y)}H{number(across.place(right))}"
    tall = f"M{number(x)} {number(up.place(low))}V{number(up.place(high))}"
    return element("path", d=flat + tall, class_="bars")


def _ground(panel: Scatter, across: Axis, up: Axis, width: float) -> str:
    """Tinted quadrants, grid and axes."""
    zero_x, zero_y = across.place(0), up.place(0)
    wide = number(across.end - zero_x)
    out = element(
        "rect",
        x=number(zero_x),
        y=number(up.end),
        width=wide,
        height=number(zero_y - up.end),
        class_="expanded",
    )
    out += element(
        "rect",
        x=number(zero_x),
        y=number(zero_y),
        width=wide,
        height=number(up.start - zero_y),
        class_="sharpened",
    )
    out += value_grid(up, width)
    ticks = round_ticks(across.low, across.high)
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        place = across.place(tick)
        out += rule(place, up.start, place, up.end, "grid") + label(text, place, up.start + 17, "tick middle")
    out += rule(across.start, zero_y, across.end, zero_y, "zero") + rule(
        zero_x, up.start, zero_x, up.end, "zero"
    )
    out += label(EXPANDED_WORDS, across.end - 6, up.end + 15, "ground end")
    out += label(SHARPENED_WORDS, across.end - 6, up.start - 7, "ground end")
    out += label(panel.y_label, 0, 11, "name")
    return out + label(panel.x_label, (LEFT + width) / 2, _HEIGHT - 5, "name middle")
