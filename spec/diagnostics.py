"""Diagnostics are data: what is wrong, where, what was expected. Rendering is in `render`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from exc.spec.codes import CODES
from exc.spec.words import listed

Severity = Literal["error", "warning"]

# How many names a sentence lists before it says how many more there are.
MAX_LISTED = 12

# What ends a line for a YAML parser; fewer than str.splitlines knows.
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


def split_lines(text: str) -> list[str]:
    """The lines of a source text, as spans count them. A byte order mark is not part of line 1."""
    return _LINE_END.split(text.removeprefix("\ufeff"))


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file. Lines and columns count characters from 1; the end column is exclusive.

    `file` is the path as the user typed it. A span may be empty (a value that is not there).
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class CellSpan(Span):
    """A place that was read for one cell of a matrix; other cells have the same lines."""

    base: str  # the entry that the matrix sits on
    cell: str  # the cell's name
    num_cells: int  # of that entry
    use: Span | None = None  # the `$axis` that takes the value which stands here

    def around(self, span: Span) -> CellSpan:
        """Another place, in the same cell as this one."""
        use = span.use if isinstance(span, CellSpan) else None
        place = (span.file, span.line, span.column, span.end_line, span.end_column)
        return CellSpan(*place, self.base, self.cell, self.num_cells, use)


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that explains the first, e.g. where a name was defined before."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. Raises ValueError when `code` is not in `codes.CODES`.

    `expected` goes on after the word "expected"; `hint` and `notes` are sentences.
    """

    code: str
    severity: Severity
    message: str
    span: Span | None
    expected: str | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"no such diagnostic code: {self.code!r}; codes.py lists them")

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        return f"{where}{self.severity}[{self.code}]: {self.message}"


class Diagnostics:
    """Collects findings, so that one run reports them all."""

    def __init__(self) -> None:
        # A dict keeps one of several equal findings (a shared anchor is checked wherever it is used).
        self._found: dict[Diagnostic, None] = {}
        # Stages of repeated blocks, without the numbers of their rounds.
        self.numbered: set[str] = set()

    def error(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        expected: str | None = None,
        hint: str | None = None,
        notes: Iterable[str] = (),
        labels: Iterable[Label] = (),
    ) -> None:
        """Record an error."""
        self.add(Diagnostic(code, "error", message, span, expected, hint, tuple(notes), tuple(labels)))

    def warning(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        expected: str | None = None,
        hint: str | None = None,
        notes: Iterable[str] = (),
        labels: Iterable[Label] = (),
    ) -> None:
        """Record a warning."""
        self.add(Diagnostic(code, "warning", message, span, expected, hint, tuple(notes), tuple(labels)))

    def add(self, diagnostic: Diagnostic) -> None:
        """Record a finding; an equal one is recorded once."""
        self._found[diagnostic] = None

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Record several findings."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All findings by file, line and column; those without a place come last.

        What several cells of a matrix share is one finding, which says the cells unless it is all of them.
        """
        return tuple(sorted(_of_rounds(dict.fromkeys(_folded(self._found)), self.numbered), key=_place))

    @property
    def num_errors(self) -> int:
        return sum(found.severity == "error" for found in self._found)

    @property
    def has_errors(self) -> bool:
        return any(found.severity == "error" for found in self._found)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.sorted())

    def __len__(self) -> int:
        return len(self.sorted())


def _place(diagnostic: Diagnostic) -> tuple[bool, str, int, int, str, str]:
    span = diagnostic.span
    if span is None:
        return (True, "", 0, 0, diagnostic.code, diagnostic.message)
    return (False, span.file, span.line, span.column, diagnostic.code, diagnostic.message)


def _of_rounds(found: Iterable[Diagnostic], names: Iterable[str]) -> Iterable[Diagnostic]:
    """The findings with those that differ in the round of a repeated block alone brought together."""
    if not names:
        return found
    listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    number = re.compile(rf"(?<![\w-])({listed})-\d+(?![\w-])")
    groups: dict[tuple[object, ...], list[Diagnostic]] = {}
    for each in found:
        message = number.sub(r"\1", each.message)
        groups.setdefault((each.code, each.severity, each.span, message), []).append(each)
    return [
        group[0] if len(group) == 1 else replace(group[0], message=number.sub(r"\1", group[0].message))
        for group in groups.values()
    ]


def _folded(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """The findings with those of a matrix's cells brought together, and spans as they stand in the files."""
    groups: dict[tuple[object, ...], list[tuple[Diagnostic, CellSpan]]] = {}
    for diagnostic in found:
        span = diagnostic.span
        if not isinstance(span, CellSpan):
            labels = tuple(replace(label, span=_plain(label.span)) for label in diagnostic.labels)
            yield diagnostic if labels == diagnostic.labels else replace(diagnostic, labels=labels)
            continue
        message = diagnostic.message.replace(span.cell, span.base)
        key = (diagnostic.code, diagnostic.severity, message, span.base, _plain(span), span.use)
        groups.setdefault(key, []).append((diagnostic, span))
    for group in groups.values():
        yield _of_cells(group)


def _of_cells(group: list[tuple[Diagnostic, CellSpan]]) -> Diagnostic:
    """One finding for equal ones in the cells of one matrix."""
    found, span = group[0]
    cells = list(dict.fromkeys(each.cell for _, each in group))
    labels = [replace(label, span=_plain(label.span)) for label in found.labels]
    if span.use is not None:
        labels.append(Label(span.use, "taken here"))
    notes = found.notes
    if len(cells) < span.num_cells:
        shown = listed((f"`{cell}`" for cell in cells), MAX_LISTED)
        notes = (*notes, f"in the cell{'s' if len(cells) > 1 else ''} {shown}")
    if len(cells) > 1:
        found = _of_base(found, span)
    return replace(found, span=_plain(span), labels=tuple(labels), notes=notes)


def _of_base(found: Diagnostic, span: CellSpan) -> Diagnostic:
    """The finding with the entry's name in place of one cell's."""
    texts = {name: getattr(found, name) for name in ("message", "expected", "hint")}
    changed = {name: text.replace(span.cell, span.base) for name, text in texts.items() if text is not None}
    return replace(found, **changed)


def _plain(span: Span) -> Span:
    return Span(span.file, span.line, span.column, span.end_line, span.end_column)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most likely meant, or None. Case, `-` and `_` do not count."""
    by_folded: dict[str, str] = {}
    for candidate in candidates:
        by_folded.setdefault(_fold(candidate), candidate)
    folded = _fold(word)
    if folded in by_folded:
        return by_folded[folded]
    from difflib import get_close_matches  # only on the way to an error, so not paid for at start-up

    # In a short word one wrong letter is already a third of it.
    cutoff = 0.6 if len(folded) <= 4 else 0.7
    close = get_close_matches(folded, by_folded, n=1, cutoff=cutoff)
    return by_folded[close[0]] if close else None


def _fold(word: str) -> str:
    return word.lower().replace("_", "-")


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """A hint that names the nearest candidate, or None when nothing is near."""
    found = nearest(word, candidates)
    return f"did you mean `{found}`?" if found is not None else None


def one_of(candidates: Iterable[str]) -> str:
    """`a`, "one of `a`, `b`", or "nothing" for the end of "expected ..."; long lists are cut."""
    names = [f"`{candidate}`" for candidate in candidates]
    if not names:
        return "nothing"
    if len(names) == 1:
        return names[0]
    return f"one of {listed(names, MAX_LISTED)}"
