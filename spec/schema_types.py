"""Annotations of the models as JSON Schema: scalars, units, choices, lists and mappings."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import WithJsonSchema

from exc.spec.base import NAME, Name, Target
from exc.spec.expected import arms, describe, is_model
from exc.spec.schema_forms import AXIS_PATTERN, TARGET, Schema

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
# Bounds of pydantic's constraints -> JSON Schema's.
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
# Shown by editors as completions and on hover.
_EXAMPLES = {
    "tokens": ["50B", "1.5M", "200k"],
    "duration": ["8h", "1h30m", "90m"],
    "size": ["40GB", "512MB", "1GiB"],
}


class UnknownAnnotation(TypeError):
    """An annotation of a model that the schema has no form for."""


@dataclass(frozen=True)
class Types:
    """How annotations become schemas. `model` gives the schema of a nested model, short forms included."""

    model: Callable[[Any], Schema]

    def of(self, annotation: Any) -> Schema:
        """The schema of an annotation. Raises UnknownAnnotation."""
        parts = arms(annotation)
        nullable = len(parts) < len(_members(annotation))
        schema = self._one(parts[0]) if len(parts) == 1 else self._union(annotation, parts)
        return or_null(schema) if nullable else schema

    def _one(self, annotation: Any) -> Schema:
        if is_model(annotation):
            return self.model(annotation)
        if annotation is Any:
            return {}
        if get_origin(annotation) is Annotated:
            kind, *constraints = get_args(annotation)
            return self._constrained(annotation, kind, constraints)
        if get_origin(annotation) is Literal:
            return axis_or({"enum": list(get_args(annotation))})
        if get_origin(annotation) is dict:
            return self._mapping(*get_args(annotation))
        if get_origin(annotation) is tuple:
            return self._list(annotation, get_args(annotation))
        if annotation in _SCALARS:
            return axis_or(_SCALARS[annotation], describe(annotation))
        raise UnknownAnnotation(f"{annotation!r}")

    def _constrained(self, annotation: Any, kind: Any, constraints: list[Any]) -> Schema:
        unit = next((part for part in constraints if isinstance(part, WithJsonSchema)), None)
        if unit is not None:
            return _amount(dict(unit.json_schema or {}))
        bounds = dict(_bounds(constraints))
        if bounds.get("minItems"):
            return {**self.of(kind), **bounds}
        if len(arms(kind)) > 1 or get_origin(kind) in (tuple, dict):
            return self.of(kind)
        if kind not in _SCALARS:
            raise UnknownAnnotation(f"{annotation!r}")
        schema = {**_SCALARS[kind], **bounds}
        if annotation == Name:
            return {**schema, "pattern": "^" + NAME.pattern.removesuffix(r"\Z") + "$"}
        if annotation == Target:
            message = "a Python callable is written `module:function`"
            return {
                **schema,
                "pattern": f"^{TARGET}$",
                "patternErrorMessage": message,
            }
        return axis_or(schema, describe(annotation))

    def _mapping(self, key: Any, value: Any) -> Schema:
        names: Schema = {"propertyNames": {"pattern": self.of(key)["pattern"]}} if key == Name else {}
        return {"type": "object", **names, "additionalProperties": or_null(self.of(value))}

    def _list(self, annotation: Any, items: tuple[Any, ...]) -> Schema:
        error = {"errorMessage": f"expected {describe(annotation)}"}
        if len(items) == 2 and items[1] is Ellipsis:
            return {"type": "array", "items": self.of(items[0]), **error}
        size = len(items)
        listed = [self.of(item) for item in items]
        return {
            "type": "array", "items": listed, "minItems": size, "maxItems": size, "additionalItems": False,
            **error,
        }  # fmt: skip

    def _union(self, annotation: Any, parts: list[Any]) -> Schema:
        schemas = [self.of(part) for part in parts]
        if all(set(schema) <= {"type", "minimum", "errorMessage"} for schema in schemas):
            kinds = [schema["type"] for schema in schemas]
            flat = [kind for part in kinds for kind in ([part] if isinstance(part, str) else part)]
            return {"type": list(dict.fromkeys(flat)), "errorMessage": f"expected {describe(annotation)}"}
        return one_of_forms(schemas)


def one_of_forms(schemas: Iterable[Schema]) -> Schema:
    """Any of these; alternatives of an alternative are its own."""
    flat = [arm for schema in schemas for arm in (schema["anyOf"] if set(schema) == {"anyOf"} else [schema])]
    return {"anyOf": [arm for number, arm in enumerate(flat) if arm not in flat[:number]]}


def axis_or(schema: Schema, expected: str | None = None) -> Schema:
    """The schema, or a `$axis` of the entry's matrix; for scalars as one schema, which has one message."""
    message = {} if expected is None else {"errorMessage": f"expected {expected}"}
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "string", "pattern": AXIS_PATTERN}]}
    if schema["type"] == "string":
        return {**schema, **message}
    return {**schema, "type": [schema["type"], "string"], "pattern": AXIS_PATTERN, **message}


def _amount(schema: Schema) -> Schema:
    """A number with its unit, as one schema, so that a slip has one message."""
    expected = schema["description"]
    text = next((arm for arm in schema.get("anyOf", ()) if arm["type"] == "string"), schema)
    pattern = f"{text['pattern']}|{AXIS_PATTERN}"
    kinds: Any = ["integer", "number", "string"] if "anyOf" in schema else "string"
    examples = next(shown for word, shown in _EXAMPLES.items() if word in expected)
    return {
        "type": kinds, "minimum": 0, "pattern": pattern, "errorMessage": f"expected {expected}",
        "examples": examples,
    } if "anyOf" in schema else {
        "type": kinds, "pattern": pattern, "errorMessage": f"expected {expected}", "examples": examples,
    }  # fmt: skip


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _bounds(constraints: Iterable[Any]) -> Iterable[tuple[str, Any]]:
    for constraint in constraints:
        for part in [*getattr(constraint, "metadata", ()), constraint]:
            for name, keyword in _BOUNDS.items():
                if getattr(part, name, None) is not None:
                    yield keyword, getattr(part, name)
            if getattr(part, "min_length", None) is not None:
                yield "minItems", part.min_length


def or_null(schema: Schema) -> Schema:
    """The schema, or nothing: what may be left out may also be written as `null`."""
    if not schema or any("null" in arm.get("type", ()) for arm in schema.get("anyOf", ())):
        return schema
    # Editors offer names of keys where the type is `object` alone.
    if "type" in schema and not {"enum", "propertyNames"} & set(schema):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*kinds, *([] if "null" in kinds else ["null"])]}
    return one_of_forms([schema, {"type": "null"}])
