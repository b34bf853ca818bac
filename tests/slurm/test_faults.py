"""What machines, schedulers and people do to a plan on a real SLURM: it ends complete all the same.

After each, at most one more `exc submit` is needed, nothing has run to its end twice, and `exc status` had
said what was the matter.
"""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.cluster_project import SETTLED_S, ClusterProject

pytestmark = pytest.mark.slurm

NUM_INTERRUPTIONS = 10


@pytest.fixture
def project(slurm: Cluster, tmp_path: Path) -> ClusterProject:
    return ClusterProject.compiled(tmp_path / "faults", slurm)


def submit_again(project: ClusterProject) -> None:
    """One more submit, after which nothing is to be done."""
    project.ok("submit")
    project.settle()
    project.is_complete()


def test_undisturbed_one_submit_is_all(project: ClusterProject) -> None:
    said = project.ok("submit")
    assert "6 jobs queued by" in said
    project.settle()
    project.is_complete()
    assert "nothing to do" in project.ok("submit")


def test_a_failing_branch_stops_only_what_needs_it(project: ClusterProject) -> None:
    project.let_do("one", "echo the reason >&2; exit 3")
    project.ok("submit")
    project.settle()
    states = project.states()
    assert states.pop(project.JOBS["one"]) == "failed"
    assert states.pop(project.JOBS["two"]) == "blocked"
    assert set(states.values()) == {"done"}
    said = project.told("one")
    assert said.startswith("failed tiny/1/chain/r0/one (command)\n  the command exited with 3")
    assert "the reason" in said
    assert "\n  log: store/attempts/" in said
    assert "after mending what it names: exc compile --profile cluster && exc submit" in said
    project.mend("one")
    project.ok("compile", "--profile", "cluster")
    submit_again(project)


def test_killed(project: ClusterProject) -> None:
    project.hold("one")
    project.ok("submit")
    project.until_alone("one")
    project.cluster.kill_job(project.number("one")[0])
    project.settle()
    said = project.told("one")
    assert said.startswith("failed tiny/1/chain/r0/one (killed)\n")
    assert re.search(r"\(SLURM: FAILED(, exit code 0:9)?\)", said)  # accounting may lag behind
    assert said.rstrip().endswith("to try again: exc submit")
    project.free("one")
    submit_again(project)
    assert project.begun("one") == 2


def test_out_of_memory(project: ClusterProject) -> None:
    project.let_do("one", "ulimit -v 200000; python3 -c 'x = bytearray(1 << 30)'")
    project.ok("submit")
    project.settle()
    said = project.told("one")
    assert said.startswith("failed tiny/1/chain/r0/one (out-of-memory)\n")
    assert "MemoryError" in said
    project.mend("one")
    submit_again(project)


def test_the_time_limit_is_over(project: ClusterProject) -> None:
    project.edit("time: 2m", "time: 1m", file="profiles.yaml")
    project.ok("compile", "--profile", "cluster")
    project.hold("one")
    project.ok("submit")
    project.settle()
    said = project.told("one")
    assert said.startswith("failed tiny/1/chain/r0/one (time-out)\n  its time limit of 1m ")
    assert "after raising `time` in the profile" in said
    project.free("one")
    submit_again(project)


def test_cancelled_by_hand(project: ClusterProject) -> None:
    project.hold("one")
    project.ok("submit")
    project.until_alone("one")
    project.cluster.run("scancel", project.number("one")[0])
    project.settle()
    assert "was ended from outside (scancel), not by exc" in project.exc("status").out
    states = project.states()
    assert (states[project.JOBS["one"]], states[project.JOBS["two"]]) == ("interrupted", "waiting")
    project.free("one")
    submit_again(project)


def test_preempted_by_another_partition(project: ClusterProject) -> None:
    project.hold("one")
    project.ok("submit")
    project.until_alone("one")
    urgent = project.cluster.run(
        "sbatch", "--parsable", "-purgent", "-N4", "-n64", "-o/dev/null", "--wrap=sleep 8"
    )
    project.cluster.until(
        lambda: not project.cluster.squeue("-t", "PD", "-j", urgent.stdout.strip()), SETTLED_S
    )
    assert project.states()[project.JOBS["one"]] == "queued"
    assert "(SLURM " in project.exc("status").out
    project.free("one")
    project.settle()
    project.is_complete()
    assert project.begun("one") == 2


def test_a_node_is_lost_with_all_that_it_ran(project: ClusterProject) -> None:
    project.hold("one")
    project.ok("submit")
    project.until_alone("one")
    node = project.number("one")[1]
    project.cluster.kill_slurmd(node, steps=True)
    project.cluster.until(lambda: project.begun("one") == 2, SETTLED_S)
    assert project.number("one")[1] != node
    assert project.states()[project.JOBS["one"]] == "running"
    project.free("one")
    project.settle()
    project.is_complete()


def test_a_node_is_lost_to_sight_and_works_on(project: ClusterProject) -> None:
    project.hold("one")
    project.ok("submit")
    project.until_alone("one")
    node = project.number("one")[1]
    project.cluster.kill_slurmd(node)
    project.cluster.until(lambda: node not in [row[2] for row in _running(project)], SETTLED_S)
    project.free("one")
    project.settle()
    assert project.completed()["one"] == 1
    submit_again(project)


def _running(project: ClusterProject) -> list[list[str]]:
    return project.cluster.squeue("-t", "R,CG", fields="%j|%A|%N")


def test_the_controller_is_killed_and_started_again(project: ClusterProject) -> None:
    project.hold("one")
    project.ok("submit")
    project.until_alone("one")
    time.sleep(6)  # it saves its state every few seconds
    project.cluster.kill_slurmctld()
    said = project.exc("status")
    assert "the scheduler does not answer" in said.out
    assert "running" in said.out
    project.cluster.up()
    assert project.states()[project.JOBS["one"]] == "running"
    project.free("one")
    project.settle()
    project.is_complete()


def test_the_controller_is_killed_before_it_has_saved_what_it_accepted(project: ClusterProject) -> None:
    project.ok("submit")
    project.cluster.kill_slurmctld()
    project.cluster.up()
    project.settle()
    project.exc("status")
    submit_again(project)


def test_submit_while_the_controller_is_away(project: ClusterProject) -> None:
    project.cluster.kill_slurmctld()
    done = project.exc("submit")
    assert done.code == 3, done
    assert "the scheduler does not answer" in done.out
    assert "Traceback" not in done.out + done.err
    project.cluster.up()
    submit_again(project)


def test_accounting_is_away(project: ClusterProject) -> None:
    project.hold("one")
    project.ok("submit")
    project.until_alone("one")
    project.cluster.stop_slurmdbd()
    project.cluster.kill_job(project.number("one")[0])
    project.settle()
    assert project.told("one").startswith("failed tiny/1/chain/r0/one (killed)\n")
    project.free("one")
    submit_again(project)


def test_submit_is_interrupted_again_and_again(project: ClusterProject) -> None:
    chance = random.Random(0)
    for _ in range(NUM_INTERRUPTIONS):
        with project.start("submit") as process:
            time.sleep(chance.uniform(0.2, 4.0))
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
            process.communicate()
    submit_again(project)
    assert {name: project.begun(name) for name in project.JOBS} == dict.fromkeys(project.JOBS, 1)
