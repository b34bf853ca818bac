"""The quickstart as `make quickstart` runs it, and GSM8K's rows through the same way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.project import Project

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# A small part of the study: enough for every kind of stage to see real rows.
SMALL_GSM8K = {
    "tokens: 1.2M": "tokens: 120k",
    "{tokens: [400k, 800k], include: [last], snap: nearest}": "{include: [last]}",
    "warmup: 100k, decay: 200k": "warmup: 10k, decay: 20k",
    "rollouts: 10": "rollouts: 2",
    "max_steps: 30": "max_steps: 4",
    "limit: 32": "limit: 4",
}

pytestmark = pytest.mark.ci


def copy_of(example: str, folder: Path) -> Project:
    shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("plan", "store", "report"))
    return Project(folder)


def contrasts(project: Project, a: str, b: str, metric: str) -> dict[int, dict[str, Any]]:
    """Checkpoint -> the contrast a - b there."""
    results = json.loads((project.folder / "report" / "results.json").read_text())
    found = [c for c in results["contrasts"] if (c["a"], c["b"], c["metric"]) == (a, b, metric)]
    return {contrast["at"]: contrast for contrast in found}


def test_rl_gains_once_the_skill_is_there(tmp_path: Path) -> None:
    project = copy_of("quickstart", tmp_path / "quickstart")
    for command in ("compile", "submit", "report"):
        project.ok(command)
    gains = contrasts(project, "rl", "base", "pass@1")
    *early, third, last = sorted(gains)
    assert gains[third]["low"] > 0
    assert gains[last]["low"] > 0
    assert gains[early[0]]["value"] < gains[third]["value"]
    assert all(gain["num_units"] == 96 for gain in gains.values())
    assert "nothing to do" in project.ok("submit")


def test_gsm8k_rows_pass_through_every_stage(tmp_path: Path) -> None:
    project = copy_of("gsm8k", tmp_path / "gsm8k")
    spec = project.folder / "experiment.yaml"
    text = spec.read_text()
    for old, new in SMALL_GSM8K.items():
        assert old in text
        text = text.replace(old, new)
    spec.write_text(text)
    for command in ("compile", "submit", "report"):
        project.ok(command)
    results = project.json("results")
    assert {row["recipe"] for row in results} == {"base", "rl", "sft", "sft-rl", "parallel", "soup"}
    assert all(row["metrics"] for row in results)
