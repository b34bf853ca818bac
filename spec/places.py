"""Places in the tree: nodes by path, what to point at, and what to call it in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from exc.spec.diagnostics import Span
from exc.spec.nodes import Mapping, Node, Path, Scalar, Sequence, span_at


def span_node(node: Node, path: Path) -> Node | None:
    """The node at `path`, or None."""
    for step in path:
        if isinstance(node, Mapping) and step in node.entries:
            node = node.entries[str(step)]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def value_span(root: Node, path: Path) -> Span:
    """A value; its key where the value is nothing, or too much to underline."""
    node = span_node(root, path)
    return span_at(root, path, key=not isinstance(node, Scalar) or node.value is None)


def owner_span(root: Node, path: Path) -> Span:
    """Where to point when something of the mapping at `path` is missing: its key, or its own first key."""
    if path and isinstance(path[-1], str):
        return span_at(root, path, key=True)
    node = span_node(root, path)
    if isinstance(node, Mapping) and node.keys:
        return node.keys[next(iter(node.entries), next(iter(node.keys)))]
    return span_at(root, path, key=True)


def owner_name(root: Node, path: Path) -> str:
    """What to call the mapping at `path` in a sentence."""
    keys = ("repeats", "name") if path and path[0] == "recipes" else ()
    name = next((node for key in keys if (node := span_node(root, (*path, key))) is not None), None)
    return f"the stage `{name.value}`" if isinstance(name, Scalar) else name_of(path)


def name_of(path: Path) -> str:
    """The last key of a path in backticks, or "item 2 of `k`"."""
    if not path:
        return "the spec"
    if isinstance(path[-1], int):
        owner = next((str(step) for step in reversed(path) if isinstance(step, str)), "the list")
        return f"item {path[-1] + 1} of `{owner}`"
    return f"`{path[-1]}`"


def written(root: Node, path: Path) -> Path:
    """The path as a person wrote it: without the keys and items that a short form implies."""
    shown: list[str | int] = []
    node = root
    for position, step in enumerate(path):
        implied = False
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            implied = node.keys[step] == node.span
            node = node.entries[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            implied = node.items[step].span == node.span
            node = node.items[step]
        else:
            return (*shown, *path[position:])
        if not implied:
            shown.append(step)
    return tuple(shown)


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Every leaf of a tree."""
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from walk(item, (*path, index))
    else:
        for key, value in node.entries.items():
            yield from walk(value, (*path, key))
