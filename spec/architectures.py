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
        hint = did_you_mean(_of_class(name), _table()) if isinstance(name, str) else None
        return [ModelProblem("architecture", "bad-choice", message, one_of(_table()), hint, True)]
    problems = [
        problem
        for field, value in given.items()
        if field != "architecture" and (problem := _field_problem(name, field, value)) is not None
    ]
    return problems or _arithmetic(name, given, sequence_length)


def _of_class(name: str) -> str:
    """`Qwen2ForCausalLM`, as a config.json has it, is `qwen2`."""
    return name.removesuffix("ForCausalLM").removesuffix("Model").removesuffix("LMHead").lower()


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


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The sizes of a model: those that are given, and the architecture's defaults."""

    row: Mapping[str, Any]  # of the table
    given: Mapping[str, Any]

    def of(self, field: str) -> tuple[int | None, str]:
        """The value of a field under whichever of its names, and how it was written."""
        own = self.row["aliases"].get(field, field)
        for key in (field, own):
            if isinstance(self.given.get(key), int):
                return self.given[key], f"`{key}` {self.given[key]}"
        default = self.row["fields"].get(own, {}).get("default")
        return (default, f"`{own}` {default} (its default)") if isinstance(default, int) else (None, "")

    def problem(self, message: str, *fields: str, expected: str | None = None) -> ModelProblem:
        """One at the first of these fields that is written out."""
        at = _given(self.given, self.row["aliases"], *fields)
        return ModelProblem(at, "bad-value", message, expected, on_value=True)


def _arithmetic(name: str, given: Mapping[str, Any], sequence_length: int | None) -> list[ModelProblem]:
    """Sizes that do not go together, defaults included."""
    sizes = _Sizes(_table()[name], given)
    found = (_check_heads(sizes), _check_length(sizes, sequence_length))
    return [problem for problem in found if problem is not None]


def _check_heads(sizes: _Sizes) -> ModelProblem | None:
    hidden, hidden_text = sizes.of("hidden_size")
    heads, heads_text = sizes.of("num_attention_heads")
    groups, groups_text = sizes.of("num_key_value_heads")
    head_dim, _ = sizes.of("head_dim")
    if hidden and heads and hidden % heads and (head_dim is None or sizes.row["heads_divide_hidden"]):
        message = f"{hidden_text} is no multiple of {heads_text}"
        return sizes.problem(message, "num_attention_heads", "hidden_size")
    if heads and groups and heads % groups:
        message = f"{heads_text} is no multiple of {groups_text}"
        return sizes.problem(message, "num_key_value_heads", "num_attention_heads")
    is_rotary = "rope_parameters" in sizes.row["fields"] and "partial_rotary_factor" not in sizes.given
    dim = head_dim or hidden // heads if hidden and heads else 0
    if is_rotary and dim % 2:
        message = f"heads of {dim} dimensions cannot be rotated in pairs"
        return sizes.problem(message, "head_dim", "num_attention_heads", expected="an even number per head")
    return None


def _check_length(sizes: _Sizes, sequence_length: int | None) -> ModelProblem | None:
    limit, limit_text = sizes.of("max_position_embeddings")
    if not (sequence_length and limit and sequence_length > limit):
        return None
    is_given = bool(_given(sizes.given, sizes.row["aliases"], "max_position_embeddings"))
    # A rotary model goes on past its default; a table of positions ends there.
    if "rope_parameters" in sizes.row["fields"] and not is_given:
        return None
    message = f"`sequence_length` {sequence_length} is more than {limit_text}"
    return sizes.problem(message, "max_position_embeddings")


def _given(given: Mapping[str, Any], aliases: Mapping[str, str], *fields: str) -> str:
    """The first of these fields that is written out, by the name that was used; "" if none is."""
    names = [name for field in fields for name in (field, aliases.get(field, field))]
    return next((name for name in names if name in given), "")
