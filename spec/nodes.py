"""The tree that a spec file is read into: values that remember where they stand."""

from __future__ import annotations

from dataclasses import dataclass

from exc.spec.diagnostics import Span
from exc.spec.scalars import Plain


@dataclass(slots=True)
class Scalar:
    """A leaf. `raw` is its text before resolution; `quoted`: written with quotes or as a block."""

    value: Plain
    span: Span
    raw: str
    quoted: bool


@dataclass(slots=True)
class Sequence:
    """A list."""

    items: list[Node]
    span: Span


@dataclass(slots=True)
class Mapping:
    """A mapping with text keys, in the order written. `keys` holds the place of each key."""

    entries: dict[str, Node]
    keys: dict[str, Span]
    span: Span


# Nodes are not changed once read: one that aliases repeat stands in the tree several times.
Node = Scalar | Sequence | Mapping
Path = tuple[str | int, ...]


def plain(node: Node) -> object:
    """The value as Python data: dict, list, str, int, float, bool or None. Always a fresh copy."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.entries.items()}


def small_span(node: Node) -> Span:
    """A place in the value that is small enough to underline: of a mapping, its first key."""
    return next(iter(node.keys.values())) if isinstance(node, Mapping) and node.keys else node.span


def span_at(node: Node, path: Path, key: bool = False) -> Span:
    """Where the value at `path` stands; with `key`, where its key does.

    Of a path that leads nowhere, the nearest ancestor that exists answers: with its key, if it has one,
    because a whole block is too much to underline.
    """
    span = node.span
    for position, step in enumerate(path):
        is_last = position == len(path) - 1
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            owner, node = node, node.entries[step]
            span = node.span if is_last and not key else owner.keys[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
            span = node.span
        else:
            break
    return span
