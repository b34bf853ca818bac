"""JSON Schema of what is not ours: the fields of TRL's configs, and of transformers' architectures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exc.spec.architectures import architecture_fields, architecture_names, owned_fields
from exc.spec.arg_names import ELSEWHERE, FOREIGN, RENAMED, UNUSABLE
from exc.spec.arg_roles import STAGE_KEYS, owned_hint
from exc.spec.args import BOUNDS, Row, check_args, frozen_defaults, trl_fields
from exc.spec.schema_forms import AXIS_PATTERN, Schema
from exc.spec.schema_types import or_null

_TYPES: dict[str, str] = {
    "int": "integer", "float": "number", "str": "string", "bool": "boolean", "dict": "object", "null": "null",
}  # fmt: skip


def trained_kinds() -> tuple[str, ...]:
    """The kinds of stages whose `args` are checked against a table."""
    return tuple(STAGE_KEYS)


def args_schema(kind: str) -> Schema:
    """The `args` of a stage: every field of TRL's config; those that stand elsewhere refused with a hint."""
    defaults = frozen_defaults(kind)
    fields = trl_fields(kind)
    refused = _refused(kind)
    known = {
        name: or_null(_field(name, row, defaults.get(name)))  # in a copy `null` leaves a field out
        for name, row in fields.items()
        if name not in refused
    }
    hidden: Schema = {name: {"doNotSuggest": True} for name in refused}
    return {
        "type": "object",
        "properties": {**known, **hidden},
        "additionalProperties": False,
        "allOf": forbid_each(refused),
    }


def forbid(names: Iterable[str], message: str) -> Schema:
    """Refuses keys; an editor shows the message at the key."""
    return {"properties": dict.fromkeys(names, False), "errorMessage": message}


def forbid_each(hints: Mapping[str, str]) -> list[Schema]:
    """Refuses each key with its hint."""
    return [
        forbid([name for name in hints if hints[name] == hint], hint)
        for hint in dict.fromkeys(hints.values())
    ]


def _refused(kind: str) -> dict[str, str]:
    """Names that people write in `args` and that do not stand there -> what to write instead."""
    fields = trl_fields(kind)
    owned = {name: owned_hint(kind, name) for name in fields}
    names = [
        *(name for name in [*RENAMED, *STAGE_KEYS[kind]] if name not in fields or owned.get(name)),
        *(name for name, hint in owned.items() if hint is not None),
        *(name for name in RENAMED if name in fields),
        *(name for name in [*FOREIGN, *ELSEWHERE] if name not in fields),
    ]
    return {name: _why(kind, name) for name in dict.fromkeys(names)}


def _why(kind: str, name: str) -> str:
    """What `exc check` says of such a name."""
    [problem] = check_args(kind, {name: None})
    if problem.code == "foreign-field":
        return f"{FOREIGN[name][0]}'s name: {problem.hint}"
    return problem.hint or problem.message


def _field(name: str, row: Row, default: object) -> Schema:
    types = row["type"].split(" | ")
    choices = [choice for choice in row.get("choices", ()) if (name, choice) not in UNUSABLE]
    if "dict" in types or ("choices" in row and not choices):
        types = [kind for kind in types if kind != "str"]
    schema = _value(types, choices)
    least, most = BOUNDS.get(name, ("", None))
    bound = {">=0": {"minimum": 0}, ">0": {"exclusiveMinimum": 0}}.get(least, {})
    top = {} if most is None else {"maximum": most}
    said = f"{row['help']} Default: {spelled(default)}."
    return {**schema, **bound, **top, "description": said}


def _value(types: list[str], choices: list[str]) -> Schema:
    """A value of one of the types of the table's notation, or a `$axis`."""
    if choices:
        others = [_notation(kind) for kind in types if kind != "str"]
        texts: Schema = {"enum": choices}
        return {"anyOf": [texts, *others, {"type": "string", "pattern": AXIS_PATTERN}]}
    lists = [kind for kind in types if kind.startswith("list[")]
    plain = [_TYPES[kind] for kind in types if kind not in lists]
    if lists:
        return {"anyOf": [*(_notation(kind) for kind in lists), *([{"type": plain}] if plain else [])]}
    if "string" in plain:
        return {"type": plain if len(plain) > 1 else "string"}
    return {"type": [*plain, "string"], "pattern": AXIS_PATTERN, "errorMessage": f"expected {_words(plain)}"}


def _notation(kind: str) -> Schema:
    if kind.startswith("list["):
        return {"type": "array", "items": {"type": _TYPES[kind[5:-1]]}}
    return {"type": _TYPES[kind]}


def _words(kinds: list[str]) -> str:
    said = {"integer": "a whole number", "number": "a number", "boolean": "`true` or `false`",
            "object": "a mapping", "null": "`null`"}  # fmt: skip
    return " or ".join(said[kind] for kind in kinds)


def shown(text: str, default: object, *, has_default: bool) -> Schema:
    """Description and default, the latter also in the text: editors show no other."""
    if not has_default:
        return {"description": text}
    return {"description": text, "markdownDescription": f"{text}\n\nDefault: `{spelled(default)}`"}


def spelled(value: object) -> str:
    """A default as YAML spells it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(spelled, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {spelled(item)}" for key, item in value.items()) + "}"
    return '""' if value == "" else str(value)


def model_schema() -> Schema:
    """A trunk's `model`: an architecture, and the fields that it has."""
    described = {"enum": list(architecture_names()), "description": "transformers' name of the architecture"}
    return {
        "type": "object",
        "properties": {"architecture": described},
        "allOf": [
            *(_architecture(name) for name in architecture_names()),
            *forbid_each(owned_fields()),
        ],
    }


def _architecture(name: str) -> Schema:
    fields: dict[str, Any] = {}
    for field, (types, default, has_default) in architecture_fields(name).items():
        schema = or_null(_value(types.split(" | "), []))
        said = {"description": f"Default: {spelled(default)}."} if has_default else {}
        fields[field] = {**schema, **said}
    hidden: Schema = {field: {"doNotSuggest": True} for field in owned_fields()}
    return {
        "if": {"properties": {"architecture": {"const": name}}, "required": ["architecture"]},
        "then": {
            "properties": {"architecture": {}, **fields, **hidden},
            "additionalProperties": False,
        },
    }
