"""How many parameters a model has, from its config alone: exact for the architectures in `RECIPES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exc.spec.architectures import architecture_aliases, architecture_fields


class UnknownSize(Exception):
    """No exact number is known; the message says of what."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    """A config with its defaults filled in, a field under each of its names."""

    given: Mapping[str, Any]
    defaults: Mapping[str, Any]
    aliases: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        own = self.aliases.get(name, name)
        for key in (name, own, *(alias for alias, target in self.aliases.items() if target == own)):
            if key in self.given:
                return self.given[key]
        return self.defaults.get(own)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What the layers of an architecture are made of. Text names the switch in the config that decides."""

    qkv_bias: bool | str = False
    out_bias: bool | str = False
    mlp: Literal["gated", "plain"] = "gated"
    mlp_bias: bool | str = False
    norms: int = 2  # of a layer, over the hidden size
    norm_size: int = 1  # vectors per norm: 0 without weights, 1 weight, 2 weight and bias
    qk_norm: Literal["none", "head", "heads"] = "none"  # over one head, or over all heads together
    head_bias: bool = False  # of the output layer
    inner: Callable[[_Sizes], int] = lambda sizes: int(sizes["intermediate_size"])
    positions: int = -1  # learnt positions beyond `max_position_embeddings`; -1: they are not learnt


RECIPES: Mapping[str, _Recipe] = {
    "llama": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", mlp_bias="mlp_bias"),
    "mistral": _Recipe(),
    "granite": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", mlp_bias="mlp_bias"),
    "smollm3": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", mlp_bias="mlp_bias"),
    "olmo": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", norm_size=0),
    "olmo2": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", qk_norm="heads"),
    "olmo3": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", qk_norm="heads"),
    "qwen2": _Recipe(qkv_bias=True),
    "qwen3": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", qk_norm="head"),
    "gemma": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias"),
    "gemma2": _Recipe(qkv_bias="attention_bias", out_bias="attention_bias", norms=4),
    "phi3": _Recipe(),
    "phi": _Recipe(
        qkv_bias=True, out_bias=True, mlp="plain", mlp_bias=True, norms=1, norm_size=2, head_bias=True
    ),
    "starcoder2": _Recipe(
        qkv_bias="use_bias", out_bias="use_bias", mlp="plain", mlp_bias="use_bias", norm_size=2
    ),
    "gpt_neox": _Recipe(
        qkv_bias="attention_bias", out_bias="attention_bias", mlp="plain", mlp_bias=True, norm_size=2
    ),
    "gpt2": _Recipe(
        qkv_bias=True,
        out_bias=True,
        mlp="plain",
        mlp_bias=True,
        norm_size=2,
        inner=lambda sizes: int(sizes["n_inner"] or 4 * sizes["hidden_size"]),
        positions=0,
    ),
}
# Switches that change the layers in a way that is not counted here: they must have their default.
_MUST_BE_DEFAULT = ("add_cross_attention", "qk_layernorm", "pruned_heads")


def num_parameters(model: Mapping[str, Any], vocab_size: int) -> int:
    """All parameters of a model, tied ones once. `vocab_size` counts where `model` names none.

    Raises UnknownSize for an architecture, or a switch in it, whose parameters are not counted here.
    """
    name = str(model["architecture"])
    if name not in RECIPES:
        raise UnknownSize(f"the parameters of the architecture `{name}` are not counted")
    fields = architecture_fields(name)
    defaults = {field: default for field, (_, default, has_default) in fields.items() if has_default}
    for switch in _MUST_BE_DEFAULT:
        if switch in model and model[switch] != defaults.get(switch):
            raise UnknownSize(f"the parameters of a `{name}` model with `{switch}` are not counted")
    return _count(RECIPES[name], _Sizes(model, defaults, architecture_aliases(name)), model, vocab_size)


def _count(recipe: _Recipe, sizes: _Sizes, model: Mapping[str, Any], vocab_size: int) -> int:
    hidden, vocab = int(sizes["hidden_size"]), int(model.get("vocab_size") or vocab_size)
    embeddings = vocab * hidden * (1 if sizes["tie_word_embeddings"] else 2)
    embeddings += vocab if recipe.head_bias else 0
    if recipe.positions >= 0:
        embeddings += (int(sizes["max_position_embeddings"]) + recipe.positions) * hidden
    layer = _attention(recipe, sizes, hidden) + _mlp(recipe, sizes, hidden)
    layer += recipe.norms * recipe.norm_size * hidden
    return embeddings + int(sizes["num_hidden_layers"]) * layer + recipe.norm_size * hidden


def _attention(recipe: _Recipe, sizes: _Sizes, hidden: int) -> int:
    heads = int(sizes["num_attention_heads"])
    groups = int(sizes["num_key_value_heads"] or heads)
    dim = int(sizes["head_dim"] or hidden // heads)
    queries, keys = heads * dim, groups * dim
    count = hidden * (queries + 2 * keys) + queries * hidden
    count += (queries + 2 * keys) if _is_on(recipe.qkv_bias, sizes) else 0
    count += hidden if _is_on(recipe.out_bias, sizes) else 0
    return count + {"none": 0, "head": 2 * dim, "heads": queries + keys}[recipe.qk_norm]


def _mlp(recipe: _Recipe, sizes: _Sizes, hidden: int) -> int:
    inner, up = recipe.inner(sizes), 2 if recipe.mlp == "gated" else 1
    bias = up * inner + hidden if _is_on(recipe.mlp_bias, sizes) else 0
    return (up + 1) * hidden * inner + bias


def _is_on(switch: bool | str, sizes: _Sizes) -> bool:
    return bool(sizes[switch]) if isinstance(switch, str) else switch
