"""One spec on this machine and on a real SLURM, queued from a shell that is closed: the same results."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.project import Project
from tests.slurm.cluster import Cluster
from tests.slurm.same_results import compare

pytestmark = pytest.mark.slurm

PROFILES = """
local:
  slots: 2
  resources:
    - {on: {kind: grpo}, micro_batch_size: 2}
    - {on: {kind: pretrain}, micro_batch_size: 4}
cluster:
  backend: slurm
  slurm: {partition: main}
  resources:
    - {mem: 1GB, time: 30m}
    - {on: {kind: grpo}, mem: 1GB, time: 30m, micro_batch_size: 2}
    - {on: {kind: pretrain}, mem: 1GB, time: 30m, micro_batch_size: 4}
    - {on: {kind: score}, mem: 1GB, time: 30m, pack: 2}
"""
WAIT_S = 600.0  # generous: it only ends what hangs


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The mini spec with a checkpoint and a chain less."""
    project = Project.new(tmp_path / "local")
    project.edit("checkpoints: [30, 60]", "checkpoints: [60]")
    project.edit("  sft-rl:\n    - rl: {from: sft, grpo: {like: rl.rl}}\n", "")
    project.edit("    - {a: sft-rl, b: sft}\n", "")
    project.edit("          keep: [3]\n", "")
    (project.folder / "profiles.yaml").write_text(PROFILES, encoding="utf-8")
    return project


def test_a_cluster_gives_what_this_machine_gives(slurm: Cluster, project: Project, tmp_path: Path) -> None:
    remote = project.copy(tmp_path / "remote")
    remote.ok("compile", "--profile", "cluster")
    command = f"{sys.executable} -m exc submit >submit.log 2>&1"
    shell = subprocess.Popen(
        ["bash", "-c", command], cwd=remote.folder, env=remote.environment, start_new_session=True
    )
    assert shell.wait() == 0, (remote.folder / "submit.log").read_text(encoding="utf-8")
    assert not [process for process in psutil.pids() if _session(process) == shell.pid]
    project.ok("compile", "--profile", "local")
    project.ok("submit")
    slurm.until(lambda: "queued" not in remote.states().values() and not slurm.squeue(), WAIT_S)
    assert Counter(remote.states().values()) == {"done": len(remote.plan.jobs)}
    compared = compare(project, remote)
    assert not compared.differ, compared.text()
    assert compared.metrics > compared.cells > 5
    for one in (project, remote):
        one.ok("report")
        assert (one.folder / "report" / "index.html").exists()


def _session(process: int) -> int:
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return 0
