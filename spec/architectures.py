"""A trunk's `model:` against the fields of its architecture, from a table by tools/architectures.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from exc.spec.arg_values import accepts, in_words, shown, what_was_meant
from exc.spec.diagnostics import did_you_mean, one_of

_TABLE = Path(__file__).parent / "tables" / "architectures.json"
# Read by every rotary architecture in place of `rope_parameters`, which is what they end up in.
_ROPE = {"rope_theta": "float", "rope_scaling": "dict | null"}
_SIZES = ("hidden_size", "head_dim", "intermediate_size", "max_position", "num_", "n_", "vocab_size")
_OWNED = {
    "bos_token_id": "it is the tokenizer's",
    "eos_token_id": "it is the tokenizer's",
    "pad_token_id": "it is the tokenizer's",
    "dtype": "`precision` of `pretrain` says it",
    "torch_dtype": "`precision` of `pretrain` says it",
    "model_type": "`architecture` says it",
}


@dataclass(frozen=True, slots=True)
class ModelProblem:
    """One thing wrong with a `model:`. `field` "" means the whole; `on_value`: the value is at fault."""

    field: str
    code: str
    message: str
    expected: str | None = None
    hint: str | None = None
    on_value: bool = False


def check_model(given: Mapping[str, Any], sequence_length: int | None) -> list[ModelProblem]:
    """Everything that is wrong with the config of a model, in the order written."""
    if "architecture" not in given:
        return [ModelProblem("", "missing-key", "`model` lacks `architecture`", one_of(_table()))]
    name = given["architecture"]
    if not isinstance(name, str) or name not in _table():
        message = (
            f"there is no architecture `{name}`" if isinstance(name, str) else "this names no architecture"
        )
        hint = did_you_mean(name, _table()) if isinstance(name, str) else None
        return [ModelProblem("architecture", "bad-choice", message, one_of(_table()), hint, True)]
    problems = [
        problem
        for field, value in given.items()
        if field != "architecture" and (problem := _field_problem(name, field, value)) is not None
    ]
    return problems or _arithmetic(name, given, sequence_length)


def architecture_names() -> tuple[str, ...]:
    """The architectures that `model` may name."""
    return tuple(_table())


def architecture_fields(name: str) -> dict[str, tuple[str, object, bool]]:
    """What else `model` may say: field -> (types in the tables' notation, default, whether there is one)."""
    row = _table()[name]
    fields = row["fields"]
    own = {field: row["aliases"].get(field, field) for field in _types(name)}
    return {
        field: (types, fields[own[field]]["default"], True) if own[field] in fields else (types, None, False)
        for field, types in _types(name).items()
    }


def architecture_aliases(name: str) -> Mapping[str, str]:
    """Other names of fields: the name -> the field that it means."""
    aliases: dict[str, str] = _table()[name]["aliases"]
    return aliases


def owned_fields() -> Mapping[str, str]:
    """Fields of a config that do not stand in `model`, and why."""
    return _OWNED


@cache
def _table() -> Mapping[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = orjson.loads(_TABLE.read_bytes())["architectures"]
    return table


def _types(name: str) -> dict[str, str]:
    """The notation of every field that may be given."""
    row = _table()[name]
    types = {field: str(entry["type"]) for field, entry in row["fields"].items()}
    types |= {alias: types[field] for alias, field in row["aliases"].items() if field in types}
    return types | (_ROPE if "rope_parameters" in types else {})


def _field_problem(name: str, field: str, value: object) -> ModelProblem | None:
    types = _types(name)
    if field in _OWNED:
        return ModelProblem(field, "owned-field", f"`{field}` does not stand in `model`", hint=_OWNED[field])
    if field not in types:
        message = f"`{name}` has no field `{field}`"
        return ModelProblem(field, "unknown-key", message, one_of(types), did_you_mean(field, types))
    alternatives = types[field].split(" | ")
    if not any(accepts(alternative, value) for alternative in alternatives):
        expected = in_words(alternatives)
        hint = what_was_meant(alternatives, (), value)
        return ModelProblem(field, "wrong-type", f"`{field}` is {shown(value)}", expected, hint, True)
    if isinstance(value, int) and value <= 0 and field.startswith(_SIZES) and not isinstance(value, bool):
        return ModelProblem(
            field, "bad-value", f"`{field}` is {value}", "a whole number above 0", on_value=True
        )
    return None


def _arithmetic(name: str, given: Mapping[str, Any], sequence_length: int | None) -> list[ModelProblem]:
    """Sizes that do not go together, defaults included."""
    row = _table()[name]
    aliases, fields = row["aliases"], row["fields"]

    def size(field: str) -> tuple[int | None, str]:
        """The value of a field under whichever of its names, and how it was written."""
        own = aliases.get(field, field)
        for key in (field, own):
            if isinstance(given.get(key), int):
                return given[key], f"`{key}` {given[key]}"
        default = fields.get(own, {}).get("default")
        return (default, f"`{own}` {default} (its default)") if isinstance(default, int) else (None, "")

    hidden, hidden_text = size("hidden_size")
    heads, heads_text = size("num_attention_heads")
    groups, groups_text = size("num_key_value_heads")
    head_dim, _ = size("head_dim")
    problems = []
    if hidden and heads and hidden % heads and (head_dim is None or row["heads_divide_hidden"]):
        at = _given(given, aliases, "num_attention_heads", "hidden_size")
        problems.append(
            ModelProblem(at, "bad-value", f"{hidden_text} is no multiple of {heads_text}", on_value=True)
        )
    elif heads and groups and heads % groups:
        at = _given(given, aliases, "num_key_value_heads", "num_attention_heads")
        problems.append(
            ModelProblem(at, "bad-value", f"{heads_text} is no multiple of {groups_text}", on_value=True)
        )
    elif hidden and heads and "rope_parameters" in fields and "partial_rotary_factor" not in given:
        dim = head_dim or hidden // heads
        if dim % 2:
            at = _given(given, aliases, "head_dim", "num_attention_heads")
            message = f"heads of {dim} dimensions cannot be rotated in pairs"
            problems.append(ModelProblem(at, "bad-value", message, "an even number per head", on_value=True))
    limit, limit_text = size("max_position_embeddings")
    is_given = bool(_given(given, aliases, "max_position_embeddings"))
    # A rotary model goes on past its default; a table of positions ends there.
    if (
        sequence_length
        and limit
        and sequence_length > limit
        and (is_given or "rope_parameters" not in fields)
    ):
        at = _given(given, aliases, "max_position_embeddings")
        message = f"`sequence_length` {sequence_length} is more than {limit_text}"
        problems.append(ModelProblem(at, "bad-value", message, on_value=True))
    return problems


def _given(given: Mapping[str, Any], aliases: Mapping[str, str], *fields: str) -> str:
    """The first of these fields that is written out, by the name that was used; "" if none is."""
    names = [name for field in fields for name in (field, aliases.get(field, field))]
    return next((name for name in names if name in given), "")
