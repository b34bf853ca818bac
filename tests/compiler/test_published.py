"""Published models and data in the plan: jobs that fetch, under whatever checkpoint or task reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exc.compiler.compile import compile_plan
from exc.compiler.facts import Facts, LockedFile, LockedRepo
from exc.compiler.plan import Plan
from exc.compiler.published import unlocked
from exc.compiler.summary import summary
from exc.spec.load import load_text
from exc.spec.profiles import Profile

SPEC = """\
version: 1
experiment: pairs
data:
  test: {hub: {repo: openai/gsm8k, config: main, split: test}}
  web: {hub: a/web}
tasks:
  gsm8k: {prompt: "{question}", splits: {test: {data: test}}}
trunks:
  qwen: {hub: {repo: Qwen/Qwen2.5-7B, tokens: 18T}}
  stem:
    from: {trunk: qwen, at: last}
    pretrain: {data: {web: 1}, batch_size: 8, sequence_length: 1024, tokens: 8192000,
               schedule: {shape: constant, peak: 1.0e-5}}
    checkpoints: [500, 1000]
recipes:
  zero: [{rl: {hub: lab/zero}}]
branches: [{trunks: [qwen], recipes: [zero]}]
evaluations:
  gsm8k: {pass_at_k: {task: gsm8k, k: [1], num_samples: 16, max_new_tokens: 64}}
report: {contrasts: [{a: zero, b: base}]}
"""
FILE = LockedFile("model.safetensors", 100, "aa")
LOCK = {
    "Qwen/Qwen2.5-7B@main": LockedRepo("c1", (FILE,)),
    "lab/zero@main": LockedRepo("c2", (FILE,)),
    "datasets/openai/gsm8k@refs/convert/parquet:main/test": LockedRepo("c3", ()),
    "datasets/a/web@refs/convert/parquet:default/train": LockedRepo("c4", ()),
}


def plan_of(text: str = SPEC, lock: dict[str, LockedRepo] | None = None) -> Plan:
    loaded = load_text(text, "experiment.yaml")
    assert loaded.experiment is not None, list(loaded.diagnostics)
    return compile_plan(loaded.experiment, Facts(hub=LOCK if lock is None else lock), Profile())


def reads(plan: Plan, job: str) -> dict[str, str]:
    return {need.role: need.job for need in plan.job(job).needs}


def test_a_published_trunk_is_one_checkpoint_that_is_fetched() -> None:
    plan = plan_of()
    assert plan.job("qwen/fetch").config["hub"]["commit"] == "c1"
    assert reads(plan, "qwen/fetch.gsm8k.sample.0")["model"] == "qwen/fetch"
    cell = next(cell for cell in plan.report["cells"] if cell["trunk"] == "qwen" and cell["recipe"] == "base")
    assert (cell["at"], cell["tokens"]) == (1, 18 * 10**12)


@pytest.mark.parametrize(
    ("run", "at", "is_selected"),
    [
        ("step: 3, tokens: 2B", "{tokens: [2B]}", True),  # 3 steps of no whole number of tokens
        ("step: 3, tokens: 2B", "{tokens: {start: 2B}}", True),
        ("step: 3, tokens: 2B", "{tokens: {stop: 1B}}", False),
        ("step: 3", "{tokens: {stop: 1B}}", False),  # nobody says how many it has seen
        ("step: 3", "{tokens: [4M], steps: [3]}", True),
    ],
)
def test_a_selector_in_tokens_means_what_it_is_said_to_have_seen(
    run: str, at: str, is_selected: bool
) -> None:
    text = SPEC.replace("tokens: 18T", run).replace("recipes: [zero]", f"recipes: [zero], at: {at}")
    cells = plan_of(text.replace("trunks: [qwen]", "trunks: [qwen, stem]")).report["cells"]
    assert any((cell["recipe"], cell["trunk"]) == ("zero", "qwen") for cell in cells) == is_selected
    tokens = {cell["tokens"] for cell in cells if cell["trunk"] == "qwen"}
    assert tokens == {2 * 10**9 if "2B" in run else 0}


def test_a_run_goes_on_from_it_with_its_tokenizer() -> None:
    plan = plan_of()
    assert reads(plan, "stem/pretrain/500")["model"] == "qwen/fetch"
    assert reads(plan, "stem/pretrain/500")["tokenizer"] == "qwen/fetch"
    tokens = [cell["tokens"] for cell in plan.report["cells"] if cell["trunk"] == "stem"]
    assert tokens == [18 * 10**12 + 500 * 8192, 18 * 10**12 + 1000 * 8192]


def test_data_on_the_hub_is_fetched_for_whoever_reads_it() -> None:
    plan = plan_of()
    assert reads(plan, "tasks/gsm8k/test") == {"source": "data/test"}
    assert plan.job("data/test").config["hub"]["part"] == "main/test"


@pytest.mark.parametrize("key", LOCK)
def test_another_commit_is_another_computation(key: str) -> None:
    before = {job.identity for job in plan_of()}
    moved = {**LOCK, key: replace(LOCK[key], commit="moved")}
    assert before - {job.identity for job in plan_of(lock=moved)}


def test_the_revision_is_only_a_name_of_the_commit() -> None:
    text = SPEC.replace("{hub: lab/zero}", "{hub: {repo: lab/zero, revision: v1}}")
    renamed = plan_of(text, {**LOCK, "lab/zero@v1": LOCK["lab/zero@main"]})
    assert [job.identity for job in renamed] == [job.identity for job in plan_of()]


def test_what_is_not_locked_is_said_in_the_plan() -> None:
    plan = plan_of(lock={})
    assert unlocked(plan) == ["Qwen/Qwen2.5-7B", "a/web", "lab/zero", "openai/gsm8k"]
    said: dict[str, Any] = summary(plan)
    assert said["unlocked"] == unlocked(plan)
    assert unlocked(plan_of()) == []


def test_what_is_fetched_is_counted_by_what_is_locked() -> None:
    plan = plan_of()
    assert plan.job("qwen/fetch").estimate["disk_bytes"] == 100
    assert plan.job("stem/pretrain/500").estimate["flops"] == 6 * 50 * 500 * 8192
    assert "disk_bytes" not in plan_of(lock={}).job("qwen/fetch").estimate
