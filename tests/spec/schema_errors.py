"""What the JSON Schema says of a text, at lines, so that it can be held against what `exc check` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from exc.spec.diagnostics import Diagnostics
from exc.spec.nodes import Node, plain, span_at
from exc.spec.places import span_node
from exc.spec.source import parse


def schema_lines(schema: dict[str, Any], text: str) -> set[int]:
    """The lines, counted from 1, at which the text breaks the schema."""
    root = parse(text, "experiment.yaml", Diagnostics())
    assert root is not None
    lines: set[int] = set()
    instance: Any = plain(root)
    for error in Draft7Validator(schema).iter_errors(instance):
        for leaf in _leaves(error):
            lines |= set(_lines(root, leaf))
    return lines


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The error itself; of alternatives, what is wrong with the one that has the right type."""
    arms: dict[object, list[ValidationError]] = {}
    for inner in error.context or ():
        arms.setdefault(inner.relative_schema_path[0], []).append(inner)
    meant = [arm for arm in arms.values() if not any(_is_another(inner, error) for inner in arm)]
    if not meant:
        yield error
        return
    for inner in min(meant, key=len):
        yield from _leaves(inner)


def _is_another(inner: ValidationError, outer: ValidationError) -> bool:
    """Whether the value is not of the kind of this alternative at all."""
    return inner.validator in ("type", "enum") and inner.absolute_path == outer.absolute_path


def _lines(root: Node, error: ValidationError) -> Iterator[int]:
    path = tuple(error.absolute_path)
    if error.validator is None:  # a key that is refused, which the error does not name: what has its value
        owner: Any = plain(root)
        for step in path:
            owner = owner[step]
        keys = [key for key, value in owner.items() if value == error.instance]
        yield from (span_at(root, (*path, key), key=True).line for key in keys)
        return
    if error.validator == "additionalProperties" and error.validator_value is False:
        instance: Any = error.instance
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        for key in instance:
            if key not in known:
                yield span_at(root, (*path, key), key=True).line
        return
    if "propertyNames" in error.absolute_schema_path:
        yield span_at(root, (*path, str(error.instance)), key=True).line
        return
    if error.validator == "required":
        yield from {span_at(root, path, key=True).line, _first_line(root, path)}
        return
    yield span_at(root, path).line
    yield span_at(root, path, key=True).line


def _first_line(root: Node, path: tuple[str | int, ...]) -> int:
    """The line of an item's first key, where its own key is that of the list."""
    node = span_node(root, path)
    return root.span.line if node is None else node.span.line
