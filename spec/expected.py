"""What a field of the models takes, in the words of the YAML that people write."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exc.spec.base import Model
from exc.spec.diagnostics import one_of
from exc.spec.nodes import Mapping, Node, Scalar, Sequence
from exc.spec.units import (
    BYTES_EXPECTED,
    DURATION_EXPECTED,
    TOKENS_EXPECTED,
    parse_bytes,
    parse_duration_s,
    parse_tokens,
)

_UNITS = {parse_tokens: TOKENS_EXPECTED, parse_duration_s: DURATION_EXPECTED, parse_bytes: BYTES_EXPECTED}
_PLAIN = {str: "text", bool: "`true` or `false`", int: "a whole number", float: "a number", Any: "a value"}


def arms(annotation: Any) -> list[Any]:
    """The members of a union, `None` aside; a single one for anything else."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [arm for arm in get_args(annotation) if arm is not type(None)]
    return [annotation]


def field_annotation(field: FieldInfo) -> Any:
    """The field's type together with its constraints, which pydantic keeps apart."""
    annotation: Any = field.annotation
    return Annotated[(annotation, *field.metadata)] if field.metadata else annotation


def bare(annotation: Any) -> Any:
    """The type without its constraints."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def form(annotation: Any) -> str:
    """Which kind of node an annotation reads: list, mapping or scalar."""
    kind = bare(annotation)
    if is_model(kind) or get_origin(kind) is dict:
        return "mapping"
    return "list" if get_origin(kind) in (tuple, list) else "scalar"


def form_of(node: Node) -> str:
    return "list" if isinstance(node, Sequence) else "mapping" if isinstance(node, Mapping) else "scalar"


def describe(annotation: Any) -> str:
    """What may stand here, to go on after the word "expected"."""
    parts = arms(annotation)
    if len(parts) > 1:
        return ", or ".join(dict.fromkeys(describe(part) for part in parts))
    annotation = parts[0]
    if get_origin(annotation) is Annotated:
        kind, *constraints = get_args(annotation)
        unit = next((text for parse, text in _UNITS.items() if _reads_with(parse, constraints)), None)
        return unit or describe(kind) + _range(constraints)
    if get_origin(annotation) is Literal:
        return one_of(str(choice) for choice in get_args(annotation))
    if is_model(annotation):
        mapping = f"a mapping of {', '.join(f'`{key}`' for key in keys_of(annotation))}"
        return f"{annotation.SHORT}, or {mapping}" if annotation.SHORT else mapping
    if get_origin(annotation) is dict:
        value = get_args(annotation)[1]
        scalar = value is not Any and not is_model(value) and form(value) == "scalar"
        return f"a mapping, each value {describe(value)}" if scalar else "a mapping"
    if get_origin(annotation) is tuple:
        items = get_args(annotation)
        if len(items) == 2 and items[1] is not Ellipsis:
            return "a list of two"
        return f"a list of {_plural(describe(items[0]))}"
    return _PLAIN.get(annotation, "a value")


def _plural(item: str) -> str:
    for one, many in (("text", "texts"), ("a whole number", "whole numbers"), ("a mapping", "mappings")):
        if item.startswith(one) and " or " not in item.replace(" or more", ""):
            return many + item.removeprefix(one)
    return f"items, each {item}"


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a model has in YAML."""
    hidden = model.HIDDEN if issubclass(model, Model) else ()
    return [field.alias or name for name, field in model.model_fields.items() if name not in hidden]


def found(node: Node) -> str:
    """What stands there, to go on after the word "is"."""
    if not isinstance(node, Scalar):
        return "a list" if isinstance(node, Sequence) else "a mapping"
    if node.value is None:
        return "empty"
    if isinstance(node.value, str):
        return "text in quotes" if node.quoted and _is_number(node.value) else "text"
    return f"`{node.raw}`" if isinstance(node.value, bool) else f"the number {node.raw}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reads_with(parse: object, constraints: Iterable[Any]) -> bool:
    return any(getattr(constraint, "func", None) is parse for constraint in constraints)


def _range(constraints: Iterable[Any]) -> str:
    """Bounds of a number, as the end of a phrase."""
    bounds: dict[str, Any] = {}
    for constraint in constraints:
        for part in [*getattr(constraint, "metadata", ()), constraint]:
            bounds |= {name: getattr(part, name) for name in ("gt", "ge", "le") if hasattr(part, name)}
    if "ge" in bounds and "le" in bounds:
        return f" from {bounds['ge']} to {bounds['le']}"
    if "gt" in bounds and "le" in bounds:
        return f" above {bounds['gt']}, {bounds['le']} at most"
    if "gt" in bounds:
        return f" above {bounds['gt']}"
    return f", {bounds['ge']} or more" if "ge" in bounds else ""
