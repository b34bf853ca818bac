"""Smoke first: what is wrong with a class shows before its jobs begin, and holds back nothing else."""

from __future__ import annotations

import json

import pytest

from tests.docs_blocks import ROOT, matches, read_page
from tests.end_to_end.project import Done, Project

pytestmark = pytest.mark.ci

FAULTY = """tasks:
  faulty:
    prompt: "{question}="
    splits: {train: {data: train, columns: {question: problem}}}
    stop: ["\\n"]
    verifier: python:faults:judge_none
"""
BUG = 'row: Mapping[str, object]) -> bool:  # noqa: ARG001\n    raise RuntimeError("the judge is away")'
MENDED = "row: Mapping[str, object]) -> bool:  # noqa: ARG001\n    return len(completion) % 2 == 0"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Done]:
    """The mini plan with a verifier of its own for RL that raises, submitted with jobs forked."""
    project = Project.new(tmp_path_factory.mktemp("smoke") / "mini")
    project.edit("tasks:\n", FAULTY)
    project.edit("task: sums\n          num_generations", "task: faulty\n          num_generations")
    project.edit(
        "- {on: {kind: grpo}, micro_batch_size: 2}",
        "- {on: {kind: grpo}, micro_batch_size: 2, smoke: true}\n    - {on: {kind: sample}, smoke: true}",
        file="profiles.yaml",
    )
    project.ok("compile")
    return project, project.exc("submit")


def held(project: Project) -> set[str]:
    """Jobs of the RL classes, and all that reads from them."""
    found: set[str] = set()
    for job in project.plan:
        if job.cls in ("rl.rl", "sft-rl.rl") or found & {need.job for need in job.needs}:
            found.add(job.id)
    return found


def test_it_holds_back_its_class_and_nothing_else(failed: tuple[Project, Done]) -> None:
    project, submitted = failed
    assert submitted.code == 1, submitted
    states = project.states()
    assert {name for name, state in states.items() if state == "failed"} == {"smoke/rl.rl"}
    blocked = {name for name, state in states.items() if state == "blocked"}
    assert blocked == held(project)
    assert "mini/60/soup/r0/soup" in blocked
    assert set(states.values()) == {"done", "failed", "blocked"}
    assert not blocked & project.started().keys(), "none of them was begun"


def test_status_tells_it_whole(failed: tuple[Project, Done]) -> None:
    project = failed[0]
    blocks = project.exc("status").out.split("\n\n")
    shown = next(block for block in blocks if block.startswith("failed "))
    page = read_page(ROOT / "docs" / "smoke.md")
    expected = next(block for block in page.blocks if block.marked("checked by:"))
    assert matches(tuple(expected.text.splitlines()), shown), shown
    assert f"holds up {len(held(project))} jobs: " in shown


def test_by_hand_it_is_told_and_waited_for(failed: tuple[Project, Done]) -> None:
    project = failed[0]
    member = project.run(*project.script(project.plan.job("mini/60/rl/r0/rl")))
    assert member.code == 1
    assert "mini/60/rl/r0/rl: its input `smoke` is missing; job smoke/rl.rl makes it" in member.err
    again = project.run("bash", "plan/jobs/smoke.rl.rl.sh", "smoke/rl.rl")
    assert again.code == 1
    assert "smoke/rl.rl: failed (verifier): the smoke run of 2 jobs of class `rl.rl`" in again.out + again.err
    done = project.run("bash", "plan/jobs/smoke.sums.sample.sh", "smoke/sums.sample")
    assert done.code == 0
    assert "smoke/sums.sample: already done" in done.out


def test_mended_it_goes_on(failed: tuple[Project, Done], finished: Project) -> None:
    project = failed[0].copy(failed[0].folder.parent / "mended")
    project.env["EXC_FORK"] = "0"  # every job from its script
    before = project.started()
    project.edit(BUG, MENDED, file="faults.py")
    project.ok("compile")
    project.ok("submit")
    assert set(project.states().values()) == {"done"}
    begun = project.started() - before
    assert begun["smoke/rl.rl"] == 1
    assert not begun["smoke/sums.sample"], "what was tried is not tried again"
    left = project.artifact(project.plan.job("smoke/rl.rl").artifact)
    report = json.loads((left / "report.json").read_text())
    assert report["stands_for"] == {"rl.rl": 2, "sft-rl.rl": 2}
    assert report["counts"]["samples"] == 8
    for job in project.plan:
        for ref in job.artifacts():
            record = json.loads((project.artifact(ref) / "artifact.json").read_text())
            assert "smoke" not in record["inputs"], "it is no input of any result"
    same = {job.artifact for job in finished.plan if job.kind in ("sft", "pretrain", "score")}
    mine, theirs = project.contents(), finished.contents()
    shared = same & mine.keys()
    assert len(shared) > 6
    assert {ref: mine[ref] for ref in shared} == {ref: theirs[ref] for ref in shared}
    assert not list((project.store / "work").glob("*/smoke")), "no random weights are left"


def test_what_is_done_asks_for_no_smoke_run(finished: Project) -> None:
    project = finished.copy(finished.folder.parent / "asked-later")
    project.edit("- {on: {kind: grpo}, ", "- {on: {kind: grpo}, smoke: true, ", file="profiles.yaml")
    project.ok("compile")
    assert "nothing to do" in project.ok("submit")
    assert project.states()["smoke/rl.rl"] == "unneeded"
    assert project.json("plan")["counts"]["changed"] == 0
