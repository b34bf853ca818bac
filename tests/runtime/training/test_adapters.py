"""Adapters and preferences: what is trained, what is published, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from exc.runtime.context import JobFailed
from exc.runtime.stages.dpo import encode_pairs, make_pairs
from exc.runtime.stages.prompts import Row
from exc.runtime.stages.states import WEIGHTS
from tests.runtime.harness import Published, make_context
from tests.runtime.training import world
from tests.runtime.training.conftest import Subject, run_stage

pytestmark = pytest.mark.slow

Undisturbed = Callable[[str], tuple[Subject, Published]]
WITH_ADAPTERS = ("sft-lora", "grpo-lora", "dpo-lora")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("name", WITH_ADAPTERS)
def test_the_model_is_the_base_with_the_adapter_merged(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path]
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    subject, published = undisturbed(name)
    output = published.path(subject.kept[-1])
    base: Any = AutoModelForCausalLM.from_pretrained(inputs["model"])
    with_adapter: Any = PeftModel.from_pretrained(base, str(output / "adapter"))
    expected = with_adapter.merge_and_unload().state_dict()
    found = weights(output / "model")
    assert found.keys() <= expected.keys()
    for tensor in found:
        torch.testing.assert_close(found[tensor], expected[tensor], msg=tensor)


@pytest.mark.parametrize("name", WITH_ADAPTERS)
def test_only_the_layers_with_adapters_change(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path]
) -> None:
    subject, published = undisturbed(name)
    before, after = weights(inputs["model"]), weights(published.path(subject.kept[-1]) / "model")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if "proj" in key}


def test_a_resume_state_holds_the_adapters_alone(undisturbed: Undisturbed) -> None:
    subject, published = undisturbed("dpo-lora")
    state = load_file(published.path(subject.kept[-1]) / "state" / WEIGHTS)
    assert state
    assert all(".lora_" in name for name in state)


def test_a_layer_that_is_not_there_is_named(inputs: dict[str, Path], tmp_path: Path) -> None:
    lora = {**world.LORA, "target_modules": ["q_proj", "qkv"]}
    ctx, _ = make_context(tmp_path, "dpo", world.dpo_config(lora=lora), inputs, kept=(10,))
    with pytest.raises(JobFailed, match=r"no layer `qkv` \(it has: .*q_proj"):
        run_stage(ctx)


def test_pairs_get_into_their_order(inputs: dict[str, Path], tmp_path: Path) -> None:
    config = world.dpo_config(max_steps=40, args={"learning_rate": 3e-3})
    ctx, published = make_context(tmp_path, "dpo", config, inputs, kept=(40,))
    run_stage(ctx)
    metrics = published.record(40)["metrics"]
    assert metrics["pairs_in_order"] == 1.0
    assert metrics["reward_margin"] > 1.0
    assert published.record(40)["counts"]["samples"] == 160


def test_the_loss_is_that_of_the_paper(inputs: dict[str, Path], tmp_path: Path) -> None:
    """Before the first step policy and reference are one model: the loss is log 2, whatever beta is."""
    config = world.dpo_config(max_steps=1, args={"learning_rate": 0.0, "beta": 0.7})
    ctx, published = make_context(tmp_path, "dpo", config, inputs, kept=(1,))
    run_stage(ctx)
    assert published.record(1)["metrics"]["loss"] == pytest.approx(0.693147, abs=1e-5)


def row(**fields: Any) -> Row:
    return Row(3, {"a": 1, "b": 2, **fields}, None, ())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chosen": " 3", "rejected": None}, "row 3: `rejected` is no text, but None"),
        ({"chosen": [" 3"], "rejected": " 4"}, r"row 3: `chosen` is no text, but \[' 3'\]"),
        ({"chosen": " 3", "rejected": " 3"}, "row 3: `chosen` and `rejected` are the same"),
    ],
)
def test_what_is_no_pair_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(JobFailed, match=message):
        make_pairs([row(**fields)], "{a}+{b}=")


def test_no_pairs_are_refused() -> None:
    with pytest.raises(JobFailed, match="no pairs"):
        make_pairs([], "{a}+{b}=")


def test_pairs_are_encoded_behind_the_prompt_that_sampling_sees(inputs: dict[str, Path]) -> None:
    from exc.runtime.stages.models import load_tokenizer

    tokenizer = load_tokenizer(inputs["tokenizer"])
    pairs = make_pairs([row(chosen=" 3", rejected=" it is 4")], "{a}+{b}=")
    [encoded] = encode_pairs(tokenizer, pairs, None)
    end = tokenizer.eos_token_id
    assert encoded["prompt_ids"] == tokenizer("1+2=")["input_ids"]
    for side in ("chosen", "rejected"):
        assert tokenizer.decode(encoded[f"{side}_ids"][:-1]) == pairs[0][side]
        assert encoded[f"{side}_ids"][-1] == end
    with pytest.raises(JobFailed, match="every prompt fills `max_length`"):
        encode_pairs(tokenizer, pairs, len(encoded["prompt_ids"]))
