"""Diagnostics -> what a person reads (source line and caret) or a program reads (JSON).

No colour library: what is needed is six escape sequences, and this is on the way of every start-up.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby

from exc.spec.diagnostics import Diagnostic, Span, split_lines

TAB = "    "
MIN_WIDTH = 40
# Columns of the source line kept before a caret when the line must be cut.
_BEFORE = 20
_CUT = "..."
_RESET = "\x1b[0m"
_STYLES = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "frame": "\x1b[1;34m",
    "help": "\x1b[1;36m",
    "bold": "\x1b[1m",
}


def render_text(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], *, color: bool, width: int = 100
) -> str:
    """All diagnostics with their source lines, then the count. `sources`: text by `Span.file`.

    Ends without a newline; no diagnostics give "". A file missing in `sources` gives no source line.
    """
    found = list(diagnostics)
    page = _Page({file: split_lines(text) for file, text in sources.items()}, color, max(width, MIN_WIDTH))
    blocks = [page.diagnostic(diagnostic) for diagnostic in found]
    return "\n\n".join([*blocks, count_line(found)]) if found else ""


def count_line(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`; "no errors" when there is nothing."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count(severity), severity) for severity in ("error", "warning")]
    return ", ".join(f"{n} {name}{'s' * (n != 1)}" for n, name in counts if n) or "no errors"


def render_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, object]]:
    """One plain dict a diagnostic, with every field: places count from 1, `end_column` is exclusive."""
    return [asdict(diagnostic) for diagnostic in diagnostics]


@dataclass(frozen=True, slots=True)
class _Mark:
    """An underline below a source line; `sign` is `^` for the place itself, `-` for a label."""

    span: Span
    text: str
    sign: str
    style: str


@dataclass(frozen=True, slots=True)
class _Page:
    lines: dict[str, list[str]]
    color: bool
    width: int

    def diagnostic(self, found: Diagnostic) -> str:
        head = self._paint(found.severity, f"{found.severity}[{found.code}]")
        rows = [f"{head}{self._paint('bold', f': {_clean(found.message)}')}"]
        gutter = 1
        spans = [found.span, *(label.span for label in found.labels)] if found.span else []
        if found.span is not None:
            expected = f"expected {found.expected}" if found.expected else ""
            marks = [_Mark(found.span, expected, "^", found.severity)]
            marks += [_Mark(label.span, label.text, "-", "frame") for label in found.labels]
            gutter = max(len(str(span.line)) for span in spans)
            rows += self._snippets(marks, gutter)
        notes = [("help", found.hint)] if found.hint else []
        notes += [("note", note) for note in found.notes]
        if found.expected and not (found.span and self._has(found.span)):
            notes.insert(0, ("expected", found.expected))
        if notes and any(self._has(span) for span in spans):
            rows.append(self._row("", "", gutter))
        for name, text in notes:
            rows += self._note(name, text, gutter)
        return "\n".join(rows)

    def _has(self, span: Span) -> bool:
        return 1 <= span.line <= len(self.lines.get(span.file, ()))

    def _snippets(self, marks: list[_Mark], gutter: int) -> list[str]:
        """The lines of each file, that of the diagnostic itself first."""
        first = marks[0].span.file
        ordered = sorted(marks, key=lambda mark: (mark.span.file != first, mark.span.file, mark.span.line))
        rows: list[str] = []
        for file, group in groupby(ordered, key=lambda mark: mark.span.file):
            in_file = list(group)
            place = marks[0].span if file == first else in_file[0].span
            arrow = "-->" if file == first else ":::"
            rows.append(f"{' ' * gutter}{self._paint('frame', arrow)} {_clean(str(place))}")
            rows += self._snippet(file, in_file, gutter)
        return rows

    def _snippet(self, file: str, marks: list[_Mark], gutter: int) -> list[str]:
        lines = self.lines.get(file, [])
        rows: list[str] = []
        previous = 0
        for number, group in groupby(marks, key=lambda mark: mark.span.line):
            if number > len(lines):
                continue
            if not rows:
                rows.append(self._row("", "", gutter))
            elif number > previous + 1:
                rows.append(self._paint("frame", "..."))
            previous = number
            rows += self._line(number, lines[number - 1], list(group), gutter)
        return rows

    def _line(self, number: int, text: str, marks: list[_Mark], gutter: int) -> list[str]:
        """One source line, cut to the width around its first mark, with its underlines."""
        room = self.width - gutter - 3
        shown, starts = _expand(text)
        places = [_columns(mark.span, starts) for mark in marks]
        shown, first, last = _cut(shown, places[0], room)
        rows = [self._row(str(number), shown, gutter)]
        hidden: list[_Mark] = []
        for mark, (start, end) in zip(marks, places, strict=True):
            if first <= start < last or mark is marks[0]:
                shift = first - (len(_CUT) if first else 0)
                rows += self._underline(mark, start - shift, min(end, last) - start, room, gutter)
            else:
                hidden.append(mark)
        # What the cut hides is shown in another stretch of the same line.
        return rows + self._line(number, text, hidden, gutter) if hidden else rows

    def _underline(self, mark: _Mark, start: int, length: int, room: int, gutter: int) -> list[str]:
        length = max(1, length)
        signs = " " * start + self._paint(mark.style, mark.sign * length)
        text = _clean(mark.text)
        if not text:
            return [self._row("", signs, gutter)]
        if start + length + 1 + _width(text) <= room:
            return [self._row("", f"{signs} {self._paint(mark.style, text)}", gutter)]
        # No room behind the caret: below it, further left where that is what it takes.
        indent = min(start, max(0, room - max(30, min(_width(text), room))))
        wrapped = _wrap(text, room - indent)
        below = [self._row("", " " * indent + self._paint(mark.style, line), gutter) for line in wrapped]
        return [self._row("", signs, gutter), *below]

    def _note(self, name: str, text: str, gutter: int) -> list[str]:
        head = f"{' ' * gutter} {self._paint('frame', '=')} {self._paint('help', name)}: "
        indent = gutter + 5 + len(name)
        wrapped = [line for part in text.split("\n") for line in _wrap(_clean(part), self.width - indent)]
        return [head + wrapped[0], *(" " * indent + line for line in wrapped[1:])]

    def _row(self, number: str, text: str, gutter: int) -> str:
        return f"{self._paint('frame', f'{number:>{gutter}} |')} {text}".rstrip()

    def _paint(self, style: str, text: str) -> str:
        return f"{_STYLES[style]}{text}{_RESET}" if self.color and text else text


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _clean(text: str) -> str:
    """One line without a character that could move the cursor or hide text."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _expand(text: str) -> tuple[str, list[int]]:
    """The line as it is shown, and the column (from 0) at which each of its characters starts."""
    if text.isascii() and text.isprintable():
        return text, list(range(len(text) + 1))
    shown, starts, column = [], [], 0
    for char in text:
        starts.append(column)
        char = TAB if char == "\t" else char if char.isprintable() else "\ufffd"
        shown.append(char)
        column += len(TAB) if char == TAB else _char_width(char)
    return "".join(shown), [*starts, column]


def _columns(span: Span, starts: list[int]) -> tuple[int, int]:
    """First and one past the last shown column of a span; of several lines, those on the first."""
    last = len(starts) - 1
    start = min(span.column - 1, last)  # an empty span may stand right behind the text
    end = min(span.end_column - 1, last) if span.end_line == span.line else last
    return starts[start], max(starts[max(end, start)], starts[start] + 1)


def _cut(shown: str, place: tuple[int, int], room: int) -> tuple[str, int, int]:
    """A stretch of the line that fits and holds the start of `place`; its columns before the cut.

    The last column is exclusive; a line that is whole ends one later, for a caret behind its text.
    """
    total = _width(shown)
    if total <= room:
        return shown, 0, total + 1
    start, end = place
    fits_uncut = end <= room - len(_CUT) or start <= _BEFORE + len(_CUT)
    first = 0 if fits_uncut else min(start - _BEFORE, total - room) + len(_CUT)
    front = _CUT if first else ""
    begin = first - len(front)
    tail = _CUT if total > begin + room else ""
    last = begin + room - len(tail)
    kept, column = [], 0
    for char in shown:
        width = _char_width(char)
        if first <= column and column + width <= last:
            kept.append(char)
        elif column < first < column + width:
            kept.append(" " * (column + width - first))  # half of a wide character
        column += width
    return f"{front}{''.join(kept)}{tail}", first, last if tail else total + 1
