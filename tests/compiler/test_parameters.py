"""Parameters are counted from a config as transformers counts them in the model."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.parameters import RECIPES, UnknownSize, num_parameters
from exc.spec.architectures import architecture_aliases, architecture_fields

SMALL = {"hidden_size": 48, "num_attention_heads": 6, "num_hidden_layers": 3}
SHAPES: list[dict[str, Any]] = [
    {},
    {"num_key_value_heads": 2},
    {"intermediate_size": 112, "tie_word_embeddings": True},
    {"tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True},
    {"attention_bias": False, "use_bias": False, "mlp_bias": False},
    {"head_dim": 16, "max_position_embeddings": 128, "n_inner": 100, "vocab_size": 700},
]


def _counted(model: dict[str, Any], vocab_size: int) -> int:
    """What transformers makes of the config, without memory for the weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        model["architecture"],
        **{"vocab_size": vocab_size, **{k: v for k, v in model.items() if k != "architecture"}},
        pad_token_id=None,
    )
    factory: Any = AutoModelForCausalLM
    with torch.device("meta"):
        built = factory.from_config(config)
    return sum(parameter.numel() for parameter in built.parameters())


@pytest.mark.parametrize("architecture", sorted(RECIPES))
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "+".join(shape) or "defaults")
def test_as_many_as_in_the_model(architecture: str, shape: dict[str, Any]) -> None:
    known = {*architecture_fields(architecture), *architecture_aliases(architecture)}
    model = {
        "architecture": architecture,
        **{field: value for field, value in {**SMALL, **shape}.items() if field in known},
    }
    assert num_parameters(model, 512) == _counted(model, 512)


@pytest.mark.parametrize("architecture", sorted(RECIPES))
def test_as_many_at_the_defaults(architecture: str) -> None:
    model = {"architecture": architecture, "num_hidden_layers": 2}
    assert num_parameters(model, 1000) == _counted(model, 1000)


def test_what_is_not_counted() -> None:
    with pytest.raises(UnknownSize, match="architecture `mixtral`"):
        num_parameters({"architecture": "mixtral"}, 512)
    with pytest.raises(UnknownSize, match="`gpt2` model with `add_cross_attention`"):
        num_parameters({"architecture": "gpt2", "add_cross_attention": True}, 512)
