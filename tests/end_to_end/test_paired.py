"""Stages with two sides, from a spec to a report and a model with its card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.project import Project

pytestmark = pytest.mark.ci

PARALLEL = "mini/60/parallel[every=1]/r0/avg"


def test_from_a_spec_to_a_report(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile", "paired.yaml")
    project.ok("submit")
    assert set(project.states().values()) == {"done"}
    made = {
        job.id: job.kind for job in project.plan.jobs if job.kind in ("parallel", "combined", "interleave")
    }
    assert made == {
        PARALLEL: "parallel",
        "mini/60/parallel[every=2]/r0/avg": "parallel",
        "mini/60/summed/r0/sum": "combined",
        "mini/60/turns/r0/turn": "interleave",
    }
    # What is done is not done again.
    started = project.started()
    project.ok("submit")
    assert project.started() == started
    project.ok("report")
    results = json.loads((project.folder / "report" / "results.json").read_text(encoding="utf-8"))
    measured = {cell["recipe"] for cell in results["cells"] if cell.get("missing") is None}
    recipes = {"rl", "sft", "parallel[every=1]", "parallel[every=2]", "summed", "turns", "after"}
    assert measured == {"base", *recipes}

    path = project.artifact(project.plan.job(PARALLEL).artifact) / "artifact.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    steps, completions, demonstrations = 4, 2 * 4, 4
    assert record["counts"]["samples"] == steps * (completions + demonstrations)
    assert {"reward", "sft_loss", "sft_grad_norm"} <= record["metrics"].keys()

    project.ok("export", PARALLEL, "-o", "out")
    card = (project.folder / "out" / "README.md").read_text(encoding="utf-8")
    assert "4 steps of each, their models averaged every step with weights 0.5 and 0.5" in card
    assert "4 rollouts of 2 prompts x 4 completions" in card


def test_a_change_of_one_side_is_told_at_its_line(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile", "paired.yaml")
    path = project.folder / "paired.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("learning_rate: 2.0e-3", "learning_rate: 3.0e-3"), encoding="utf-8")
    refused = project.exc("submit")
    assert refused.code == 1
    line = 1 + text[: text.index("learning_rate: 2.0e-3")].count("\n")
    assert f"sft.args.learning_rate 0.002 -> 0.003 (paired.yaml:{line}:" in refused.err
