"""JSON Schema (draft-07) of the spec and of profiles.yaml, for editors and other programs.

Made from the models, with what they do not say in `schema_forms.py`. Two trees stand over each other: one
says what may be written, the other (`Needs.*`) what must not be left out, so that a copy (`like`) and a
file that goes on from others (`extends`) may leave out anything. Alternatives are told apart by type or by
a key, never by `oneOf`: an editor then says what is wrong with the alternative that was meant.
`errorMessage`, `doNotSuggest` and `markdownDescription` are read by the YAML language server and ignored by
validators.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from exc.spec.cells import SECTIONS
from exc.spec.diagnostics import one_of
from exc.spec.expected import arms, bare, field_annotation
from exc.spec.experiment import Spec
from exc.spec.figures import ARGUMENTS, REQUIRED, FigureOf
from exc.spec.kinds import KINDS
from exc.spec.paired import SIDES, RlSide, SftSide
from exc.spec.profiles import Profile
from exc.spec.recipes import Stage
from exc.spec.schema_args import args_schema, forbid, forbid_each, model_schema, shown, spelled, trained_kinds
from exc.spec.schema_forms import (
    LIKE,
    MATRIX,
    PLACES,
    REPEAT_TEXT,
    SHORT_FORMS,
    STAGES_TEXT,
    TIGHTER,
    Schema,
    names,
    whole,
)  # fmt: skip
from exc.spec.schema_needs import Needs, fields_of, hidden_keys, is_given
from exc.spec.schema_types import Types, UnknownAnnotation, one_of_forms, or_null
from exc.spec.stage_hints import foreign_stage_keys
from exc.spec.trunks import Pretrain

DRAFT = "http://json-schema.org/draft-07/schema#"


def spec_schema() -> Schema:
    """The schema of an experiment file."""
    writer = _Writer()
    writer.shape(Spec)
    root = writer.definitions.pop("Spec")
    Needs(writer.definitions).of(Spec)
    needs = {"if": {"required": ["extends"]}, "then": True, "else": {"$ref": "#/definitions/Needs.Spec"}}
    root["allOf"] = [*root.get("allOf", ()), needs]
    return {"$schema": DRAFT, **root, "definitions": dict(sorted(writer.definitions.items()))}


def profiles_schema() -> Schema:
    """The schema of a profiles.yaml."""
    writer = _Writer()
    entry = one_of_forms([writer.model(Profile), {"type": "null"}])
    needs = Needs(writer.definitions).of(Profile)
    root = {
        "$schema": DRAFT,
        "type": "object",
        "propertyNames": names("name of a profile"),
        "additionalProperties": {**entry, **({} if needs is None else {"allOf": [needs]})},
    }
    return {**root, "definitions": dict(sorted(writer.definitions.items()))}


def schema_text(schema: Schema) -> str:
    """The schema as a file: the same bytes each time."""
    return _text(schema, 0) + "\n"


def _text(value: Any, depth: int) -> str:
    """JSON with one line for each property of a definition: to be compared, and not long."""
    if not isinstance(value, dict) or not value or depth > 3:
        return json.dumps(value, ensure_ascii=False)
    indent = " " * (depth + 1)
    lines = [f"{indent}{json.dumps(key)}: {_text(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + indent[1:] + "}"


@dataclass
class _Writer:
    """Collects a definition for each model."""

    definitions: dict[str, Schema] = field(default_factory=dict)

    def model(self, model: type[BaseModel]) -> Schema:
        """What may stand where a model is read."""
        name = self.shape(model)
        fields = fields_of(model)
        short = [
            self._field(model, form, fields[form]) if isinstance(form, str) else form
            for form in SHORT_FORMS.get(model.__name__, ())
        ]
        ref: Schema = {"$ref": f"#/definitions/{name}"}
        return one_of_forms([ref, *short]) if short else ref

    def shape(self, model: type[BaseModel]) -> str:
        """Define the mapping of a model, once; gives its name."""
        name = model.__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # a model that holds itself
            self.definitions[name] = self._item(model) if hidden_keys(model) else self._body(model)
        return name

    def _body(self, model: type[BaseModel]) -> Schema:
        properties = {key: self._field(model, key, info) for key, info in fields_of(model).items()}
        if model.__name__ in LIKE:
            properties = {"like": {"type": "string", "description": LIKE[model.__name__]}, **properties}
        foreign = foreign_stage_keys(model, properties)
        hidden = {key: {"doNotSuggest": True} for key in foreign}
        rules = [*_one_kind(model), *forbid_each(foreign)]
        return {
            "type": "object",
            "description": _first_paragraph(model),
            "properties": {**properties, **hidden},
            "additionalProperties": False,
            **({"allOf": rules} if rules else {}),
        }

    def _item(self, model: type[BaseModel]) -> Schema:
        """A model that stands under a key of its own: `- name: {...}`, or `- gains: {on: ...}`."""
        key = bare(field_annotation(model.model_fields[hidden_keys(model)[0]]))
        body: Schema = self._body(model)
        if model is Stage:
            body = self._block(body)
        one = {"type": "object", "minProperties": 1, "maxProperties": 1}
        if model is FigureOf:
            bodies = {name: or_null(_told(body, name)) for name in get_args(key)}
            mapping = {**one, "properties": bodies, "additionalProperties": False}
            return {"anyOf": [{"enum": list(get_args(key))}, mapping]}
        return {**one, "propertyNames": names("name of the stage"), "additionalProperties": body}

    def _block(self, body: Schema) -> Schema:
        """A stage, or stages that are repeated."""
        stages = {"type": "array", "items": {"$ref": "#/definitions/Stage"}, "description": STAGES_TEXT}
        repeat = {"repeat": {**whole(1), "description": REPEAT_TEXT}, "stages": stages}
        return {**body, "properties": {**body["properties"], **repeat}}

    def _field(self, model: type[BaseModel], key: str, info: Any) -> Schema:
        try:
            schema = self._value(model, key, info)
        except UnknownAnnotation as error:
            where = f"{model.__name__}.{key}"
            raise UnknownAnnotation(f"{where}: spec/schema_types.py has no form for {error}") from None
        place = PLACES.get((model.__name__, key))
        if place is not None:
            schema = one_of_forms([place, schema])
        schema = or_null({**schema, **TIGHTER.get((model.__name__, key), {})})
        default = _default(info)
        return {**schema, **shown(info.description or "", default, has_default=_is_said(default))}

    def _value(self, model: type[BaseModel], key: str, info: Any) -> Schema:
        bodies = {_body_of(kind): kind for kind in trained_kinds()}
        kind = {**bodies, RlSide: SIDES["rl"], SftSide: SIDES["sft"]}.get(model)
        if key == "args" and kind is not None:
            return self._defined(f"args.{kind}", args_schema(kind))
        if issubclass(model, Pretrain) and key == "model":
            return self._defined("model", model_schema())
        schema = Types(self.model).of(field_annotation(info))
        return self._section(key, schema) if model is Spec and key in SECTIONS else schema

    def _defined(self, name: str, schema: Schema) -> Schema:
        self.definitions.setdefault(name, schema)
        return {"$ref": f"#/definitions/{name}"}

    def _section(self, key: str, schema: Schema) -> Schema:
        """Named entries of the spec, each of which may have a `matrix`, or be deleted by `null`."""
        entry = _not_null(schema["additionalProperties"])
        if key == "recipes":
            entry = {**entry, "minItems": 1}
            form = {"matrix": MATRIX, "stages": {**entry, "description": STAGES_TEXT}}
            long = {
                "type": "object",
                "properties": form,
                "additionalProperties": False,
                "anyOf": [{"required": ["stages"]}, {"required": ["matrix"]}],  # the other may lie below
            }
            entry = one_of_forms([entry, long])
        else:
            definition = self.definitions[entry["$ref"].rpartition("/")[2]]
            definition["properties"]["matrix"] = MATRIX
        return {**schema, "propertyNames": names(f"name in `{key}`"), "additionalProperties": or_null(entry)}


def _told(body: Schema, figure: str) -> Schema:
    """What one figure can be told."""
    properties = {key: body["properties"][key] for key in ("on", *ARGUMENTS[figure])}
    needed = {"required": list(REQUIRED[figure])} if figure in REQUIRED else {}
    return {**body, "properties": properties, **needed}


def _not_null(schema: Schema) -> Schema:
    """Without the alternative of `null`."""
    if "anyOf" in schema:
        left = [arm for arm in schema["anyOf"] if arm != {"type": "null"}]
        return left[0] if len(left) == 1 else {**schema, "anyOf": left}
    kinds = [kind for kind in schema["type"] if kind != "null"]
    return {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}


def _body_of(kind: str) -> type[BaseModel] | None:
    info = Stage.model_fields.get(kind)
    return arms(info.annotation)[0] if info is not None else None


def _one_kind(model: type[BaseModel]) -> list[Schema]:
    """No second key that gives an entry its kind."""
    kinds = KINDS.get(model, ())
    return [
        {
            "if": {**is_given(kind), "anyOf": [is_given(other) for other in kinds[:number]]},
            "then": forbid([kind], f"expected only {one_of(kinds)}"),
        }
        for number, kind in enumerate(kinds)
        if number
    ]


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _default(info: Any) -> Any:
    if info.is_required():
        return PydanticUndefined
    return info.get_default(call_default_factory=True)


def _is_said(default: Any) -> bool:
    """Whether a default says more than that the field was left out."""
    if default is PydanticUndefined or default is None:
        return False
    return not isinstance(default, BaseModel) and default not in ((), {}, "") and "(" not in spelled(default)
