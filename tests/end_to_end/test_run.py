"""Compile, submit, look; then change something, and see that exactly what it concerns runs again."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow

HEAVY = ("torch", "transformers", "trl", "accelerate", "datasets", "submitit", "mergekit")


def with_recipe(project: Project, *recipes: str) -> set[str]:
    """Ids of jobs that make or measure what these recipes make."""
    return {id for id in project.ids if id.count("/") > 2 and id.split("/")[2] in recipes}


def at_step(project: Project, step: int) -> set[str]:
    """Ids of the jobs of one checkpoint: its segment, its branches, their evaluations."""
    heads = (f"mini/{step}/", f"mini/pretrain/{step}")
    return {id for id in project.ids if id.startswith(heads)}


def planned(project: Project) -> dict[str, str]:
    return {job["id"]: job["verdict"] for job in project.json("plan")["jobs"]}


def submit_and_see(project: Project) -> set[str]:
    """Compile and submit; gives the jobs that ran. Everything is done afterwards."""
    project.ok("compile")
    before = project.started()
    project.ok("submit")
    assert set(project.states().values()) == {"done"}
    ran = project.started() - before
    assert set(ran.values()) <= {1}
    return set(ran)


def test_everything_is_done_and_reported(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    assert project.started() == dict.fromkeys(project.ids, 1)
    assert set(project.states().values()) == {"done"}
    assert "all done" in project.ok("status")
    kinds = {job.kind for job in project.plan.jobs}
    assert kinds == {
        *("tokenizer", "tokens", "rows", "pretrain", "sft", "grpo", "merge", "command"),
        *("sample", "score", "bits_per_byte"),
    }
    project.ok("report")
    page = (project.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "sft-rl" in page
    assert "<svg" in page


def test_results_hold_every_cell(finished: Project) -> None:
    rows = finished.json("results")
    cells = {(row["evaluation"], row["at"], row["recipe"]) for row in rows}
    recipes = ("base", "rl", "sft", "sft-rl", "soup", "shrunk")
    assert cells == {(e, at, recipe) for e in ("sums", "prose") for at in (30, 60) for recipe in recipes}
    assert len(rows) == len(cells)
    for row in rows:
        assert row["missing"] == ""
        names = {"pass@1", "pass@4"} if row["evaluation"] == "sums" else {"bits_per_byte"}
        assert row["metrics"].keys() >= names
        record = json.loads((finished.artifact(row["artifact"]) / "artifact.json").read_bytes())
        assert record["metrics"] == row["metrics"]
    header, *lines = finished.ok("results", "--csv").splitlines()
    assert len(lines) == len(rows)
    assert header.startswith("evaluation,trunk,at,tokens,recipe,")


def test_results_are_readable_on_a_narrow_screen(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    project.env["COLUMNS"] = "60"
    shown = project.ok("results")
    assert "mini/30" in shown
    assert "bits_per_byte" in shown
    assert "…" not in shown


def test_training_changes_the_model(finished: Project) -> None:
    """So that equal digests elsewhere mean something."""
    plan = finished.plan
    models = [
        (finished.artifact(job.artifact) / "model" / "model.safetensors").read_bytes()
        for job in plan.jobs
        if job.kind in ("pretrain", "sft", "grpo", "merge", "command")
    ]
    assert len(set(models)) == len(models) == 12


def test_resume_states_were_saved_on_the_way(finished: Project) -> None:
    """The profile asks for a state at every step, so that the tests of kills have something to resume."""
    assert len(finished.events("saved")) > 60


def test_a_second_submit_runs_and_loads_nothing(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    traps = tmp_path / "traps"
    traps.mkdir()
    for name in HEAVY:
        (traps / f"{name}.py").write_text("raise RuntimeError('loaded ' + __name__)\n", encoding="utf-8")
    project.env["PYTHONPATH"] = f"{traps}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    sprung = project.run(sys.executable, "-c", "import torch")
    assert "loaded torch" in sprung.err
    before = project.started()
    assert project.ok("submit") == f"mini: nothing to do, all {len(project.ids)} jobs done\n"
    assert project.started() == before
    for command in ("check", "compile", "plan", "status", "results"):
        project.ok(command)


def test_a_changed_field_is_named_and_only_what_it_concerns_runs(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    line = project.edit("8, args: {learning_rate: 1.0e-3", "8, args: {learning_rate: 2.0e-3")
    concerned = with_recipe(project, "sft", "sft-rl", "soup")
    review = project.json("plan")["jobs"]
    assert {job["id"]: job["verdict"] for job in review} == {
        id: "changed" if id in concerned else "reused" for id in project.ids
    }
    for job in review:
        fields = [(f["field"], f["old"], f["new"], f["source"].rsplit(":", 1)[0]) for f in job["fields"]]
        own = job["id"] in ("mini/30/sft/r0/sft", "mini/60/sft/r0/sft")
        assert fields == ([("args.learning_rate", 0.001, 0.002, f"experiment.yaml:{line}")] if own else [])
    stale = project.exc("submit")
    assert stale.code == 1
    assert f"args.learning_rate 0.001 -> 0.002 (experiment.yaml:{line}:" in stale.err
    assert submit_and_see(project) == concerned
    assert set(planned(project).values()) == {"reused"}


def test_changing_back_runs_nothing(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    project.edit("max_steps: 8,", "max_steps: 9,")
    project.ok("compile")
    project.edit("max_steps: 9,", "max_steps: 8,")
    assert submit_and_see(project) == set()


def test_a_checkpoint_between_costs_its_segment_and_branches(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    project.edit("checkpoints: [30, 60]", "checkpoints: [30, 45, 60]")
    before, kept = project.attempts(), project.contents()
    assert submit_and_see(project) == at_step(project, 45)
    assert project.contents().items() >= kept.items()
    assert set(before) <= set(project.attempts())


def test_a_replicate_costs_its_own_jobs(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    project.edit("evaluations:\n", "replicates: [{num: 2, on: {recipes: [rl]}}]\n\nevaluations:\n")
    before = project.ids
    ran = submit_and_see(project)
    assert ran == project.ids - before
    assert ran
    assert all("/rl/r1/" in id for id in ran)


def test_an_artifact_that_was_removed_is_made_again_alike(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "mini")
    job = project.plan.job("mini/30/shrunk/r0/shrink.sums.score")
    shutil.rmtree(project.artifact(job.artifact))
    assert submit_and_see(project) == {job.id}
    assert project.contents() == finished.contents()
