"""Reinforcement learning inside pre-training: rounds of both, and a trunk from a trained model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow


def weights(project: Project, job: str) -> bytes:
    folder = project.artifact(project.plan.job(job).artifact)
    return (folder / "model" / "model.safetensors").read_bytes()


def test_interleaved(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile", "interleaved.yaml")
    project.ok("submit")
    assert set(project.states().values()) == {"done"}
    assert {"mixed.rl", "mixed.more"} <= {job.cls for job in project.plan.jobs}
    # Cut into stages that continue everything, pre-training is what it is without the cuts.
    assert weights(project, "stem/20/plain/r0/again") == weights(project, "whole/pretrain/40")
    # Between the same steps of one cosine, reinforcement learning makes the difference.
    assert weights(project, "stem/30/mixed/r0/more-2") != weights(project, "whole/pretrain/40")
    project.ok("report")
    results = json.loads((project.folder / "report" / "results.json").read_text(encoding="utf-8"))
    tokens = {cell["trunk"]: cell["tokens"] for cell in results["cells"] if cell["recipe"] == "base"}
    assert tokens["after"] == 30 * 256 + 10 * 256  # the stem up to its branch, then its own
    # Everything is there: a second submit has nothing to do.
    started = project.started()
    project.ok("submit")
    assert project.started() == started
