"""JSON Schema of what must not be left out, the tree beside that of what may be written.

It holds where nothing lies below: in a file that extends others `null` deletes, and what is missing may be
there; a copy (`like`) lacks only what is missing in what it says itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from exc.spec.base import Model
from exc.spec.cells import SECTIONS
from exc.spec.diagnostics import one_of
from exc.spec.expected import arms, bare, describe, field_annotation, is_model
from exc.spec.experiment import Spec
from exc.spec.kinds import KINDS
from exc.spec.schema_forms import LIKE, Schema
from exc.spec.trunks import Pretrain

_GIVEN: Schema = {"not": {"type": "null"}}
_EMPTY_SECTIONS = frozenset(SECTIONS) - {"trunks"}  # those that may hold nothing


@dataclass
class Needs:
    """Adds a definition `Needs.*` for each model of which something must be given."""

    definitions: dict[str, Schema]
    needed: dict[str, bool] = field(default_factory=dict)  # whether anything of a model must be given

    def of(self, model: type[BaseModel]) -> Schema | None:
        """What must not be left out of a model; None where that is nothing."""
        name = model.__name__
        if name not in self.needed:
            self.needed[name] = False  # a model that holds itself needs nothing more for that
            schema = self._needs(model)
            self.needed[name] = bool(schema)
            if schema:
                self.definitions[f"Needs.{name}"] = schema
        return {"$ref": f"#/definitions/Needs.{name}"} if self.needed[name] else None

    def _needs(self, model: type[BaseModel]) -> Schema:
        fields = fields_of(model)
        required = [key for key, info in fields.items() if info.is_required()]
        below = {
            key: [needs]
            for key, info in fields.items()
            if (needs := self._inner(info.annotation)) is not None
        }
        if issubclass(model, Pretrain):
            below["model"] = [{"required": ["architecture"]}]
        given = {
            key: [
                *below.get(key, ()),
                {**_GIVEN, "errorMessage": f"expected {describe(field_annotation(info))}"},
            ]
            for key, info in fields.items()
            if not _takes_null(model, key, info)
        }
        schema: Schema = {
            **({"required": required} if required else {}),
            **_properties({**below, **given}),
        }
        schema = _with_kind(model, schema)
        if schema and model.__name__ in LIKE:  # it has all that it does not say itself
            whole = {**below, **{key: given[key] for key in required}}
            own = {key: needs for key, needs in whole.items() if key not in KINDS.get(model, ())}
            schema = {"if": {"required": ["like"]}, "then": _properties(own), "else": schema}
        if schema and hidden_keys(model):
            body = {"if": {"required": ["repeat"]}, "then": True, "else": schema}
            return {"additionalProperties": body}
        return schema

    def _inner(self, annotation: Any) -> Schema | None:
        """What must not be left out below a field."""
        found: list[Schema] = []
        for arm in arms(annotation):
            kind = bare(arm)
            if is_model(kind):
                needs = self.of(kind)
                found += [needs] if needs is not None else []
            elif get_origin(kind) is dict and get_args(kind)[1] is not Any:
                inner = self._inner(get_args(kind)[1])
                found.append({"additionalProperties": {"allOf": [_GIVEN, *([inner] if inner else [])]}})
            elif get_origin(kind) is tuple and (inner := self._inner(get_args(kind)[0])) is not None:
                found.append({"items": inner})
        mappings = [arm for arm in arms(annotation) if is_model(bare(arm))]
        # Of two mappings, what is missing for the one may be the other.
        return found[0] if len(found) == 1 and len(mappings) < 2 else None


def hidden_keys(model: type[BaseModel]) -> tuple[str, ...]:
    return model.HIDDEN if issubclass(model, Model) else ()


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """Key in YAML -> field."""
    hidden = hidden_keys(model)
    return {info.alias or name: info for name, info in model.model_fields.items() if name not in hidden}


def _properties(needs: Mapping[str, list[Schema]]) -> Schema:
    """What is asked of the values of keys; beside a `$ref` an editor would not see `doNotSuggest`."""
    properties = {key: {"allOf": all_of, "doNotSuggest": True} for key, all_of in needs.items()}
    return {"properties": properties} if properties else {}


def _takes_null(model: type[BaseModel], key: str, info: Any) -> bool:
    """Whether a key may say `null` where there is nothing below to delete."""
    if model is Spec and key in (*_EMPTY_SECTIONS, "extends", "branches", "replicates", "report"):
        return True
    return key not in KINDS.get(model, ()) and type(None) in get_args(info.annotation)


def is_given(key: str) -> Schema:
    """A key is there, and not to be deleted."""
    return {"required": [key], "properties": {key: _GIVEN}}


def _with_kind(model: type[BaseModel], schema: Schema) -> Schema:
    """What is needed, and one of the keys that give an entry its kind."""
    kinds = KINDS.get(model, ())
    if not kinds:
        return schema
    given = {"anyOf": [{"required": [kind]} for kind in kinds]}
    missing = {"required": [kinds[0]], "errorMessage": f"expected {one_of(kinds)}"}
    return {**schema, "if": given, "then": True, "else": missing}
