"""A stage computes what a bare TRL script with the same settings and rows in the same order computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.harness import Published
from tests.runtime.training.conftest import Subject

pytestmark = pytest.mark.slow

# What any script on a CPU would set.
BARE: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "report_to": "none",
    "logging_steps": 1,
    "disable_tqdm": True,
}
Undisturbed = Callable[[str], tuple[Subject, Published]]


def load_tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def assert_bitwise(model: Any, folder: Path) -> None:
    import torch

    expected = load_tensors(folder)
    actual = model.state_dict()
    assert expected.keys() == actual.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, actual[name]), name


def test_sft_is_sft(undisturbed: Undisturbed, inputs: dict[str, Path], tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from exc.runtime.stages.ordering import row_at

    subject, published = undisturbed("sft")
    examples = [
        {"prompt": f"{n}+2=", "completion": text}
        for n in range(7)
        for text in (f" {n + 2}", f" it is {n + 2}")
    ]
    ordered = [examples[row_at(n, len(examples), 11)] for n in range(12 * 4)]
    arguments = SFTConfig(
        output_dir=str(tmp_path),
        learning_rate=1e-2,
        max_length=32,
        max_steps=12,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        train_sampling_strategy="sequential",
        seed=11,
        **BARE,
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(inputs["model"], dtype="float32"),
        args=arguments,
        train_dataset=Dataset.from_list(ordered),
        processing_class=AutoTokenizer.from_pretrained(inputs["model"]),
    )
    trainer.train()
    assert_bitwise(trainer.model, published.path(12) / "model")
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert published.record(12)["metrics"]["loss"] == losses[-1]
    assert subject.config["max_steps"] == len(losses)


def trained_on_rollouts(
    trainer_class: Any, config_class: Any, inputs: dict[str, Path], folder: Path, **extra: Any
) -> Any:
    """A trainer of TRL's after 8 rollouts of 2 prompts, 4 completions each, two steps on each."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from exc.runtime.stages.ordering import row_at

    def reward(completions: list[str], **_: Any) -> list[float | None]:
        return [(1.0 if len(text.encode()) % 2 == 0 else 0.1) if text else 0.0 for text in completions]

    arguments = config_class(
        output_dir=str(folder),
        learning_rate=1e-2,
        max_completion_length=6,
        max_steps=16,
        seed=7,
        num_generations=4,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        steps_per_generation=4,
        shuffle_dataset=False,
        **BARE,
        **extra,
    )
    trainer = trainer_class(
        model=AutoModelForCausalLM.from_pretrained(inputs["model"], dtype="float32"),
        reward_funcs=[reward],
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": f"{row_at(n, 7, 7)}+2="} for n in range(8 * 2)]),
        processing_class=AutoTokenizer.from_pretrained(inputs["model"]),
    )
    trainer.train()
    return trainer


@pytest.mark.parametrize("name", ["grpo", "grpo-reference"])
def test_grpo_is_grpo(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    from trl import GRPOConfig, GRPOTrainer

    from tests.runtime.harness import make_context
    from tests.runtime.training import world
    from tests.runtime.training.conftest import run_stage

    extra: dict[str, Any] = {} if name == "grpo" else {"beta": 0.1, "loss_type": "grpo"}
    if name == "grpo":
        _, published = undisturbed("grpo")
    else:
        ctx, published = make_context(
            tmp_path / "stage", "grpo", world.grpo_config(args=extra), inputs, kept=(8,), root=root
        )
        run_stage(ctx)

    trainer = trained_on_rollouts(GRPOTrainer, GRPOConfig, inputs, tmp_path / "bare", **extra)
    assert_bitwise(trainer.model, published.path(8) / "model")
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert published.record(8)["metrics"]["reward"] == rewards[-1]
    reported = [event["reward"] for event in published.said("progress")]
    assert reported == rewards
