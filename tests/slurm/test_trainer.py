"""A trainer on a real SLURM that has to make room: it saves, is queued again, and ends the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.project import Project
from tests.end_to_end.together import by_hand, of_kind, saved_steps, weights
from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slurm

STEPS = 600
PROFILES = """
local: {save_interval: 1s, resources: [{on: {kind: pretrain}, micro_batch_size: 4}]}
cluster:
  backend: slurm
  save_interval: 1s
  slurm: {grace: 20s}
  resources:
    - {mem: 2GB, time: 30m}
    - {on: {kind: pretrain}, mem: 2GB, time: 30m, micro_batch_size: 4}
"""
WAIT_S = 300.0  # generous: it only ends what hangs


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.new(tmp_path / "mini")
    project.edit("checkpoints: [30, 60]", f"checkpoints: [{STEPS}]")
    project.edit("tokens: 15360 ", f"tokens: {STEPS * 256} ")
    (project.folder / "profiles.yaml").write_text(PROFILES, encoding="utf-8")
    # Only the trunk: what is measured and branched is not needed here.
    text = (project.folder / "experiment.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("recipes:\n")
    evaluation = rest[rest.index("  prose: {bits_per_byte") : rest.index("report:\n")]
    spec = f"{head}evaluations:\n{evaluation}"
    (project.folder / "experiment.yaml").write_text(spec, encoding="utf-8")
    return project


def test_preempted_it_goes_on_where_it_was(slurm: Cluster, project: Project, tmp_path: Path) -> None:
    alone = project.copy(tmp_path / "alone")
    alone.ok("compile")
    for job in of_kind(alone, "tokenizer", "tokens", "pretrain"):
        by_hand(alone, job)
    project.ok("compile", "--profile", "cluster")
    (training,) = of_kind(project, "pretrain")
    project.ok("submit")
    slurm.until(lambda: saved_steps(project, training), WAIT_S)
    urgent = slurm.run("sbatch", "--parsable", "-purgent", "-N4", "-n64", "-o/dev/null", "--wrap=sleep 3")
    slurm.until(lambda: not slurm.squeue("-t", "PD", "-j", urgent.stdout.strip()), WAIT_S)
    assert project.states()[training.id] == "queued"
    slurm.until(lambda: not slurm.squeue(), WAIT_S)
    assert set(project.states().values()) == {"done"}
    assert project.started()[training.id] == 2
    resumed = [event["step"] for event in project.events("progress") if event.get("resumed")]
    assert len(resumed) == 1
    assert 0 < resumed[0] < STEPS
    expected, found = weights(alone, training), weights(project, training)
    assert all(bool((expected[name] == found[name]).all()) for name in expected)
