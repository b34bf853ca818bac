"""YAML text -> a tree of nodes that remember where they stand.

The parser is PyYAML's, in C where it is built; only its events are used. What a scalar means, and what
is refused (duplicate keys, merge keys, tags), is decided here, by YAML 1.2.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import yaml

from exc.spec.diagnostics import Diagnostic, Diagnostics, Label, Span, did_you_mean, split_lines
from exc.spec.nodes import Mapping, Node, Path, Scalar, Sequence, plain, span_at
from exc.spec.scalars import resolve_plain
from exc.spec.yaml_errors import explain

__all__ = ["Mapping", "Node", "Path", "Scalar", "Sequence", "parse", "plain", "span_at"]

# Nodes that the aliases of one file may stand for, and levels of nesting: far above any real spec,
# far below what exhausts memory or Python's stack.
MAX_ALIASED_NODES = 100_000
MAX_DEPTH = 100

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Characters of text from which it pays to stop the garbage collector while the tree grows.
_LARGE_TEXT = 50_000
# Compiled by PyYAML on import anyway; its C part knows the same rule, but not the place.
_UNREADABLE = yaml.reader.Reader.NON_PRINTABLE
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
# What `\a`, `\b`, `\f`, `\v` leave in double quotes, where LaTeX such as "\boxed" was meant.
_LATEX = re.compile("[\a\b\f\v](?=[a-z])")
_LATEX_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*(\\[abfv][a-z]+)")


def parse(text: str, file: str, diagnostics: Diagnostics) -> Node | None:
    """The one document in `text`, or None when there is none to go on with.

    Everything wrong is recorded in `diagnostics`; nothing is raised. After a duplicate key the tree is
    still returned, with the first of the two values.
    """
    lines = split_lines(text)
    text = text.removeprefix("\ufeff")
    if found := _UNREADABLE.search(text):
        before = split_lines(text[: found.start()])
        line, column = len(before), len(before[-1]) + 1
        message = f"this file holds the character U+{ord(found[0]):04X}, which YAML does not allow"
        diagnostics.error(
            "yaml-syntax",
            message,
            Span(file, line, column, line, column + 1),
            hint="remove it, or write it as an escape in double quotes",
        )
        return None
    builder = _Builder(text, file, diagnostics)
    try:
        with _collector_paused(len(text) >= _LARGE_TEXT):
            for event in yaml.parse(text, Loader=_LOADER):
                builder.take(event)
    except _Refused as refused:
        diagnostics.add(refused.diagnostic)
        return None
    except yaml.YAMLError as error:
        diagnostics.add(explain(error, file, lines))
        return None
    return builder.finish()


@contextmanager
def _collector_paused(wanted: bool) -> Iterator[None]:
    pause = wanted and gc.isenabled()
    if pause:
        gc.disable()
    try:
        yield
    finally:
        if pause:
            gc.enable()


class _Refused(Exception):
    """Text that is YAML, but cannot be gone on with."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet. `size` and `height` count what it stands for."""

    node: Sequence | Mapping
    anchor: str | None
    is_flow: bool
    size: int = 1
    height: int = 1
    # Where the last child stands here; an alias's node itself stands elsewhere.
    end: Span | None = None
    # The key that waits for its value; None: a key comes next.
    key: tuple[str, Span] | None = None


@dataclass(slots=True)
class _Anchored:
    node: Node
    size: int
    height: int


@dataclass(slots=True)
class _Builder:
    text: str
    file: str
    diagnostics: Diagnostics
    root: Node | None = None
    is_broken: bool = False
    num_documents: int = 0
    num_aliased: int = 0
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchored] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        """Grow the tree by one parser event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.num_documents += 1
            if self.num_documents > 1:
                raise self._refusal(
                    "several-documents",
                    "a second YAML document starts here",
                    self._span(event),
                    hint="one file holds one document; remove the `---`",
                )

    def finish(self) -> Node | None:
        """The whole tree; None when it is empty or parts of it could not be kept."""
        root = self.root
        if root is None or (isinstance(root, Scalar) and not root.quoted and not root.raw):
            hint = "`exc init` writes a small study that works"
            self.diagnostics.error(
                "empty-file", "this file says nothing", Span(self.file, 1, 1, 1, 1), hint=hint
            )
            return None
        return None if self.is_broken else root

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        raw = event.value
        quoted = bool(event.style)
        span = self._scalar_span(event)
        self._check_tag(event)
        node = Scalar(raw if quoted else resolve_plain(raw), span, raw, quoted)
        if event.style == '"' and _LATEX.search(raw):
            self._warn_of_escape(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(node, 1, 1)
        self._add(node, span, 1, 1)

    def _warn_of_escape(self, event: yaml.ScalarEvent) -> None:
        start, end = _marks(event)
        written = self.text[start.index : end.index]
        for found in _LATEX_ESCAPE.finditer(written):
            line, column = _advance(start.line + 1, start.column + 1, written[: found.start(1)])
            self.diagnostics.warning(
                "latex-escape",
                f"`{found[1][:2]}` in double quotes is a control character, not a backslash",
                Span(self.file, line, column, line, column + len(found[1])),
                hint=f"write `\\{found[1]}`, or use single quotes",
            )

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        span = self._span(event)
        self._check_tag(event)
        if len(self.stack) >= MAX_DEPTH:
            raise self._refusal("yaml-syntax", f"nested deeper than {MAX_DEPTH} levels", span)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        node = Mapping({}, {}, span) if is_mapping else Sequence([], span)
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Open(node, event.anchor, bool(event.flow_style)))

    def _close(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> None:
        opened = self.stack.pop()
        node, start = opened.node, opened.node.span
        # The parser ends a block where the next thing starts; a person ends it with its last child.
        end = self._span(event) if opened.is_flow or opened.end is None else opened.end
        node.span = Span(self.file, start.line, start.column, end.end_line, end.end_column)
        if opened.anchor is not None:
            self.anchors[opened.anchor] = _Anchored(node, opened.size, opened.height)
        self._add(node, node.span, opened.size, opened.height)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name, span = str(event.anchor), self._span(event)
        target = self.anchors.get(name)
        if target is None:
            if any(opened.anchor == name for opened in self.stack):
                raise self._refusal(
                    "yaml-alias", f"`*{name}` stands inside the very value that it repeats", span
                )
            raise self._refusal(
                "yaml-alias",
                f"no `&{name}` stands above this `*{name}`",
                span,
                hint=did_you_mean(name, self.anchors),
            )
        self.num_aliased += target.size
        if self.num_aliased > MAX_ALIASED_NODES:
            raise self._refusal(
                "yaml-alias", f"the aliases of this file repeat more than {MAX_ALIASED_NODES} values", span
            )
        if len(self.stack) + target.height > MAX_DEPTH:
            raise self._refusal("yaml-syntax", f"nested deeper than {MAX_DEPTH} levels", span)
        self._add(target.node, span, target.size, target.height)

    def _add(self, node: Node, span: Span, size: int, height: int) -> None:
        """Put a finished node, which stands at `span`, into the collection that is open."""
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        parent.end = span
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = (self._key(node, span), span)
        else:
            key, key_span = parent.key
            parent.key = None
            self._set(parent.node, key, key_span, node)

    def _set(self, mapping: Mapping, key: str, span: Span, value: Node) -> None:
        if key in mapping.entries:
            first = Label(mapping.keys[key], "first given here")
            self.diagnostics.error("duplicate-key", f"`{key}` is given twice", span, labels=[first])
            return
        mapping.entries[key] = value
        mapping.keys[key] = span

    def _key(self, node: Node, span: Span) -> str:
        if not isinstance(node, Scalar):
            return self._bad_key("a list or a mapping cannot be a key", span)
        if node.raw == "<<" and not node.quoted:
            self.diagnostics.error(
                "merge-key",
                "`<<` merges mappings in YAML 1.1, and is not read here",
                span,
                hint="name the stage or evaluation to copy with `like:`; elsewhere an alias repeats a value",
            )
            self.is_broken = True
        elif node.value is None or isinstance(node.value, bool):
            return self._bad_key(
                f"`{node.raw}` is not text, so it cannot be a key", span, "put the key in quotes"
            )
        return node.raw

    def _bad_key(self, message: str, span: Span, hint: str | None = None) -> str:
        self.diagnostics.error("yaml-key", message, span, expected="a name", hint=hint)
        self.is_broken = True
        return f"{span.line}:{span.column}"  # unlike any other, so that no duplicate is reported

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.diagnostics.error(
                "yaml-tag",
                f"the tag `{tag}` is not read here",
                self._span(event),
                hint="quotes make text; every other type follows from how the value is written",
            )
            self.is_broken = True

    def _refusal(self, code: str, message: str, span: Span, *, hint: str | None = None) -> _Refused:
        return _Refused(Diagnostic(code, "error", message, span, hint=hint))

    def _span(self, event: yaml.Event) -> Span:
        start, end = _marks(event)
        return Span(self.file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _scalar_span(self, event: yaml.ScalarEvent) -> Span:
        """Where the value itself stands: without anchor and tag, without what follows a block."""
        span = self._span(event)
        is_block = event.style in ("|", ">")
        if event.anchor is None and event.tag is None and not is_block:
            return span
        start, end = _marks(event)
        written = self.text[start.index : end.index]
        line, column, end_line, end_column = span.line, span.column, span.end_line, span.end_column
        if is_block:
            end_line, end_column = _advance(line, column, written.rstrip())
        if (found := _PROPERTIES.match(written)) and found.end() < len(written):
            line, column = _advance(line, column, found[0])
        return Span(self.file, line, column, end_line, end_column)


def _advance(line: int, column: int, text: str) -> tuple[int, int]:
    """The place right behind `text` when it starts at `line` and `column`."""
    lines = split_lines(text)
    return line + len(lines) - 1, len(lines[-1]) + (column if len(lines) == 1 else 1)


def _marks(event: yaml.Event) -> tuple[yaml.Mark, yaml.Mark]:
    # The parsers give every event its marks; only the stubs do not know.
    return cast(yaml.Mark, event.start_mark), cast(yaml.Mark, event.end_mark)
