"""What the training stages publish, and what they refuse."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from tests.runtime.harness import Published, make_context
from tests.runtime.training import world
from tests.runtime.training.conftest import Subject, run_stage

pytestmark = pytest.mark.slow

Undisturbed = Callable[[str], tuple[Subject, Published]]
CONFIGS: dict[str, Callable[..., dict[str, Any]]] = {
    "pretrain": lambda **changes: world.pretrain_config(4, **changes),
    "sft": world.sft_config,
    "grpo": world.grpo_config,
    "rloo": world.rloo_config,
    "kto": world.kto_config,
}


def fail(tmp_path: Path, kind: str, inputs: dict[str, Path], root: Path, **changes: Any) -> JobFailed:
    ctx, published = make_context(
        tmp_path / "job", kind, CONFIGS[kind](**changes), inputs, kept=(4,), root=root
    )
    with pytest.raises(JobFailed) as failure:
        run_stage(ctx)
    assert not published.path(4).exists()
    return failure.value


@pytest.mark.parametrize("name", ["pretrain", "sft", "grpo"])
def test_a_published_model_is_whole_and_knows_no_place(name: str, undisturbed: Undisturbed) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    subject, published = undisturbed(name)
    folder = published.path(max(subject.kept))
    config = json.loads((folder / "model" / "config.json").read_text())
    assert config["use_cache"] is True
    assert config["dtype"] == "float32"
    assert config["eos_token_id"] != config["pad_token_id"]
    generation = json.loads((folder / "model" / "generation_config.json").read_text())
    assert generation["eos_token_id"] == config["eos_token_id"]
    factory: Any = AutoModelForCausalLM
    model, loading = factory.from_pretrained(folder / "model", output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert AutoTokenizer.from_pretrained(folder / "model").decode([72]) != ""
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    for path in folder.rglob("*"):
        assert path.is_dir() or b"/tmp" not in path.read_bytes(), f"{path} holds an absolute path"


@pytest.mark.parametrize("name", ["pretrain", "sft", "grpo"])
def test_nothing_else_is_written_or_drawn(
    name: str, inputs: dict[str, Path], root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    ctx, _ = make_context(tmp_path, name, CONFIGS[name](), inputs, kept=(4,), root=root)
    before = set(Path.cwd().iterdir())
    run_stage(ctx)
    assert {path.name for path in tmp_path.iterdir()} == {"store", "work"}
    assert {path.name for path in ctx.work.iterdir()} == {"step-4"}
    assert set(Path.cwd().iterdir()) == before
    out, errors = capfd.readouterr()
    assert out == ""
    assert "it/s" not in errors
    assert "%|" not in errors


def test_progress_tells_loss_and_rate(undisturbed: Undisturbed) -> None:
    subject, published = undisturbed("grpo")
    events = published.said("progress")
    assert [event["step"] for event in events] == list(range(1, 9))
    for event in events:
        assert event["total"] == max(subject.kept)
        assert {"loss", "reward", "reward_std", "clipped_ratio", "learning_rate"} <= event.keys()
        assert event["tokens_per_second"] > 0


def test_the_learning_rate_sees_the_whole_horizon(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    # Only an early step is kept, so that training ends there; the schedule is still that of all 12.
    config = world.sft_config(args={"lr_scheduler_type": "linear"})
    ctx, published = make_context(tmp_path, "sft", config, inputs, kept=(3,), root=root)
    run_stage(ctx)
    assert published.record(3)["metrics"]["learning_rate"] == pytest.approx(1e-2 * (1 - 2 / 12))


def test_counts_of_sft_are_its_tokens_without_padding(undisturbed: Undisturbed) -> None:
    from exc.runtime.stages.ordering import row_at

    _, published = undisturbed("sft")
    lengths = [len(f"{n}+2={text}") + 1 for n in range(7) for text in (f" {n + 2}", f" it is {n + 2}")]
    tokens = sum(lengths[row_at(n, 14, 11)] for n in range(12 * 4))
    counts = published.record(12)["counts"]
    assert counts == {"tokens": tokens, "samples": 48, "flops": 6.0 * parameters() * tokens}


def test_counts_of_grpo_follow_its_passes(undisturbed: Undisturbed) -> None:
    _, published = undisturbed("grpo-full")
    counts = published.record(6)["counts"]
    # Sampling, one pass of training, the reference and the log-probabilities at sampling time.
    assert counts["flops"] == (2 + 6 + 2 + 2) * parameters() * counts["tokens"]
    assert counts["samples"] == 6 * 8


def parameters() -> int:
    hidden, inner, layers = 16, 32, 2
    return layers * (4 * hidden * hidden + 3 * hidden * inner + 2 * hidden) + hidden


def test_a_loss_that_is_not_finite_ends_the_job(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    lr = {
        "shape": "constant",
        "peak": 1e30,
        "warmup_steps": 0,
        "total_steps": 4,
        "decay_steps": 0,
        "floor": 0,
    }
    failure = fail(tmp_path, "pretrain", inputs, root, lr=lr)
    assert failure.kind == "diverged"
    assert "step 2" in str(failure)
    assert "last finite loss was 5." in str(failure) or "last finite loss was 6." in str(failure)


def test_bfloat16_trains_and_keeps_its_weights_in_float32(inputs: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    ctx, published = make_context(
        tmp_path, "pretrain", world.pretrain_config(3, precision="bf16"), inputs, kept=(3,)
    )
    run_stage(ctx)
    tensors = load_file(published.path(3) / "model" / "model.safetensors")
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"torch.float32"}
    assert math.isfinite(published.record(3)["metrics"]["loss"])


@pytest.mark.parametrize("architecture", ["olmo2", "qwen2", "gpt_neox"])
def test_other_architectures_and_tied_weights_resume(
    architecture: str, inputs: dict[str, Path], tmp_path: Path
) -> None:
    heads = {} if architecture == "gpt_neox" else {"num_key_value_heads": 1}
    model = {**world.MODEL, **heads, "architecture": architecture, "tie_word_embeddings": True}
    config = world.pretrain_config(6, model=model)
    ctx, whole = make_context(tmp_path / "whole", "pretrain", config, inputs, kept=(6,))
    run_stage(ctx)
    ctx, half = make_context(tmp_path / "half", "pretrain", {**config, "step": 3}, inputs, kept=(3,))
    run_stage(ctx)
    again = {**inputs, "resumes": half.path(3) / "state"}
    ctx, rest = make_context(tmp_path / "rest", "pretrain", config, again, kept=(6,))
    run_stage(ctx)
    assert world.tree_digests(rest.path(6) / "model") == world.tree_digests(whole.path(6) / "model")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiden_size": 16}, "`hiden_size` is not a field of a `llama` model; the nearest is `hidden_size`"),
        ({"architecture": "lama"}, "`lama` is not a model architecture; the nearest is `llama`"),
        ({"hidden_size": "16"}, "no `llama` model can be built so: .*hidden_size"),
        ({"architecture": "qwen2"}, "2 attention heads and 32 key-value heads"),
        ({"vocab_size": 100}, "less than the tokenizer's 258 tokens"),
    ],
)
def test_a_model_that_cannot_be_is_refused(
    changes: dict[str, Any], message: str, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    failure = fail(tmp_path, "pretrain", inputs, root, model={**world.MODEL, **changes})
    assert failure.kind == "config"
    import re

    assert re.search(message, str(failure))


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("sft", {"args": {"max_lenght": 3}}, "the nearest is `max_length`"),
        ("sft", {"args": {"learning_rate": "fast"}}, "`learning_rate` is 'fast'"),
        ("sft", {"args": {"lr_scheduler_type": "cosin"}}, "cosin"),
        ("sft", {"args": {"train_sampling_strategy": "group_by_length"}}, "cannot be resumed exactly"),
        ("sft", {"micro_batch_size": 3}, "no multiple of micro_batch_size 3"),
        ("grpo", {"updates_per_rollout": 3}, "which 3 updates cannot share evenly"),
        ("grpo", {"engine": "vllm"}, "needs the package vllm, which is not installed"),
        ("rloo", {"engine": "vllm"}, "needs the package vllm, which is not installed"),
        ("kto", {"args": {"train_sampling_strategy": "group_by_length"}}, "cannot be resumed exactly"),
        ("grpo", {"num_generations": 1}, "num_generations must be at least 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    kind: str, changes: dict[str, Any], message: str, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    failure = fail(tmp_path, kind, inputs, root, **changes)
    assert failure.kind == "config"
    assert message in str(failure)


def test_data_without_demonstrations_is_refused(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    line = {"index": 0, "fields": {"a": 1, "b": 2}, "answer": "3", "demonstrations": []}
    (rows / "rows.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    failure = fail(tmp_path, "sft", {**inputs, "rows": rows}, root)
    assert failure.kind == "data"
    assert "none of the 1 rows has a demonstration" in str(failure)


def test_fine_tuning_sees_the_prompts_that_sampling_sees() -> None:
    """Even where a token would reach from the prompt into the demonstration."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from exc.runtime.stages.sft import tokenise

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([*alphabet, "\u0120i"])}  # " i" is one token
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=[("\u0120", "i")]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    factory: Any = PreTrainedTokenizerFast
    tokenizer = factory(tokenizer_object=bpe, eos_token="<|end|>")
    for prompt, completion, size in (("say: ", "it", 3), ("say:", " it", 3), ("say:", " it<|end|>", 3)):
        (example,) = tokenise(tokenizer, [{"prompt": prompt, "completion": completion}], None)
        ids, mask = example["input_ids"], example["completion_mask"]
        start = tokenizer(prompt)["input_ids"]
        assert ids[: len(start)] == start
        assert mask == [0] * len(start) + [1] * size
        assert tokenizer.decode(ids) == prompt + completion.removesuffix("<|end|>") + "<|end|>"


def test_prompts_that_fill_the_whole_length_are_refused(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    failure = fail(tmp_path, "sft", inputs, root, args={"max_length": 3})
    assert failure.kind == "data"
    assert "`max_length` (3 tokens)" in str(failure)


def test_demonstrations_that_are_cut_are_counted_and_told(
    inputs: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = world.sft_config(args={"max_length": 8}, max_steps=1)
    ctx, published = make_context(tmp_path, "sft", config, inputs, kept=(1,))
    run_stage(ctx)
    # Of the two demonstrations of each problem, the longer one does not fit.
    assert published.record(1)["metrics"]["cut_rate"] == 0.5
    assert "are cut to `max_length` (8 tokens)" in capfd.readouterr().out


def test_a_verifier_that_always_fails_ends_the_job(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    (root / "broken.py").write_text(
        "def judge(completion, answer, row):\n    return 1 / 0\n", encoding="utf-8"
    )
    verifier = {"kind": "python", "target": "broken:judge", "code": ""}
    failure = fail(tmp_path, "grpo", inputs, root, verifier=verifier)
    assert failure.kind == "verifier"
    assert "ZeroDivisionError" in str(failure)


def test_rewards_are_for_right_for_found_and_for_nothing() -> None:
    from exc.runtime.stages.judging import PlainJudge
    from exc.runtime.stages.prompts import Row
    from exc.runtime.stages.rollouts import make_reward
    from exc.runtime.stages.verifiers import numeric

    rows = [Row(0, {}, "3", ()), Row(1, {}, None, ())]
    reward = make_reward(rows, PlainJudge(numeric), {"correct": 1.0, "format": 0.1}, [";"])
    texts = ["it is 3", "it is 3; 4", "it is 4", "who knows", "3"]
    assert reward(texts, [0, 0, 0, 0, 1]) == [1.0, 1.0, 0.1, 0.0, None]


def test_a_tokenizer_that_pads_with_its_end_gets_another_pad(inputs: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    from exc.runtime.stages.weights import load_policy

    folder = tmp_path / "model"
    shutil.copytree(inputs["model"], folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["pad_token"] = "<|endoftext|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    _, tokenizer = load_policy(folder, {})
    assert tokenizer.pad_token == "<|padding|>"


def test_completions_end_at_their_stop_string(
    inputs: dict[str, Path], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exc.runtime.stages import grpo

    seen: list[tuple[list[int], str]] = []
    generate = grpo.RolloutTrainer._generate_single_turn

    def watch(trainer: Any, *args: Any) -> Any:
        completions, logprobs = generate(trainer, *args)
        seen.extend((ids, trainer._tokenizer.decode(ids, skip_special_tokens=True)) for ids in completions)
        return completions, logprobs

    monkeypatch.setattr(grpo.RolloutTrainer, "_generate_single_turn", watch)
    stop = ["e", "Qz", " "]
    config = world.grpo_config(stop=stop, args={"max_completion_length": 24})
    ctx, _ = make_context(tmp_path, "grpo", config, inputs, kept=(4,), root=root)
    run_stage(ctx)
    stopped = [text for _, text in seen if any(string in text for string in stop)]
    assert stopped, "no completion ended in a stop string"
    for text in stopped:
        assert any(text.endswith(string) for string in stop)
        assert not any(string in text[:-1] for string in ("e", " "))
    for ids, text in seen:
        assert len(ids) == 24 or ids[-1] == 256 or text in stopped
        assert ids[-1] != 257
