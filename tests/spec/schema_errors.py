"""What the JSON Schema says of a text, at lines, so that it can be held against what `exc check` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError, best_match

from exc.spec.diagnostics import Diagnostics
from exc.spec.nodes import Mapping, plain, span_at
from exc.spec.source import parse


def schema_lines(schema: dict[str, Any], text: str) -> set[int]:
    """The lines, counted from 1, at which the text breaks the schema."""
    root = parse(text, "experiment.yaml", Diagnostics())
    assert root is not None
    lines: set[int] = set()
    for error in Draft7Validator(schema).iter_errors(plain(root)):
        for leaf in _leaves(error):
            lines |= set(_lines(root, leaf))
    return lines


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The error itself; of alternatives, what is wrong with the one that was meant."""
    if not error.context:
        yield error
        return
    meant = best_match([error])
    yield meant if meant is not None else error
    deepest = max(error.context, key=lambda inner: len(inner.absolute_path))
    if len(deepest.absolute_path) > len(error.absolute_path):
        yield from _leaves(deepest)


def _lines(root: Any, error: ValidationError) -> Iterator[int]:
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        for key in error.instance:
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


def _first_line(root: Any, path: tuple[str | int, ...]) -> int:
    """The line of an item's first key, where its own key is that of the list."""
    node = root
    for step in path:
        node = node.entries[step] if isinstance(node, Mapping) else node.items[step]
    return node.span.line
