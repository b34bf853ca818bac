"""Trunks that others published and that a trainer of one's own makes, in the plan: jobs, tokens, identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from exc.compiler.checks import check
from exc.compiler.compile import compile_plan
from exc.compiler.facts import Facts, FileFact, LockedFile, LockedRepo
from exc.compiler.plan import Plan
from exc.compiler.published import unlocked
from exc.compiler.summary import summary
from exc.spec.load import load_text
from exc.spec.profiles import Profile

HEAD = """\
version: 1
experiment: rungs
data:
  test: {jsonl: test.jsonl}
tasks:
  sums: {prompt: "{question}", splits: {test: {data: test}}}
recipes:
  scaled: [{scale: {command: {run: "true"}}}]
evaluations:
  sums: {pass_at_k: {task: sums, k: [1], num_samples: 16, max_new_tokens: 8}}
"""
OWN = """\
trunks:
  own:
    command: {run: python train.py, files: [train.py], tokens: 1000k, tokens_per_step: 1000}
    checkpoints: [400, 1000]
"""
REFS = {
    "lab/run": {"main": "c0", "step100-tokens1B": "c1", "step200-tokens3B": "c2", "old": "c9"},
    "lab/early": {"step10": "e1", "step100-tokens1B": "e2", "step20-tokens1B": "e3"},
}
FILES = (LockedFile("model.safetensors", 100, "aa"),)
LOCK = {
    f"{repo}@{name}": LockedRepo(commit, FILES)
    for repo, names in REFS.items()
    for name, commit in names.items()
}
CODE = {"train.py": (FileFact("train.py", 10, "dd"),), "test.jsonl": (FileFact("test.jsonl", 10, "ee"),)}
HUB = (
    'trunks: {run: {hub: {repos: [lab/run, lab/early], pattern: "step{step}-tokens{tokens}B"}, '
    "checkpoints: AT}}\n"
)


def plan_of(trunks: str, facts: Facts | None = None) -> Plan:
    loaded = load_text(HEAD + trunks, "experiment.yaml")
    assert loaded.draft is not None, list(loaded.diagnostics)
    given = facts or Facts(CODE, hub=LOCK, refs=REFS)
    check(loaded.draft, loaded.diagnostics, given)
    assert loaded.experiment is not None, [str(found.message) for found in loaded.diagnostics]
    assert not loaded.diagnostics.has_errors, [found.message for found in loaded.diagnostics]
    return compile_plan(loaded.experiment, given, Profile())


def reads(plan: Plan, job: str) -> dict[str, str]:
    return {need.role: need.job for need in plan.job(job).needs}


def tokens(plan: Plan, recipe: str = "base") -> dict[tuple[str, int], int]:
    cells = [cell for cell in plan.report["cells"] if cell["recipe"] == recipe]
    return {(cell["trunk"], cell["at"]): cell["tokens"] for cell in cells}


def test_each_checkpoint_is_fetched_at_its_commit() -> None:
    plan = plan_of(HUB.replace("AT", "[20, 100, 200]"))
    assert {step: plan.job(f"run/fetch/{step}").config["hub"]["commit"] for step in (20, 100, 200)} == {
        20: "e3", 100: "c1", 200: "c2"
    }  # fmt: skip
    assert reads(plan, "run/200/scaled/r0/scale") == {"model": "run/fetch/200"}
    assert tokens(plan, "scaled") == {("run", 20): 10**9, ("run", 100): 10**9, ("run", 200): 3 * 10**9}
    assert unlocked(plan) == []


def test_how_a_checkpoint_was_asked_for_and_what_it_is_called_changes_no_identity() -> None:
    by_step = plan_of(HUB.replace("AT", "[200]"))
    by_tokens = plan_of(HUB.replace("AT", "{tokens: [2.9B], snap: nearest}"))
    assert [job.identity for job in by_step] == [job.identity for job in by_tokens]
    named = "trunks: {run: {hub: {repo: lab/run, revision: step200-tokens3B, step: 200, tokens: 3B}}}\n"
    one = plan_of(named)
    assert one.job("run/fetch").identity == by_step.job("run/fetch/200").identity


def test_the_plan_says_what_was_asked_and_what_it_became() -> None:
    plan = plan_of(HUB.replace("AT", "{tokens: [2.9B], include: [first], snap: nearest}"))
    [trunk] = summary(plan)["trunks"]
    assert [(row["step"], row["tokens"], row["asked"]) for row in trunk["checkpoints"]] == [
        (20, "1B", "first: `step20-tokens1B`"),
        (200, "3B", "2.9B tokens: `step200-tokens3B`"),
    ]
    assert (
        trunk["summary"]
        == "published on the hub: lab/early and lab/run; 3 checkpoints there, 2 names beside them."
    )


def test_a_selector_in_tokens_means_those_of_each_trunk() -> None:
    chosen = "branches: [{at: {tokens: {start: 300k, stop: 1B}}}]\n"
    published = HUB.replace("AT", "[20, 100, 200]").removeprefix("trunks: {").removesuffix("}\n")
    text = f"trunks:\n  {published}\n"
    plan = plan_of(text + OWN.removeprefix("trunks:\n") + chosen)
    assert set(tokens(plan, "scaled")) == {("run", 20), ("run", 100), ("own", 400), ("own", 1000)}


def test_a_checkpoint_that_the_schedule_adds_changes_no_other() -> None:
    before = {job.identity for job in plan_of(HUB.replace("AT", "[100]"))}
    assert before <= {job.identity for job in plan_of(HUB.replace("AT", "[100, 200]"))}


def test_a_matrix_over_runs_that_others_published() -> None:
    run = 'matrix: {size: ["70m", "410m"]}, hub: {preset: "pythia-${size}"}, checkpoints: [1000]'
    text = f"trunks: {{py: {{{run}}}}}\n"
    plan = plan_of(text, Facts(CODE))
    repos = {job.config["hub"]["repo"] for job in plan if job.kind == "fetch"}
    assert repos == {"EleutherAI/pythia-70m", "EleutherAI/pythia-410m"}
    assert tokens(plan) == {("py[size=70m]", 1000): 2_097_152_000, ("py[size=410m]", 1000): 2_097_152_000}
    assert {cell["matrix"]["size"] for cell in plan.report["cells"]} == {"70m", "410m"}
    assert unlocked(plan) == ["EleutherAI/pythia-410m", "EleutherAI/pythia-70m"]


def test_folders_with_checkpoints() -> None:
    folders = {"runs/a": ("step100", "step200", "step200-tmp", "logs")}
    files = {
        f"runs/a/step{step}": (FileFact(f"runs/a/step{step}/model.safetensors", 9, f"s{step}"),)
        for step in (100, 200)
    }
    facts = Facts({**CODE, **files}, folders=folders)
    text = """\
trunks:
  a: {folder: {path: runs/a, pattern: "step{step}", tokens_per_step: 1000}, checkpoints: {every: 100}}
"""
    plan = plan_of(text, facts)
    assert [file["path"] for file in plan.job("a/fetch/200").config["files"]] == [
        "runs/a/step200/model.safetensors"
    ]
    assert tokens(plan) == {("a", 100): 100_000, ("a", 200): 200_000}
    assert plan.report["trunks"]["a"]["strays"] == 2


def test_a_trainer_goes_on_from_checkpoint_to_checkpoint() -> None:
    plan = plan_of(OWN)
    first, last = plan.job("own/pretrain/400"), plan.job("own/pretrain/1000")
    assert (first.kind, first.computation, set(first.kept), set(last.kept)) == (
        "trainer", last.computation, {400}, {1000}
    )  # fmt: skip
    assert reads(plan, last.id) == {"resumes": first.id}
    assert last.config["files"][0]["sha256"] == "dd"
    assert (last.config["keep"], last.config["total_steps"], last.estimate["tokens"]) == (
        [400, 1000],
        1000,
        600_000,
    )
    assert reads(plan, "own/400/scaled/r0/scale") == {"model": first.id}
    assert tokens(plan) == {("own", 400): 400_000, ("own", 1000): 1_000_000}


CHANGES = {
    "run": ("python train.py", "python train.py --fast"),
    "length": ("tokens: 1000k", "tokens: 2000k"),
    "tokens": ("tokens: 1000k, tokens_per_step: 1000", "tokens: 2000k, batch_size: 100, sequence_length: 20"),
    "seed": ("files:", "seed: 7, files:"),
    "convert": ("files:", "convert: cp, files:"),
}
KEPT = {
    "resume": ("files:", "resume: python train.py --resume, files:"),
    "checkpoints": ("[400, 1000]", "[200, 400, 1000]"),
    "batch": ("tokens_per_step: 1000", "batch_size: 100, sequence_length: 10"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_another_run_is(change: str) -> None:
    changed = plan_of(OWN.replace(*CHANGES[change]))
    assert changed.job("own/pretrain/400").identity != plan_of(OWN).job("own/pretrain/400").identity


@pytest.mark.parametrize("change", KEPT)
def test_what_is_still_the_same_run(change: str) -> None:
    changed = plan_of(OWN.replace(*KEPT[change]))
    for step in (400, 1000):
        assert (
            changed.job(f"own/pretrain/{step}").identity == plan_of(OWN).job(f"own/pretrain/{step}").identity
        )


def test_other_code_is_another_run() -> None:
    facts = Facts({**CODE, "train.py": (FileFact("train.py", 10, "ff"),)})
    assert (
        plan_of(OWN, facts).job("own/pretrain/400").identity != plan_of(OWN).job("own/pretrain/400").identity
    )


def test_a_run_that_starts_from_another_adds_up_its_tokens() -> None:
    more = """\
  more:
    from: {trunk: own, at: last}
    command: {run: python more.py, tokens: 500k, tokens_per_step: 1000}
    checkpoints: [500]
  soup:
    from: {trunk: run, at: 200}
    command: {like: more}
    checkpoints: [500]
  run: {hub: {repo: lab/run, pattern: "step{step}-tokens{tokens}B"}, checkpoints: [200]}
"""
    plan = plan_of(OWN + more)
    assert reads(plan, "more/pretrain/500") == {"model": "own/pretrain/1000"}
    assert reads(plan, "soup/pretrain/500") == {"model": "run/fetch/200"}
    assert tokens(plan)["more", 500] == 1_500_000
    assert tokens(plan)["soup", 500] == 3 * 10**9 + 500_000


def test_trunks_over_size_and_mixture() -> None:
    """Cells of one run, and runs that extend each other: each has steps of its own length."""
    text = """\
trunks:
  sized:
    matrix: {width: [64, 128], mix: [0.5, 0.9]}
    command:
      run: "python train.py --width ${width} --mix ${mix}"
      files: train.py
      tokens: 1000k
      batch_size: $width
      sequence_length: 10
    checkpoints: {tokens: [640k], snap: nearest}
"""
    plan = plan_of(text)
    assert tokens(plan) == {
        ("sized[width=64,mix=0.5]", 1000): 640_000,
        ("sized[width=64,mix=0.9]", 1000): 640_000,
        ("sized[width=128,mix=0.5]", 500): 640_000,
        ("sized[width=128,mix=0.9]", 500): 640_000,
    }
    values: list[Mapping[str, Any]] = [cell["matrix"] for cell in plan.report["cells"]]
    assert {value["mix"] for value in values} == {0.5, 0.9}
    assert len({job.computation for job in plan if job.kind == "trainer"}) == 4
