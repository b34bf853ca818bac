"""Write spec/tables/trl-VERSION.json: the fields of TRL's configs, for a compiler that never imports TRL.

    python tools/trl_tables.py             rewrite the table of the installed TRL
    python tools/trl_tables.py --print     print it instead

Types are alternatives joined by " | ", each one of int, float, str, bool, dict, list[int], list[float],
list[str], object, null. `object` is a Python object that no YAML can hold.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import sys
import types
import typing
from pathlib import Path

import orjson

TABLES = Path(__file__).parent.parent / "spec" / "tables"
CONFIGS = {
    "sft": "SFTConfig",
    "grpo": "GRPOConfig",
    "dpo": "DPOConfig",
    "rloo": "RLOOConfig",
    "kto": "KTOConfig",
}

# The closed sets of fields that TRL and transformers declare as a plain str, without choices. Every value is
# looked up in the source of the trainers: one that they no longer know stops this script.
PLAIN_STR_CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "sft": {
        "include_num_input_tokens_seen": ("all", "non_padding", "no"),
        "pad_to_multiple_of": ("auto",),
    },
    "dpo": {
        "f_divergence_type": ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"),
        "include_num_input_tokens_seen": ("all", "non_padding", "no"),
        "loss_type": (
            *("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard"),
            *("aot", "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm"),
        ),
        "pad_to_multiple_of": ("auto",),
    },
    "grpo": {
        "cache_implementation": ("static", "offloaded_static", "dynamic", "offloaded", "quantized", "paged"),
        "importance_sampling_level": ("token", "sequence"),
        "include_num_input_tokens_seen": ("all", "non_padding", "no"),
        "loss_type": ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
        "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
        "pad_to_multiple_of": ("auto",),
        "scale_rewards": ("group", "batch", "none"),
        "vllm_importance_sampling_mode": (
            *("token_truncate", "token_mask"),
            *("sequence_truncate", "sequence_mask"),
        ),
        "vllm_mode": ("server", "colocate"),
        "vllm_model_impl": ("vllm", "transformers"),
    },
    "rloo": {
        "cache_implementation": ("static", "offloaded_static", "dynamic", "offloaded", "quantized", "paged"),
        "include_num_input_tokens_seen": ("all", "non_padding", "no"),
        "pad_to_multiple_of": ("auto",),
        "vllm_mode": ("server", "colocate"),
        "vllm_model_impl": ("vllm", "transformers"),
    },
    "kto": {
        "include_num_input_tokens_seen": ("all", "non_padding", "no"),
        "loss_type": ("kto", "apo_zero_unpaired"),
        "pad_to_multiple_of": ("auto",),
    },
}

_ATOMS = {int: "int", float: "float", str: "str", bool: "bool", dict: "dict", type(None): "null"}
_LISTS = {int: "list[int]", float: "list[float]"}


def alternatives(hint: object) -> list[str]:
    """The closed notation of one type annotation, alternative by alternative."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        names = dict.fromkeys(name for arg in args for name in alternatives(arg))
        return sorted(names, key=lambda name: name == "null")  # stable: null comes last
    if origin is typing.Literal:
        return list(dict.fromkeys(_ATOMS[type(value)] for value in args))
    if origin is list:
        return ["list[str]"] if alternatives(args[0]) == ["str"] else [_LISTS.get(args[0], "object")]
    if origin is tuple:  # YAML has lists alone
        return sorted({_LISTS.get(arg, "object") for arg in args})
    if origin is dict:
        return ["dict"]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return ["str"]
    return [_ATOMS[hint]] if isinstance(hint, type) and hint in _ATOMS else ["object"]


def enum_values(hint: object) -> list[str] | None:
    """The values of the enumeration that an annotation allows, if it allows one."""
    for part in (hint, *typing.get_args(hint)):
        if isinstance(part, type) and issubclass(part, enum.Enum):
            return [member.value for member in part]
    return None


def plain(value: object) -> object:
    """A default as JSON holds it."""
    return value.value if isinstance(value, enum.Enum) else value


def first_sentence(text: str) -> str:
    """The first sentence of a help text, on one line; `%%` is argparse's spelling of `%`."""
    line = " ".join(text.replace("%%", "%").split())
    return re.split(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)\s+(?=[A-Z`'\"])", line, maxsplit=1)[0]


def one_field(
    field: dataclasses.Field[object], hint: object, choices: tuple[str, ...] | None
) -> dict[str, object]:
    """One row of the table."""
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is dataclasses.MISSING:
        raise SystemExit(f"{field.name} has no default: the table cannot say what a stage passes")
    row: dict[str, object] = {"type": " | ".join(alternatives(hint)), "default": plain(default)}
    closed = choices or field.metadata.get("choices") or enum_values(hint)
    if closed:
        row["choices"] = [plain(value) for value in closed]
    row["help"] = first_sentence(str(field.metadata.get("help", "")))
    return row


def check_choices(kind: str, config: type) -> None:
    """Stop at a value of ours that the sources of TRL and transformers do not spell."""
    import transformers.generation.configuration_utils as generation
    import transformers.trainer
    import transformers.training_args
    import trl
    from trl.generation import vllm_generation

    trainer = getattr(trl, config.__name__.replace("Config", "Trainer"))
    ours = [sys.modules[config.__module__], sys.modules[trainer.__module__], vllm_generation]
    theirs = [transformers.trainer, transformers.training_args, generation]
    source = "\n".join(inspect.getsource(module) for module in [*ours, *theirs])
    for field, values in PLAIN_STR_CHOICES[kind].items():
        for value in values:
            if not re.search(rf"""["'`]{value}["'`]""", source):
                raise SystemExit(f"{field}: nothing in the installed sources spells {value!r}")


def build() -> dict[str, object]:
    """The whole table of the installed versions."""
    import transformers
    import trl

    kinds: dict[str, object] = {}
    for kind, name in CONFIGS.items():
        config = getattr(trl, name)
        check_choices(kind, config)
        hints = typing.get_type_hints(config)
        closed = PLAIN_STR_CHOICES[kind]
        fields = [field for field in dataclasses.fields(config) if field.init]
        rows = {field.name: one_field(field, hints[field.name], closed.get(field.name)) for field in fields}
        if missing := closed.keys() - rows.keys():
            raise SystemExit(f"{name} has no field {', '.join(sorted(missing))}")
        kinds[kind] = {"config": name, "fields": rows}
    return {"trl": trl.__version__, "transformers": transformers.__version__, "kinds": kinds}


def main() -> None:
    table = build()
    text = orjson.dumps(table, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    if "--print" in sys.argv[1:]:
        sys.stdout.buffer.write(text)
        return
    path = TABLES / f"trl-{table['trl']}.json"
    path.write_bytes(text)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
