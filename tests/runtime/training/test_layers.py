"""Adapters on models of several kinds: what is published computes what was trained, or nothing is trained."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from exc.runtime.context import JobFailed
from exc.runtime.stages.adapters import (
    adapter_config,
    check_mergeable,
    check_targets,
    merged_tensors,
    write_adapter,
)

pytestmark = pytest.mark.slow

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
MODELS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "n_embd": 16,
        "n_layer": 1,
        "n_head": 2,
        "n_positions": 32,
        "bos_token_id": 0,
        "eos_token_id": 0,
    },
    "llama": {**SMALL, "attention_bias": True},
    "gpt_neox": {**SMALL, "eos_token_id": 0},
    "olmo2": {**SMALL, "eos_token_id": 0},
    "mixtral": {**SMALL, "num_key_value_heads": 2, "num_local_experts": 2},
}


def with_adapters(architecture: str, targets: Any) -> tuple[Any, Any]:
    """A model of random weights, and the same with adapters of random weights."""
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, vocab_size=50, **MODELS[architecture])
    factory: Any = AutoModelForCausalLM
    plain = factory.from_config(config).eval()
    lora = {"r": 2, "lora_alpha": 4.0, "lora_dropout": 0.0, "use_rslora": False, "target_modules": targets}
    check_targets(plain, lora)
    adapted: Any = get_peft_model(copy.deepcopy(plain), adapter_config(lora)).eval()
    check_mergeable(adapted)
    for name, tensor in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(tensor)
    return plain, adapted


@pytest.mark.parametrize(
    ("architecture", "targets"),
    [
        ("gpt2", ["c_attn"]),
        ("gpt2", "all-linear"),
        ("llama", ["q_proj"]),
        ("gpt_neox", "all-linear"),
        ("olmo2", "all-linear"),
        ("mixtral", ["q_proj", "o_proj"]),
    ],
)
def test_the_merged_model_computes_what_the_adapted_one_does(architecture: str, targets: Any) -> None:
    plain, adapted = with_adapters(architecture, targets)
    ids = torch.arange(16).reshape(2, 8)
    with torch.no_grad():
        before, expected = plain(ids).logits, adapted(ids).logits
        plain.load_state_dict(merged_tensors(adapted))
        found = plain(ids).logits
    assert not torch.allclose(before, expected, atol=1e-4)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_adapter_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    _, adapted = with_adapters("llama", "all-linear")
    write_adapter(adapted, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    layers = config["target_modules"]
    assert len(layers) == 7
    assert layers == sorted(layers)
    assert isinstance(adapted.peft_config["default"].target_modules, set)  # as it was


def test_experts_that_cannot_be_merged_are_refused_before_training() -> None:
    with pytest.raises(JobFailed, match=r"cannot be merged into this model's experts.*`target_modules:"):
        with_adapters("mixtral", "all-linear")
