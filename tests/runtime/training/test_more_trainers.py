"""RLOO and KTO are TRL's; and what the stages add to them: whole batches, stop strings, engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from tests.runtime.harness import Published, make_context
from tests.runtime.training import world
from tests.runtime.training.conftest import Subject, run_stage
from tests.runtime.training.test_bare_trl import BARE, assert_bitwise, load_tensors, trained_on_rollouts

pytestmark = pytest.mark.slow

Undisturbed = Callable[[str], tuple[Subject, Published]]


def test_rloo_is_rloo(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    from trl import RLOOConfig, RLOOTrainer

    ctx, published = make_context(
        tmp_path / "stage", "rloo", world.rloo_config(), inputs, kept=(8,), root=root
    )
    run_stage(ctx)

    trainer = trained_on_rollouts(RLOOTrainer, RLOOConfig, inputs, tmp_path / "bare")
    assert_bitwise(trainer.model, published.path(8) / "model")
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert published.record(8)["metrics"]["reward"] == rewards[-1]
    assert published.record(8)["counts"]["samples"] == 8 * 2 * 4


def encoded_rows(inputs: dict[str, Path], seed: int) -> list[dict[str, Any]]:
    from transformers import AutoTokenizer

    from exc.runtime.stages.kto import add_mismatched, encode_examples, make_examples
    from exc.runtime.stages.prompts import read_rows

    examples = make_examples(read_rows(inputs["rows"]), "{a}+{b}=", True)
    encoded = encode_examples(AutoTokenizer.from_pretrained(inputs["model"]), examples, 32)
    add_mismatched(encoded, seed)
    return encoded


def test_kto_is_kto(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    """On a device that holds a step at once, given the same rows and pairs, TRL computes the same."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import KTOConfig, KTOTrainer

    from exc.runtime.stages.ordering import row_at

    config = world.kto_config(micro_batch_size=None, max_steps=6, args={"learning_rate": 1e-2, "beta": 0.5})
    ctx, published = make_context(tmp_path / "stage", "kto", config, inputs, kept=(6,), root=root)
    run_stage(ctx)

    class Prepared(KTOTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    rows = encoded_rows(inputs, config["seed"])
    arguments = KTOConfig(
        output_dir=str(tmp_path / "bare"),
        learning_rate=1e-2,
        beta=0.5,
        max_length=32,
        max_steps=6,
        seed=5,
        per_device_train_batch_size=4,
        **BARE,
    )
    trainer = Prepared(
        model=AutoModelForCausalLM.from_pretrained(inputs["model"], dtype="float32"),
        args=arguments,
        train_dataset=Dataset.from_list([rows[row_at(n, len(rows), 5)] for n in range(6 * 4)]),
        processing_class=AutoTokenizer.from_pretrained(inputs["model"]),
    )
    trainer.train()
    assert_bitwise(trainer.model, published.path(6) / "model")
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert published.record(6)["metrics"]["loss"] == losses[-1]
    assert losses[-1] != 0.5, "the model never left its reference, so that nothing was compared"


@pytest.mark.parametrize("micro", [2, 4])
def test_kto_learns_the_same_from_any_micro_batches(
    micro: int, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    import torch

    def trained(size: int | None) -> dict[str, Any]:
        config = world.kto_config(
            micro_batch_size=size, batch_size=8, args={"optim": "sgd", "learning_rate": 0.1}
        )
        ctx, published = make_context(tmp_path / str(size), "kto", config, inputs, kept=(10,), root=root)
        run_stage(ctx)
        return load_tensors(published.path(10) / "model")

    whole, parts = trained(8), trained(micro)
    start = load_tensors(inputs["model"])
    assert any(not torch.equal(whole[name], start[name]) for name in whole)
    for name, tensor in whole.items():
        assert torch.allclose(tensor, parts[name], atol=1e-6), name


def test_what_kto_compares_with_belongs_to_another_prompt(inputs: dict[str, Path]) -> None:
    for seed in range(20):
        rows = encoded_rows(inputs, seed)
        owners: dict[tuple[int, ...], list[list[int]]] = {}
        for row in rows:
            owners.setdefault(tuple(row["completion_ids"]), []).append(row["prompt_ids"])
        for row in rows:
            theirs = owners[tuple(row["KL_completion_ids"])]
            assert any(prompt != row["prompt_ids"] for prompt in theirs)
    assert encoded_rows(inputs, 1) != encoded_rows(inputs, 0), "the pairs do not depend on the seed"


def test_kto_reads_labels(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    import json

    folder = tmp_path / "rows"
    folder.mkdir()

    def write(*judged: tuple[Any, Any]) -> dict[str, Path]:
        lines: list[dict[str, Any]] = [
            {
                "index": n,
                "fields": {"a": n, "b": 2, "completion": text, "label": label},
                "answer": None,
                "demonstrations": [],
            }
            for n, (text, label) in enumerate(judged)
        ]
        (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return {**inputs, "rows": folder}

    def run(rows: dict[str, Path], name: str) -> Published:
        config = world.kto_config(unpair=False, max_steps=2)
        ctx, published = make_context(tmp_path / name, "kto", config, rows, kept=(2,), root=root)
        run_stage(ctx)
        return published

    done = run(write((" 2", True), (" 5", 0), (" 4", 1), (" 9", False)), "fine")
    assert done.record(2)["counts"]["samples"] == 2 * 4
    for judged, message in {
        ((" 2", True), (" 5", "bad")): "row 1: `label` is neither true nor false, but 'bad'",
        ((" 2", True), (None, False)): "row 1: the completion is no text, but None",
        ((" 2", True), (" 3", True)): "all 2 completions are labelled good",
    }.items():
        with pytest.raises(JobFailed, match=message) as failure:
            run(write(*judged), "bad")
        assert failure.value.kind == "data"


def test_kto_prefers_what_is_good(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    config = world.kto_config(max_steps=40, batch_size=8, args={"learning_rate": 3e-3})
    ctx, published = make_context(tmp_path, "kto", config, inputs, kept=(40,), root=root)
    run_stage(ctx)
    metrics = published.record(40)["metrics"]
    assert metrics["loss"] < 0.45
    assert metrics["reward_margin"] > 0.5


def test_what_ends_in_a_stop_string_is_not_masked_as_cut_off(
    inputs: dict[str, Path], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exc.runtime.stages import grpo

    masks: list[tuple[bool, bool]] = []  # a completion ended in a stop string; something is learnt of it
    score = grpo.RolloutTrainer._generate_and_score_completions

    def watch(trainer: Any, rows: Any) -> Any:
        out = score(trainer, rows)
        for ids, mask in zip(out["completion_ids"], out["completion_mask"], strict=True):
            text = trainer._tokenizer.decode(ids, skip_special_tokens=True)
            ended = any(stop in text for stop in ("e", " ", "q")) or 256 in ids.tolist()
            masks.append((ended, bool(mask.any())))
        return out

    monkeypatch.setattr(grpo.RolloutTrainer, "_generate_and_score_completions", watch)
    args = {"max_completion_length": 24, "mask_truncated_completions": True}
    config = world.grpo_config(stop=["e", " ", "q"], args=args)
    ctx, published = make_context(tmp_path, "grpo", config, inputs, kept=(4,), root=root)
    run_stage(ctx)
    assert {True, False} == {ended for ended, _ in masks}
    assert all(ended == learnt for ended, learnt in masks)
    last = masks[-8:]
    cut = sum(not ended for ended, _ in last) / len(last)
    assert published.record(4)["metrics"]["clipped_ratio"] == pytest.approx(cut)


# kind -> operations per parameter outside the embeddings and token.
PASSES = {
    "sft": 6,
    "dpo": 6 + 2,
    "grpo": 2 + 6 + 2,  # two updates a rollout: log-probabilities at sampling time
    "rloo": 2 + 2 + 6 + 2,  # and a reference, for its KL penalty
}


@pytest.mark.parametrize("name", ["sft", "dpo", "grpo", "rloo"])
def test_a_kept_step_counts_what_was_spent_up_to_it(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path]
) -> None:
    from transformers import AutoModelForCausalLM

    from exc.runtime.stages.models import count_nonembedding

    subject, published = undisturbed(name)
    parameters = count_nonembedding(AutoModelForCausalLM.from_pretrained(inputs["model"]))
    config, before = subject.config, 0
    each = config["num_generations"] * config["prompts_per_rollout"] if name in ("grpo", "rloo") else 4
    for step in subject.kept:
        counts = published.record(step)["counts"]
        assert counts["samples"] == step * each
        assert counts["tokens"] > before
        assert counts["flops"] == pytest.approx(PASSES[name] * parameters * counts["tokens"])
        before = counts["tokens"]


def test_generated_tokens_are_counted_once_a_completion_with_their_prompts(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    """Of a byte-level tokenizer, prompts `N+2=` are 4 tokens, and completions end where they are cut."""
    args = {"max_completion_length": 1, "beta": 0.0}
    for name in ("grpo", "rloo"):
        make = world.grpo_config if name == "grpo" else world.rloo_config
        config = make(args=args, updates_per_rollout=1, num_generations=5, rollouts=3)
        ctx, published = make_context(tmp_path / name, name, config, inputs, kept=(1, 3), root=root)
        run_stage(ctx)
        for step in (1, 3):
            counts = published.record(step)["counts"]
            assert counts["samples"] == step * 2 * 5
            assert counts["tokens"] == counts["samples"] * (4 + 1)


def test_a_study_of_rollout_numbers_can_be_drawn_against_samples_and_operations(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    """More completions per prompt at as many rollouts: as much more is spent, at every kept step."""
    spent = {}
    for num in (2, 8):
        config = world.grpo_config(num_generations=num, rollouts=4, micro_batch_size=None)
        ctx, published = make_context(tmp_path / str(num), "grpo", config, inputs, kept=(2, 4), root=root)
        run_stage(ctx)
        spent[num] = [published.record(step)["counts"] for step in (2, 4)]
    for few, many in zip(spent[2], spent[8], strict=True):
        assert many["samples"] == 4 * few["samples"]
        assert 3 < many["flops"] / few["flops"] < 5
