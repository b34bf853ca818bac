"""Smoke runs for real: each kind at its smallest, on random weights, leaving a report and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exc.compiler.smoke import num_rows, shrunk
from exc.runtime.context import JobFailed, Stopped
from exc.spec.paired import PAIRED_KINDS
from tests.runtime.harness import Published, make_context
from tests.runtime.training import world
from tests.runtime.training.conftest import run_stage

pytestmark = pytest.mark.slow

SAMPLE: dict[str, Any] = {
    "prompt": "{a}+{b}=",
    "stop": ["e"],
    "num_fewshot": 0,
    "fewshot_seed": None,
    "limit": None,
    "block": 3,
    "block_size": 4,
    "temperature": 1.0,
    "top_p": 1.0,
    "max_new_tokens": 6,
    "seed": 3,
}
CONFIGS: dict[str, Callable[[], dict[str, Any]]] = {
    "pretrain": lambda: world.pretrain_config(20),
    "sft": world.sft_config,
    "dpo": world.dpo_config,
    "grpo": world.grpo_config,
    "rloo": world.rloo_config,
    "kto": world.kto_config,
    **{kind: partial(world.paired_config, kind) for kind in PAIRED_KINDS},
    "sample": lambda: SAMPLE,
}
READS = {
    "pretrain": ("tokenizer", "tokens:big", "tokens:small"),
    **dict.fromkeys(("sft", "dpo", "kto", "grpo", "rloo", "sample"), ("tokenizer", "rows")),
    **dict.fromkeys(PAIRED_KINDS, ("tokenizer", "rows:rl", "rows:sft")),
}


def smoke_config(kind: str, config: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    return {
        "of": kind,
        "shape": shape,
        "gpus": 0,
        "rows": num_rows(kind, config),
        "config": shrunk(kind, config, shape),
        "stands_for": {"rl.rl": 3, "again.rl": 1},
    }


def smoke(
    folder: Path, kind: str, inputs: dict[str, Path], root: Path, **changes: Any
) -> tuple[dict[str, Any], Published]:
    """The report of a smoke run, and all that it published."""
    config = smoke_config(kind, {**CONFIGS[kind](), **changes}, world.MODEL)
    read = {role: inputs[role] for role in READS[kind]}
    ctx, published = make_context(folder, "smoke", config, read, root=root)
    run_stage(ctx)
    assert [path.name for path in published.path().iterdir()] == ["report.json"]
    assert not list(ctx.work.iterdir()), "no model is left"
    return json.loads((published.path() / "report.json").read_text(encoding="utf-8")), published


@pytest.mark.parametrize("kind", CONFIGS)
def test_each_kind_is_run_once_and_leaves_a_report(
    kind: str, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    report, published = smoke(tmp_path, kind, inputs, root)
    assert report["stage"] == kind
    assert report["stands_for"] == {"rl.rl": 3, "again.rl": 1}
    assert report["seconds"] > 0
    assert report["peak_memory_bytes"] > 1 << 20
    assert report["saved_bytes"] > 0
    assert report["counts"]["tokens"] > 0
    assert published.record()["metrics"] == {
        **report["metrics"],
        **{name: report[name] for name in report if name.endswith("_rate")},
    }


def test_a_rollout_is_whole_and_its_verdicts_are_counted(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    report, _ = smoke(tmp_path, "grpo", inputs, root)
    assert report["counts"]["samples"] == 2 * 4
    assert 0 < report["parse_rate"] <= 1
    assert report["unverifiable_rate"] == 0
    assert report["stop_rate"] == 1 - report["metrics"]["clipped_ratio"]
    assert "reward" in report["metrics"]


def test_samples_are_judged_as_they_will_be(inputs: dict[str, Path], tmp_path: Path) -> None:
    config = smoke_config("sample", SAMPLE, world.MODEL)
    config["judged"] = {"verifier": world.grpo_config()["verifier"], "max_unverifiable": 0.5}
    read = {role: inputs[role] for role in READS["sample"]}
    (tmp_path / "judge.py").write_text(world.JUDGE, encoding="utf-8")
    ctx, published = make_context(tmp_path / "good", "smoke", config, read, root=tmp_path)
    run_stage(ctx)
    report = json.loads((published.path() / "report.json").read_text(encoding="utf-8"))
    assert report["counts"]["samples"] == 7 * 4
    assert 0 < report["parse_rate"] <= 1
    assert 0 <= report["stop_rate"] < 1
    (tmp_path / "judge.py").write_text("def judge(completion, answer, row):\n    return 1 / 0\n")
    ctx, _ = make_context(tmp_path / "bad", "smoke", config, read, root=tmp_path)
    with pytest.raises(JobFailed, match=r"28 of 28 samples \(100.0%\) could not be judged") as failed:
        run_stage(ctx)
    assert failed.value.kind == "verifier"


def test_a_step_takes_two_micro_batches(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    report, _ = smoke(tmp_path, "pretrain", inputs, root, batch_size=64, micro_batch_size=2)
    assert report["counts"]["samples"] == 4


def test_the_longest_rows_are_among_those_that_are_tried(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in (inputs["rows"] / "rows.jsonl").read_text().splitlines()]
    rows[5]["demonstrations"] = [" " * 200]
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    changes: dict[str, Any] = {"batch_size": 2, "micro_batch_size": 1, "demonstrations": "first"}
    plain, _ = smoke(tmp_path / "plain", "sft", inputs, root, **changes)
    long, _ = smoke(tmp_path / "long", "sft", {**inputs, "rows": folder}, root, **changes)
    assert long["counts"]["tokens"] > plain["counts"]["tokens"] + 15, "cut at max_length"


def test_a_published_model_lends_its_shape_and_tokenizer_alone(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"  # there are no weights to load
    bare.mkdir()
    for path in inputs["model"].iterdir():
        if path.suffix != ".safetensors":
            (bare / path.name).write_bytes(path.read_bytes())
    config = smoke_config("sft", world.sft_config(), {"hub": "org/model"})
    ctx, published = make_context(
        tmp_path, "smoke", config, {"published": bare, "rows": inputs["rows"]}, root=root
    )
    run_stage(ctx)
    made, _ = smoke(tmp_path / "made", "sft", inputs, root)
    report = json.loads((published.path() / "report.json").read_text(encoding="utf-8"))
    assert report["counts"] == made["counts"]


def test_a_verifier_that_fails_says_which_jobs_it_holds_back(inputs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "judge.py").write_text("def judge(completion, answer, row):\n    return row.nothing\n")
    with pytest.raises(JobFailed) as failed:
        smoke(tmp_path, "grpo", inputs, tmp_path)
    assert failed.value.kind == "verifier"
    assert str(failed.value).startswith(
        "the smoke run of 3 jobs of class `rl.rl` and 1 job of class `again.rl` failed and holds them back:\n"
        "no completion of a rollout could be verified: "
    )
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    ("kind", "changes", "cause", "said"),
    [
        ("sft", {"prompt": "{question}="}, "data", "the row has no such field"),
        ("sft", {"args": {"learning_rat": 1.0}}, "config", "`learning_rat` is not a field"),
        ("sample", {"max_new_tokens": 100}, "config", "more than the model's context of 64"),
        ("pretrain", {"sequence_length": 700}, "data", "fewer than one sequence of 700"),
    ],
)
def test_mistakes_keep_their_class_and_words(
    kind: str,
    changes: dict[str, Any],
    cause: str,
    said: str,
    inputs: dict[str, Path],
    root: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(JobFailed) as failed:
        smoke(tmp_path, kind, inputs, root, **changes)
    assert failed.value.kind == cause
    assert said in str(failed.value)


def test_one_that_was_stopped_begins_again(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    config = smoke_config("sft", world.sft_config(), world.MODEL)
    read = {role: inputs[role] for role in READS["sft"]}
    ctx, _ = make_context(tmp_path, "smoke", config, read, root=root, should_stop=lambda: True)
    with pytest.raises(Stopped):
        run_stage(ctx)
    smoke(tmp_path, "sft", inputs, root)
