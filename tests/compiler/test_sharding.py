"""Launches that spread weights: of which stages, and with which settings, they can be had."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.check_launch import check_whole_weights
from exc.spec.diagnostics import Diagnostics
from exc.spec.profiles import Profile
from tests.compiler.study import edited, load

FILE = "fsdp.yaml"


def found(
    kind: str, changes: dict[str, Any] | None = None, way: str = "fsdp", gpus: int | None = 4, **settings: Any
) -> list[str]:
    """What is said of a profile that spreads the jobs of a kind."""
    loaded = load(edited(changes))
    assert loaded.experiment is not None
    launch = {way: FILE}
    profile = Profile.model_validate({"resources": [{"on": {"kind": kind}, "gpus": gpus, "launch": launch}]})
    diagnostics = Diagnostics()
    given = {f"fsdp_{name}": value for name, value in {"version": 2, **settings}.items() if value is not None}
    check_whole_weights(loaded.experiment, profile, {(way, FILE): given}, diagnostics)
    assert {each.code for each in diagnostics} <= {"spread-weights"}
    return [each.message for each in diagnostics]


@pytest.mark.parametrize("kind", ["pretrain", "sft", "grpo"])
def test_version_2_of_fsdp_is_had(kind: str) -> None:
    settings: dict[str, Any] = {
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "state_dict_type": "SHARDED_STATE_DICT",
    }
    more: dict[str, Any] = {
        "reshard_after_forward": False,
        "cpu_ram_efficient_loading": True,
        "activation_checkpointing": False,
    }
    assert found(kind) == found(kind, **settings, **more) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"version": None}, "it is version 1 of FSDP"),
        ({"version": 1}, "it is version 1 of FSDP"),
        ({"offload_params": True}, "`fsdp_offload_params` cannot be said"),
        ({"activation_checkpointing": "true"}, "`args: {gradient_checkpointing: true}`"),
        ({"ignored_modules": "lm_head"}, "`fsdp_ignored_modules` cannot be said"),
        ({"reshard_after_forward": "FULL_SHARD"}, "`fsdp_reshard_after_forward: FULL_SHARD` is of version 1"),
        ({"state_dict_type": "LOCAL_STATE_DICT"}, "`fsdp_state_dict_type: LOCAL_STATE_DICT` is of version 1"),
    ],
)
def test_settings_that_cannot_be_had(settings: dict[str, Any], said: str) -> None:
    (message,) = found("sft", **settings)
    assert message.startswith("`sft.sft` cannot have `launch: {fsdp: fsdp.yaml}`: ")
    assert said in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipes.sft.0.sft.sft.lora": {"r": 4, "lora_alpha": 8}}, "adapters (`lora`)"),
        ({"recipes.sft.0.sft.sft.args": {"torch_compile": True}}, "`torch_compile`"),
        ({"recipes.sft.0.sft.sft.args": {"optim": "adafactor"}}, "`optim: adafactor`"),
    ],
)
def test_stages_that_cannot_be_had(changes: dict[str, Any], said: str) -> None:
    (message,) = found("sft", changes)
    assert said in message


def test_what_samples_with_vllm() -> None:
    messages = found("grpo", {"recipes.rl.0.rl.grpo.engine": "vllm"})
    assert any("`engine: vllm`" in message for message in messages)


def test_accelerate_has_it_on_gpus_alone() -> None:
    (message,) = found("sft", gpus=None)
    assert "over GPUs alone" in message


def test_deepspeed_is_refused() -> None:
    (message,) = found("sft", way="deepspeed")
    assert "saves and goes on from whole weights, which the profile spreads" in message


def test_a_launch_of_other_jobs_says_nothing() -> None:
    assert found("dpo", version=1) == []
