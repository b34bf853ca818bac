"""Draws one change against another for the page, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exc.runtime.report.axes import Axis, padded, round_ticks, tick_texts
from exc.runtime.report.chart import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTHS,
    frame,
    place_grid,
    rule,
    value_grid,
)
from exc.runtime.report.figure_rows import Table, drawn_of
from exc.runtime.report.formats import count
from exc.runtime.report.panels import Entry, Mark, Scatter
from exc.runtime.report.scatter import (
    EXPANDED_WORDS,
    NOTE_ROOM,
    SHARPENED_WORDS,
    arrows,
    bounds,
    framed,
    named_marks,
    threads,
    xy,
)
from exc.runtime.report.style import Look
from exc.runtime.report.svg import Point, element, label, mark_id, path, use

_HEIGHT = 380.0
_LABEL = (38.0, 11.0)  # pixels that a checkpoint's name takes
_DENSE = 60  # marks from which they are small


def cloud_frame(panels: Sequence[Scatter], width: float) -> tuple[Axis, Axis]:
    """One pair of axes for panels of changes; of one panel its own."""
    marks = [mark for panel in panels for mark in panel.marks]
    x, y = panels[0].scales
    across = padded(v for side in bounds([mark.x.estimate for mark in marks], x) for v in side)
    up = padded(v for side in bounds([mark.y.estimate for mark in marks], y) for v in side)
    left, right, low, high = (*across, *up)
    if panels[0].changes:
        left, right, low, high = framed(across, up)
    elif any(panel.note for panel in panels):
        high += NOTE_ROOM * (high - low)
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
    spots = {id(mark): xy(panel, mark) for mark in panel.marks}
    places = {key: (across.place(x), up.place(y)) for key, (x, y) in spots.items()}
    names: dict[str, str] = {}
    # The picture's y runs downwards.
    for mark, right, above in named_marks(panel, [(x, -y) for x, y in places.values()], _LABEL, width):
        x, y = places[id(mark)]
        kind = "point" if right > 0 else "point end"
        text = label(count(mark.tokens), x + 7 * right, y - 9 * above + 4, kind)
        names[mark.arm] = names.get(mark.arm, "") + text
    inside = _ground(panel, across, up, width)
    for arm, own in threads(panel):
        thread = element("path", d=path(places[id(mark)] for mark in own), class_="thread")
        drawn = "" if panel.arrows else thread
        drawn += "".join(_arrow(places[id(a)], places[id(b)]) for a, b in arrows(panel) if b.arm == arm)
        drawn += "".join(_bars(panel, mark, places[id(mark)], across, up) for mark in own)
        for mark in own:
            row = table.number(drawn_of(panel, mark)[0])
            shape = mark_id(looks[arm], small=len(panel.marks) >= _DENSE)
            drawn += use(shape, places[id(mark)], row, None if mark.decided else "hollow")
        inside += element("g", drawn + names.get(arm, ""), class_=looks[arm].css, data_key=keys[arm])
    shown = " ".join(str(table.column(name)) for name in panel.columns)
    return frame(panel, width, _HEIGHT, inside, shown, axes)


def _bars(panel: Scatter, mark: Mark, place: Point, across: Axis, up: Axis) -> str:
    x, y = place
    (left,), (right,) = bounds([mark.x.estimate], panel.scales[0])
    (low,), (high,) = bounds([mark.y.estimate], panel.scales[1])
    ends = [(across.place(left), y), (across.place(right), y)], [(x, up.place(low)), (x, up.place(high))]
    return element("path", d="".join(map(path, ends)), class_="bars")


def _arrow(start: Point, end: Point) -> str:
    """From one mark to another, its head a little before the second."""
    return element("path", d=path([start, end]), class_="arrow", marker_end="url(#head)")


def _ground(panel: Scatter, across: Axis, up: Axis, width: float) -> str:
    """Tinted quadrants, grid and axes."""
    if not panel.changes:
        return _plain_ground(panel, across, up, width)
    zero_x, zero_y = across.place(0), up.place(0)
    out = _box((zero_x, zero_y), (across.end, up.end), "expanded")
    out += _box((zero_x, zero_y), (across.end, up.start), "sharpened")
    out += value_grid(up, width)
    out += _grid_across(across, up)
    out += rule(across.start, zero_y, across.end, zero_y, "zero") + rule(
        zero_x, up.start, zero_x, up.end, "zero"
    )
    out += label(EXPANDED_WORDS, across.end - 6, up.end + 15, "ground end")
    out += label(SHARPENED_WORDS, across.end - 6, up.start - 7, "ground end")
    out += label(panel.y_label, 0, 11, "name")
    return out + label(panel.x_label, (LEFT + width) / 2, _HEIGHT - 5, "name middle")


def _box(one: Point, other: Point, kind: str) -> str:
    corners = [one, (other[0], one[1]), other, (one[0], other[1])]
    return element("path", d=path(corners, closed=True), class_=kind)


def _plain_ground(panel: Scatter, across: Axis, up: Axis, width: float) -> str:
    out = value_grid(up, width) + _grid_across(across, up)
    out += rule(across.start, up.start, across.end, up.start, "axis")
    out += label(panel.note, across.start + 6, up.end + 15, "ground") if panel.note else ""
    out += label(panel.y_label, 0, 11, "name")
    return out + label(panel.x_label, (LEFT + width) / 2, _HEIGHT - 5, "name middle")


def _grid_across(across: Axis, up: Axis) -> str:
    ticks = round_ticks(across.low, across.high)
    words = list(zip(ticks, tick_texts(ticks), strict=True))
    return place_grid(words, across, up.start, up.end)
