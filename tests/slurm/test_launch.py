"""Class scripts on a real SLURM: two nodes do one job, and its signals reach both."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exc.compiler.plan import Job
from tests.end_to_end.project import Project
from tests.end_to_end.together import by_hand, difference, lead_up, of_kind, saved_steps
from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slurm

PROFILES = """
local: {save_interval: 0s, resources: [{on: {kind: pretrain}, micro_batch_size: 4}]}
cluster:
  backend: slurm
  save_interval: 0s
  slurm: {partition: main}
  env: [XDG_CACHE_HOME]
  resources:
    - {on: {kind: sft}, nodes: 2, mem: 2GB, time: 30m}
one-node:
  backend: slurm
  save_interval: 0s
  slurm: {partition: main}
  env: [XDG_CACHE_HOME]
  resources:
    - {on: {kind: sft}, processes: 2, cpus: 2, mem: 4GB, time: 30m}
"""
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
LONG = 5000  # steps that are not come to the end of
WAIT_S = 600.0  # generous: it only ends what hangs


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study up to its SFT, and SFT, each by one process of this machine."""
    project = Project.new(tmp_path_factory.mktemp("launch") / "alone")
    lead_up(project, PROFILES)
    return project


@pytest.fixture(scope="module")
def expected(alone: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The same study with its SFT done by one process."""
    project = alone.copy(tmp_path_factory.mktemp("launch") / "expected")
    by_hand(project, *of_kind(project, "sft"))
    yield project
    shutil.rmtree(project.folder)


def queue(slurm: Cluster, project: Project, job: Job, *options: str) -> str:
    """Queue one job by hand, as the page about scripts says; gives its number."""
    script = f"jobs/{job.cls}.sh"
    project.env.update({name: text for name, text in slurm.env().items() if name == "SLURM_CONF"})
    done = project.run("sh", "-c", f"cd plan && sbatch --parsable {' '.join(options)} {script} {job.id}")
    assert done.code == 0, done
    return done.out.strip()


def ended(slurm: Cluster, number: str) -> str:
    """Wait for a job, and give the state that it ended in."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        rows = slurm.sacct([number])
        if rows and rows[0][1].split()[0] in ENDED:
            return rows[0][1].split()[0]
        time.sleep(0.5)
    raise AssertionError(f"job {number} did not end")


def output(project: Project) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (project.folder / "plan").glob("*.log"))


@pytest.mark.parametrize("profile", ["cluster", "one-node"])
def test_two_processes_agree_with_one(
    slurm: Cluster, alone: Project, expected: Project, tmp_path: Path, profile: str
) -> None:
    pair = alone.copy(tmp_path / "pair")
    pair.ok("compile", "--profile", profile)
    (job,) = of_kind(pair, "sft")
    number = queue(slurm, pair, job)
    assert ended(slurm, number) == "COMPLETED", output(pair)
    nodes = slurm.sacct([number], "JobID,NNodes,NodeList")[0]
    assert nodes[1] == ("2" if profile == "cluster" else "1")
    assert 0 < difference(expected, pair, job) < 1e-5


@pytest.mark.parametrize("profile", ["cluster", "one-node"])
def test_the_signal_before_the_end_saves_on_both(
    slurm: Cluster, alone: Project, expected: Project, tmp_path: Path, profile: str
) -> None:
    """SIGUSR2 to the batch shell alone, as SLURM sends it before a job's time is over."""
    pair = alone.copy(tmp_path / "pair")
    pair.ok("compile", "--profile", profile)
    (job,) = of_kind(pair, "sft")
    number = queue(slurm, pair, job)
    slurm.until(lambda: len(saved_steps(pair, job)) >= 2, WAIT_S)
    slurm.run("scancel", "--batch", "--signal=USR2", number)
    assert ended(slurm, number) == "FAILED"
    assert slurm.sacct([number], "JobID,ExitCode")[0][1] == "75:0", output(pair)
    assert "it goes on when it is run again" in output(pair)
    assert 2 <= max(saved_steps(pair, job)) < 40
    assert ended(slurm, queue(slurm, pair, job)) == "COMPLETED", output(pair)
    assert 0 < difference(expected, pair, job) < 1e-5


def test_a_node_that_fails_ends_the_other(slurm: Cluster, alone: Project, tmp_path: Path) -> None:
    pair = alone.copy(tmp_path / "pair")
    pair.edit("max_steps: 40", f"max_steps: {LONG}")
    pair.ok("compile", "--profile", "cluster")
    (job,) = of_kind(pair, "sft")
    number = queue(slurm, pair, job, "--no-requeue")
    slurm.until(lambda: len(saved_steps(pair, job)) >= 2, WAIT_S)
    node = slurm.run("squeue", "-h", "-j", number, "-o", "%N").stdout.strip()
    last = slurm.run("scontrol", "show", "hostnames", node).stdout.split()[-1]
    slurm.kill_slurmd(last, steps=True)
    assert ended(slurm, number) in ("FAILED", "NODE_FAIL", "CANCELLED")
    assert max(saved_steps(pair, job)) < LONG
