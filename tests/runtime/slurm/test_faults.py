"""What SLURM, machines and people do to elements that run: on a fake cluster."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from exc.runtime.cancel import Wish, cancel
from tests.runtime.core.world import job
from tests.runtime.slurm.tools import (
    cluster_world,
    go,
    pausing,
    refs,
    run,
    run_until_waiting,
    status,
    words,
)
from tests.slurm.fake import SACCT_OFF, FakeSlurm

pytestmark = pytest.mark.ci


@pytest.mark.parametrize(
    ("happens", "kind", "text"),
    [
        ("node", "node", "the node it ran on failed (SLURM: NODE_FAIL)"),
        ("memory", "out-of-memory", "it used more memory than its `mem` (SLURM: OUT_OF_MEMORY)"),
    ],
)
def test_what_slurm_has_ended_is_told_with_its_reason(
    fake: FakeSlurm, root: Path, happens: str, kind: str, text: str
) -> None:
    world = cluster_world(root, job("a", "wait"), slurm={"requeue": False})
    run(world)
    run_until_waiting(fake, world, "a")
    fake.node_fail("1") if happens == "node" else fake.out_of_memory("1")
    fake.wait()
    said = status(world)
    assert f"failed a ({kind})" in said
    assert f"{text}, SLURM job 1 on n1" in said
    world.go()
    assert "1 job queued by 1 sbatch call" in run(world)[1]
    if happens == "node":
        assert fake.jobs()["2"].exclude == ["n1"]
    go(fake)
    assert words(world) == {"a": "done"}


def test_killed_with_all_that_it_ran_it_is_told(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, pausing())
    run(world)
    run_until_waiting(fake, world, "rl")
    its_own = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if str(fake.folder).encode() in path.read_bytes() and b"SLURM_JOB_ID=1" in path.read_bytes():
                its_own.append(int(path.parent.name))
    for number in (signal.SIGSTOP, signal.SIGKILL):  # or the first to go would be noticed by the others
        for pid in its_own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    fake.wait()
    said = status(world)
    assert "failed rl (killed)" in said
    assert "SLURM job 1 on n1 ended before the job could say why (SLURM: FAILED, exit code " in said
    world.go()
    run(world)
    go(fake)
    assert words(world) == {"rl": "done"}


def test_a_node_that_fails_is_left_by_slurm_itself(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, pausing())
    run(world)
    run_until_waiting(fake, world, "rl")
    fake.node_fail("1")
    fake.wait(lambda jobs: jobs["1"].restarts == 1)
    world.go()
    fake.wait()
    assert words(world) == {"rl": "done"}
    assert fake.jobs()["1"].restarts == 1


def test_after_scancel_by_hand_a_submit_goes_on_from_what_was_saved(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, pausing())
    fake.set(kill_wait=20.0)
    run(world)
    run_until_waiting(fake, world, "rl")
    fake.run("scancel", "1")
    fake.wait()
    assert words(world) == {"rl": "interrupted"}
    world.go()
    run(world)
    go(fake)
    assert words(world) == {"rl": "done"}
    assert (world.store.work_path(world.plan.job("rl").work_key) / "count").read_text() == "70"


def test_without_accounting_and_after_purging_the_markers_decide(fake: FakeSlurm, root: Path) -> None:
    ends = job("ends", cls="x")
    dies = job("dies", "wait", cls="y")
    world = cluster_world(root, ends, dies, slurm={"requeue": False})
    fake.set(accounting=False)
    fake.inject("sacct", SACCT_OFF, times=1000)
    run(world)
    at = refs(world)
    run_until_waiting(fake, world, "dies")
    fake.wait(lambda jobs: not jobs[at["ends"]].live)
    fake.out_of_memory(at["dies"])
    fake.wait()
    fake.forget("1", "2")
    assert words(world) == {"ends": "done", "dies": "failed"}
    assert "is gone, and SLURM does not say any more how it ended" in status(world)
    world.go()
    assert "1 job queued by 1 sbatch call" in run(world)[1]


def test_after_midnight_accounting_is_asked_from_the_day_of_the_submit(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("a", "wait"), slurm={"requeue": False})
    run(world)
    run_until_waiting(fake, world, "a")
    fake.out_of_memory("1")
    fake.wait()
    fake.advance(30 * 3600)
    fake.forget("1")
    assert "failed a (out-of-memory)" in status(world)


def test_a_scheduler_that_does_not_answer_leaves_the_markers(fake: FakeSlurm, root: Path) -> None:
    data = job("data", cls="data")
    world = cluster_world(root, data, job("rl", "wait", [data], cls="rl"), job("late", reads=[data], cls="z"))
    run(world)
    run_until_waiting(fake, world, "rl")
    fake.wait(lambda jobs: not jobs["3"].live)
    status(world)
    fake.set(controller=False)
    assert words(world) == {"data": "done", "rl": "running", "late": "done"}
    said = status(world)
    assert "the scheduler does not answer (" in said
    assert "as of 20" in said
    world.go()


def test_cancelling_takes_out_what_waits_and_stops_what_runs(fake: FakeSlurm, root: Path) -> None:
    data = job("data", "wait", cls="data")
    more = [job(f"b{i}", reads=[data], cls="b") for i in range(3)]
    world = cluster_world(root, data, *more)
    run(world)
    run_until_waiting(fake, world, "data")
    done = cancel(world.plan, world.store, Wish("b1"))
    assert done.taken.refs == (refs(world)["b1"],)
    assert words(world)["b1"] == "cancelled"
    cancel(world.plan, world.store, Wish())
    fake.wait()
    assert set(words(world).values()) == {"cancelled"}
    world.go()
    assert "4 jobs queued by 2 sbatch calls" in run(world)[1]
    go(fake)
    assert set(words(world).values()) == {"done"}


def test_a_request_reaches_an_element_when_the_scheduler_cannot_be_told(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("a"))
    run(world)
    fake.inject("scancel", "scancel: error: Unable to contact slurm controller (connect failure)")
    done = cancel(world.plan, world.store, Wish())
    assert "Unable to contact" in done.taken.problem
    fake.mend()
    go(fake)
    assert words(world) == {"a": "cancelled"}
    assert world.started("a") == 0
