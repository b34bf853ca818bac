"""Checkpoints of one run in two repositories: listed, locked, fetched, measured; and then in folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.project import Project
from tests.fake_hub import FakeHub, fake_hub

pytestmark = pytest.mark.ci

LATE, EARLY = "lab/run", "lab/run-early"
TRUNKS = "trunks:\n"
MINE_ALONE = "branches: [{trunks: [mini]}]\n"  # the others are measured, and not branched
THEIRS = """\
  theirs:
    hub: {repos: [lab/run, lab/run-early], pattern: "step{step}-tokens{tokens}K", tokens_per_step: 256}
    checkpoints: {tokens: [8k, 15k], snap: nearest}
"""


def model(finished: Project, step: int) -> Path:
    return finished.artifact(finished.plan.job(f"mini/pretrain/{step}").artifact) / "model"


@pytest.fixture
def hub(finished: Project) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        hub.push(EARLY, model(finished, 30), "step30-tokens8K")
        hub.push(LATE, model(finished, 60), "step60-tokens16K")
        hub.push(LATE, model(finished, 60), "main")
        hub.push(LATE, model(finished, 60), "instruct")
        yield hub


def weights(project: Project, job_id: str) -> bytes:
    return (project.artifact(project.plan.job(job_id).artifact) / "model/model.safetensors").read_bytes()


def test_a_run_that_others_published(finished: Project, hub: FakeHub, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    project.env.update(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"), HF_HUB_OFFLINE="0")
    project.edit(TRUNKS, MINE_ALONE + TRUNKS + THEIRS)
    said = project.ok("compile")
    assert "2 checkpoints from step 30 (7.68k tokens) to step 60 (15.36k tokens)" in " ".join(said.split())
    assert "lab/run@instruct" in said
    lock = json.loads((project.folder / "exc.lock").read_text())
    assert lock["refs"][LATE] == hub.branches[LATE]
    assert sorted(lock["hub"]) == [f"{EARLY}@step30-tokens8K", f"{LATE}@step60-tokens16K"]
    project.ok("submit")
    for step in (30, 60):
        assert weights(project, f"theirs/fetch/{step}") == weights(finished, f"mini/pretrain/{step}")
    rows = [row for row in project.json("results") if row["trunk"] == "theirs" and row["recipe"] == "base"]
    assert {row["at"]: row["tokens"] for row in rows} == {30: 7680, 60: 15_360}
    # What was published is what was trained here: equal numbers at equal tokens.
    measured = {
        (row["trunk"], row["at"]): (row["tokens"], row["metrics"])
        for row in project.json("results")
        if (row["recipe"], row["evaluation"]) == ("base", "sums")
    }
    for step in (30, 60):
        assert measured["theirs", step] == measured["mini", step]


def test_a_run_in_folders(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    for step in (30, 60):
        shutil.copytree(model(finished, step), project.folder / f"runs/checkpoint-{step}")
    (project.folder / "runs/logs").mkdir()
    folder = '{path: runs, pattern: "checkpoint-{step}", tokens_per_step: 256}'
    project.edit(TRUNKS, f"{MINE_ALONE}{TRUNKS}  theirs: {{folder: {folder}, checkpoints: {{every: 30}}}}\n")
    project.ok("compile")
    project.ok("submit")
    assert weights(project, "theirs/fetch/60") == weights(finished, "mini/pretrain/60")
    (project.folder / "runs/checkpoint-60/model.safetensors").unlink()
    done = project.exc("check")
    assert done.code == 1
    assert "the folder `runs/checkpoint-60` holds no model in safetensors form" in done.err + done.out
    shutil.rmtree(project.folder / "runs/checkpoint-60")
    gone = " ".join((project.exc("check").err).split())
    assert "`every: 30`" not in gone
    project.edit("checkpoints: {every: 30}", "checkpoints: [30, 60]")
    missing = project.exc("check")
    assert missing.code == 1
    assert "60 lies past the last checkpoint, step 30 (7.68k tokens)" in " ".join(
        (missing.err + missing.out).split()
    )
