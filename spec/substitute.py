"""The body of a matrix entry, filled in for one cell."""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, field

from exc.spec.cells import text_of
from exc.spec.diagnostics import CellSpan, Diagnostics, Span, did_you_mean, one_of
from exc.spec.nodes import Mapping, Node, Scalar, Sequence

ROUND = "round"  # in a repeated block the number of the round; see exc.spec.repeat
# `$axis` or `${axis}` as a whole value.
_WHOLE = re.compile(r"\$(?:(?P<bare>[A-Za-z_][A-Za-z0-9_-]*)|\{(?P<braced>[^{}]*)\})\Z")
# What is special inside longer text: `$$` and `${axis}`.
_INSIDE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<braced>[^{}]*)\})")


@dataclass
class Filler:
    """Fills the cells of one entry. Findings are about the body as written, so each is recorded once."""

    base: str
    axes: tuple[str, ...]
    num_cells: int
    diagnostics: Diagnostics
    used: set[str] = field(default_factory=set)
    is_broken: bool = False

    def filled(self, node: Node, cell: str, values: Map[str, Scalar]) -> Node:
        """The node with `$axis` replaced; what takes a value stands where the matrix says the value."""
        if isinstance(node, Scalar):
            return self._scalar(node, cell, values)
        span = self.span(node.span, cell)
        if isinstance(node, Sequence):
            return Sequence([self.filled(item, cell, values) for item in node.items], span)
        entries: dict[str, Node] = {}
        keys: dict[str, Span] = {}
        for key, value in node.entries.items():
            where = node.keys[key]
            text = self._text(key, where, values)
            if text in entries:
                message = f"`{text}` is given twice in `{cell}`"
                self.diagnostics.error("duplicate-key", message, where)
                self.is_broken = True
            entries[text], keys[text] = self.filled(value, cell, values), self.span(where, cell)
        return Mapping(entries, keys, span)

    def span(self, span: Span, cell: str, use: Span | None = None) -> CellSpan:
        """The place, as one of this cell."""
        place = (span.file, span.line, span.column, span.end_line, span.end_column)
        return CellSpan(*place, self.base, cell, self.num_cells, use)

    def _scalar(self, node: Scalar, cell: str, values: Map[str, Scalar]) -> Scalar:
        if not isinstance(node.value, str) or "$" not in node.value:
            return Scalar(node.value, self.span(node.span, cell), node.raw, node.quoted)
        if whole := _WHOLE.match(node.value):
            axis = self._axis(whole["bare"] or whole["braced"] or "", whole[0], node.span, values)
            if axis is None:
                return node
            value = values[axis]
            return Scalar(value.value, self.span(value.span, cell, node.span), value.raw, value.quoted)
        text = self._text(node.value, node.span, values)
        return Scalar(text, self.span(node.span, cell), text, node.quoted)

    def _text(self, text: str, span: Span, values: Map[str, Scalar]) -> str:
        """Text with what it interpolates; a key may be `$axis` as a whole too."""
        if "$" not in text:
            return text
        if whole := _WHOLE.match(text):
            axis = self._axis(whole["bare"] or whole["braced"] or "", whole[0], span, values)
            return text if axis is None else text_of(values[axis].value)

        def put(found: re.Match[str]) -> str:
            if found["escaped"]:
                return "$"
            axis = self._axis(found["braced"], found[0], span, values)
            return found[0] if axis is None else text_of(values[axis].value)

        return _INSIDE.sub(put, text)

    def _axis(self, name: str, written: str, span: Span, values: Map[str, Scalar]) -> str | None:
        if name in values:
            self.used.add(name)
            return name
        if name == ROUND:
            return None  # of a repeated block, which is written out later
        self.is_broken = True
        known = [f"${axis}" for axis in self.axes]
        hint = did_you_mean(f"${name}", known) or f"write `${written}` if the dollar sign is meant"
        self.diagnostics.error(
            "unknown-axis",
            f"the matrix of `{self.base}` has no axis `{name}`",
            span,
            expected=one_of(known),
            hint=hint,
        )
        return None
