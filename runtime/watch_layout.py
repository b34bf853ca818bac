"""Lines of text for a terminal of some size: columns, bars, curves. Every row is one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

_GAP = 2
_ELLIPSIS = "\u2026"
_LEVELS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


@dataclass(frozen=True, slots=True)
class Column:
    """How a column is drawn. One that is `flexible` gives way where the lines would be too long."""

    right: bool = False
    flexible: bool = False
    middle: bool = False  # shortened in its middle, for names whose two ends both tell


def lines(rows: Sequence[Sequence[Text]], columns: Sequence[Column], width: int) -> list[Text]:
    """The rows as lines of at most `width` cells. A column that is empty in all rows takes no room."""
    widths = [max((row[i].cell_len for row in rows), default=0) for i in range(len(columns))]
    for i, column in enumerate(columns):
        over = sum(widths) + _GAP * (sum(map(bool, widths)) - 1) - width
        if column.flexible and over > 0:
            widths[i] = max(min(widths[i], 8), widths[i] - over)
    out = []
    for row in rows:
        line = Text(no_wrap=True, overflow="ellipsis")
        for cell, column, room in zip(row, columns, widths, strict=True):
            if room:
                if line.cell_len:
                    line.append(" " * _GAP)
                line.append_text(_fitted(cell, column, room))
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
        out.append(line)
    return out


def _fitted(cell: Text, column: Column, room: int) -> Text:
    cell = cell.copy()
    if cell.cell_len > room and column.middle:
        keep = room - 1
        cell = cell[: keep - keep * 2 // 3] + Text(_ELLIPSIS) + cell[len(cell) - keep * 2 // 3 :]
    cell.truncate(room, overflow="ellipsis")
    blank = " " * (room - cell.cell_len)
    return Text(blank) + cell if column.right else cell + Text(blank)


def bar(parts: Iterable[tuple[int, str, str]], width: int) -> Text:
    """Counts as a bar: (count, sign, style). A part that is not nothing gets a cell at least."""
    given = [(count, sign, style) for count, sign, style in parts if count > 0]
    total = sum(count for count, _, _ in given)
    cells = [max(1, count * width // total) for count, _, _ in given]
    while given and sum(cells) != width:
        # The part that is furthest from its share gives or takes a cell.
        over = sum(cells) > width
        places = [i for i in range(len(cells)) if not over or cells[i] > 1]
        if not places:
            break
        error = [cells[i] / width - given[i][0] / total for i in places]
        worst = places[error.index(max(error) if over else min(error))]
        cells[worst] += -1 if over else 1
    text = Text()
    for (_, sign, style), number in zip(given, cells, strict=True):
        text.append(sign * number, style)
    return text


def curve(values: Sequence[float], width: int) -> str:
    """The values as a line of little columns, the newest at the right; means where there are too many."""
    if not values or width < 1:
        return ""
    if len(values) > width:
        edges = [i * len(values) // width for i in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    if high == low:
        return _LEVELS[3] * len(values)
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[round((value - low) / (high - low) * top)] for value in values)


def rooms(wanted: Sequence[int], least: Sequence[int], height: int) -> list[int]:
    """How many lines each section gets: at least so many, where it has them, then in order what is left."""
    given = [min(want, few) for want, few in zip(wanted, least, strict=True)]
    for i, want in enumerate(wanted):
        given[i] += max(0, min(want - given[i], height - sum(given)))
    return given
