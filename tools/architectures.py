"""Write spec/tables/architectures.json: the fields of model configs, which the compiler cannot import.

    python tools/architectures.py             rewrite the table from the installed transformers
    python tools/architectures.py --print     print it instead

Types are alternatives joined by " | ", each one of int, float, str, bool, dict, list[int], list[float],
list[str], null. A field of any other type is one that no YAML can hold, and is left out.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from pathlib import Path

import orjson
import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

TABLE = Path(__file__).parent.parent / "spec" / "tables" / "architectures.json"

# Decoders that read and write one stream of tokens.
ARCHITECTURES = (
    *("gemma", "gemma2", "gpt2", "gpt_neox", "granite", "llama", "mistral", "mixtral", "olmo"),
    *("olmo2", "olmo3", "olmoe", "opt", "phi", "phi3", "qwen2", "qwen3", "qwen3_moe", "smollm3", "stablelm"),
    *("starcoder2",),
)
# Follow from the tokenizer, or concern how a model is used and not what it is.
LEFT_OUT = frozenset(
    {"bos_token_id", "eos_token_id", "pad_token_id", "use_cache", "is_decoder", "pretraining_tp"}
)

_ATOMS = {int: "int", float: "float", str: "str", bool: "bool", dict: "dict", type(None): "null"}
_LISTS = {int: "list[int]", float: "list[float]", str: "list[str]"}


def names_of(annotation: object) -> list[str]:
    """The alternatives of a type in the table's notation; those that no YAML can hold are left out."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return [name for arm in typing.get_args(annotation) for name in names_of(arm)]
    if origin is typing.Literal:
        return sorted({name for choice in typing.get_args(annotation) for name in names_of(type(choice))})
    if origin in (list, tuple):
        item = typing.get_args(annotation)[0]
        return [_LISTS[item]] if item in _LISTS else []
    if origin is dict or typing.is_typeddict(annotation):
        return ["dict"]
    if isinstance(annotation, type):
        return ["list[str]"] if annotation is list else [_ATOMS[annotation]] if annotation in _ATOMS else []
    return []


def fields_of(config: type[PreTrainedConfig]) -> dict[str, dict[str, object]]:
    """The fields of one architecture, with types and defaults."""
    general = {field.name for field in dataclasses.fields(PreTrainedConfig)} - {"tie_word_embeddings"}
    hints = typing.get_type_hints(config, localns={"torch": torch})
    out: dict[str, dict[str, object]] = {}
    for field in dataclasses.fields(config):
        if field.name in general | LEFT_OUT or not field.init:
            continue
        if names := dict.fromkeys(names_of(hints[field.name])):
            default = (
                field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            )
            plain = list(default) if isinstance(default, tuple) else default
            out[field.name] = {
                "type": " | ".join(names),
                "default": None if plain is dataclasses.MISSING else plain,
            }
    return out


def checks_heads(config: type[PreTrainedConfig], fields: dict[str, dict[str, object]]) -> bool:
    """Whether a hidden size that the heads do not divide is refused even where `head_dim` is given."""
    head_dim = {"head_dim": 4} if "head_dim" in fields else {}
    try:
        config(hidden_size=8, num_attention_heads=3, **head_dim)
    except Exception:
        return True
    return False


def table() -> dict[str, object]:
    """The whole table."""
    rows: dict[str, object] = {}
    for name in ARCHITECTURES:
        if name not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            raise SystemExit(f"{name}: the installed transformers has no causal language model of that name")
        config = CONFIG_MAPPING[name]
        fields = fields_of(config)
        rows[name] = {
            "fields": fields,
            "aliases": dict(config.attribute_map),
            "heads_divide_hidden": checks_heads(config, fields),
        }
    return {"transformers": transformers.__version__, "architectures": rows}


def main() -> None:
    content = orjson.dumps(table(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    if sys.argv[1:] == ["--print"]:
        sys.stdout.buffer.write(content)
    else:
        TABLE.write_bytes(content)


if __name__ == "__main__":
    main()
