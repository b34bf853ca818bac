"""Elements as they run: on a fake cluster, whose jobs are processes of this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from exc.runtime.attempts import last_attempt
from exc.runtime.cancel import Wish, cancel
from tests.runtime.core.world import job
from tests.runtime.slurm.tools import (
    branches,
    cluster_world,
    count,
    go,
    ledger,
    number_of,
    pausing,
    refs,
    run,
    run_until_waiting,
    status,
    words,
)
from tests.slurm.fake import LIMIT, FakeSlurm

pytestmark = pytest.mark.ci


def test_a_plan_runs_to_its_end(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(2))
    run(world)
    go(fake)
    assert set(words(world).values()) == {"done"}
    assert ledger(world).open_records() == []  # whoever looked has closed them
    assert [world.started(one.id) for one in world.plan.jobs] == [1] * 8
    assert "nothing to do, all 8 jobs done" in run(world)[1]


def test_a_failed_branch_stops_only_what_needs_it(fake: FakeSlurm, root: Path) -> None:
    good, bad = job("good", cls="rl"), job("bad", "fail", cls="rl")
    samples = [job(f"{one.id}.sample", reads=[one], cls="sample") for one in (good, bad)]
    world = cluster_world(root, good, bad, *samples)
    run(world)
    go(fake)
    assert words(world) == {"good": "done", "bad": "failed", "good.sample": "done", "bad.sample": "blocked"}
    said = status(world)
    assert "failed bad (data)" in said
    assert "gsm8k.jsonl row 17 has no column `question`" in said
    assert number_of(fake, "sacct") <= 1  # of the one that never started: by whose hand it was taken out


def test_each_job_of_a_pack_fails_for_itself(fake: FakeSlurm, root: Path) -> None:
    pack = {"cpus": 1, "pack": 3}
    small = [
        replace(job(f"s{i}", "fail" if i == 1 else "write", cls="small"), resources=pack) for i in range(3)
    ]
    scores = [replace(job(f"t{i}", reads=[one], cls="score"), resources=pack) for i, one in enumerate(small)]
    world = cluster_world(root, *small, *scores)
    run(world)
    go(fake)
    found = words(world)
    assert [found[f"s{i}"] for i in range(3)] == ["done", "failed", "done"]
    assert [found[f"t{i}"] for i in range(3)] == ["done", "blocked", "done"]


def test_a_job_that_is_preempted_saves_and_goes_on(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, pausing(time_s=7200))
    fake.set(kill_wait=20.0)
    run(world)
    run_until_waiting(fake, world, "rl")
    assert words(world) == {"rl": "running"}
    fake.preempt("1")
    fake.wait(lambda jobs: jobs["1"].restarts == 1)
    world.go()
    fake.wait()
    assert words(world) == {"rl": "done"}
    assert world.started("rl") == 2
    assert number_of(fake, "sbatch") == 1


def test_a_job_whose_time_is_over_goes_on_while_it_comes_further(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, pausing(time_s=60), slurm={"grace": 24})
    fake.set(scale=4.0)
    run(world)
    run_until_waiting(fake, world, "rl")
    fake.wait(lambda jobs: jobs["1"].restarts == 1)
    assert words(world)["rl"] in ("queued", "running")
    world.go()
    fake.wait()
    assert words(world) == {"rl": "done"}


def test_a_job_that_comes_no_further_in_its_time_has_failed(fake: FakeSlurm, root: Path) -> None:
    waits = replace(job("a", "wait"), resources={"cpus": 1, "time": 60})
    world = cluster_world(root, waits, slurm={"grace": 24})
    fake.set(scale=6.0)
    run(world)
    go(fake)
    assert fake.jobs()["1"].restarts == 0
    assert words(world) == {"a": "failed"}
    said = status(world)
    assert "failed a (time-out)" in said
    assert "its time limit of 1m (`time` in the profile) was over before it had saved anything new" in said


def test_an_element_of_a_plan_that_has_changed_does_not_run(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("a"))
    run(world)
    plan_file = world.plan_folder / "plan.json"
    data = json.loads(plan_file.read_text())
    data["jobs"][0]["identity"] = "0" * 64
    plan_file.write_text(json.dumps(data))
    go(fake)
    assert fake.jobs()["1"].state == "FAILED"
    assert count(world, "done") == 0
    (said,) = (path.read_text() for path in ledger(world).root.glob("runs/*/1_0_log.out"))
    assert "a is not in the plan any more as it was queued" in said


def test_a_controller_goes_on_with_the_next_window(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(2), slurm={"max_jobs": 3, "controller": True})
    code, said = run(world)
    assert code == 0, said
    go(fake)
    assert set(words(world).values()) == {"done"}
    names = [one.name for one in fake.jobs().values() if ".controller." in one.name]
    assert len(names) >= 3
    assert len(set(names)) == 1


def test_a_controller_tries_again_what_may_pass_and_no_more(fake: FakeSlurm, root: Path) -> None:
    bad = job("bad", "fail", cls="x")
    lost = job("lost", "wait", cls="y")
    world = cluster_world(root, bad, lost, slurm={"controller": True, "requeue": False})
    run(world)
    run_until_waiting(fake, world, "lost")
    world.go()
    fake.node_fail(refs(world)["lost"])
    fake.wait()
    assert words(world) == {"bad": "failed", "lost": "done"}
    assert world.started("bad") == 1


def test_what_somebody_took_out_of_the_queue_stays_out_until_a_person_submits(
    fake: FakeSlurm, root: Path
) -> None:
    jobs = [job(f"a{number}", cls="x") for number in range(3)]
    after = job("after", reads=[jobs[1]], cls="z")
    world = cluster_world(root, *jobs, job("alone", cls="y"), after, slurm={"controller": True})
    run(world)
    at = refs(world)
    fake.run("scancel", at["a1"])
    fake.run("scancel", at["alone"])
    go(fake)
    assert words(world) == {
        "a0": "done", "a1": "interrupted", "a2": "done", "alone": "interrupted", "after": "waiting"
    }  # fmt: skip
    assert sum(".controller." in one.name for one in fake.jobs().values()) == 1
    last = last_attempt(world.store, world.plan.job("a1").identity)
    assert last is not None
    assert last.read()["note"] == f"SLURM job {at['a1']} was ended from outside (scancel), not by exc"
    run(world)
    go(fake)
    assert set(words(world).values()) == {"done"}


def test_what_exc_takes_out_of_the_queue_is_not_said_to_be_taken_out_by_hand(
    fake: FakeSlurm, root: Path
) -> None:
    world = cluster_world(root, job("a", cls="x"), job("b", cls="y"))
    run(world)
    cancel(world.plan, world.store, Wish(job="a"))
    assert words(world) == {"a": "cancelled", "b": "queued"}
    run(world)
    assert last_attempt(world.store, world.plan.job("a").identity) is None
    go(fake)
    assert set(words(world).values()) == {"done"}


def test_a_limit_of_slurm_leaves_room_for_the_controller(fake: FakeSlurm, root: Path) -> None:
    """It is one more job, and the one that is needed most where not all could be queued."""
    fake.set(max_submit=4)
    world = cluster_world(root, *branches(3), slurm={"controller": True})
    code, said = run(world)
    assert code == 0, said
    assert "3 jobs queued by" in said
    assert "jobs not queued yet: SLURM takes no more now" in said
    assert [".controller." in one.name for one in fake.jobs().values() if one.live].count(True) == 1
    go(fake)
    assert set(words(world).values()) == {"done"}
    assert all(world.started(job.id) == 1 for job in world.plan.jobs)


def test_where_there_is_no_room_for_a_controller_it_is_told(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("a"), slurm={"controller": True})
    fake.inject("sbatch", LIMIT, at=2, times=10)
    code, said = run(world)
    assert code == 3
    assert "1 job queued by 1 sbatch call" in said
    assert "error: SLURM takes no more now, and no controller: " in said
    assert "Traceback" not in said
