"""What `exc submit` queues, and what a second one does. Nothing starts here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exc.runtime.logs import NoLog, find_log
from exc.runtime.status import status_json
from exc.runtime.watch import Watch
from exc.runtime.watch_view import frame_lines
from tests.runtime.core.world import job
from tests.runtime.slurm.tools import (
    again,
    branches,
    cluster_world,
    number_of,
    refs,
    run,
    status,
    words,
)
from tests.slurm.fake import FakeSlurm


def needs(fake: FakeSlurm, ref: str) -> list[str]:
    return sorted(fake.jobs()[ref].needs)


def test_a_plan_is_queued_with_its_dependencies_in_one_call_a_class(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(3))
    code, said = run(world)
    assert code == 0, said
    assert "tiny: 11 jobs queued by 5 sbatch calls: 1, 2, " in said
    assert number_of(fake, "sbatch") == 5
    assert set(words(world).values()) == {"queued"}
    at = refs(world)
    assert needs(fake, at["b1/rl"]) == [f"afterok:{at['data']}"]
    assert needs(fake, at["b1/rl.sample"]) == ["aftercorr:2_*", "afterok:1"]
    assert needs(fake, at["b1/rl.score"]) == ["aftercorr:3_*"]
    assert needs(fake, at["select"]) == ["afterok:4_*"]
    assert not any(one.held for one in fake.jobs().values())  # released at the end
    assert all(one.kill_invalid and one.requeue for one in fake.jobs().values())


def test_what_waits_for_nothing_is_held_until_all_is_queued(fake: FakeSlurm, root: Path) -> None:
    run(cluster_world(root, *branches(2)))
    commands = [call.command for call in fake.calls()]
    held = [call for call in fake.calls("sbatch") if "--hold" in Path(call.argv[-1]).read_text()]
    assert len(held) == 1
    assert commands.index("scontrol", commands.index("sbatch")) > max(
        place for place, name in enumerate(commands) if name == "sbatch"
    )


def test_a_second_submit_queues_nothing_twice(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(3))
    run(world)
    code, said = run(world)
    assert code == 0
    assert "tiny: 11 jobs queued already, 0 queued now" in said
    assert number_of(fake, "sbatch") == 5


@pytest.mark.slow
def test_few_commands_are_run_whatever_the_number_of_jobs(fake: FakeSlurm, root: Path) -> None:
    data = job("data", cls="data")
    world = cluster_world(root, data, *(job(f"j{i}", reads=[data], cls="leaf") for i in range(300)))
    run(world)
    assert [call.command for call in fake.calls()] == ["scontrol", "sbatch", "sbatch", "scontrol"]
    status(world)
    assert number_of(fake, "squeue") == 1
    assert number_of(fake, "sacct") == 0


def test_small_jobs_share_an_allocation_and_what_reads_them_waits_however_it_ends(
    fake: FakeSlurm, root: Path
) -> None:
    small = [replace(job(f"s{i}", cls="s"), resources={"cpus": 2, "pack": 3}) for i in range(6)]
    world = cluster_world(root, *small, job("end", reads=small, cls="end"))
    run(world)
    assert [fake.jobs()[ref].cpus for ref in ("1_0", "1_1")] == [6, 6]
    assert needs(fake, "2") == ["afterany:1_*"]


def test_long_arrays_are_cut(fake: FakeSlurm, root: Path) -> None:
    fake.set(max_array_size=10)
    world = cluster_world(root, *(job(f"j{i}") for i in range(25)))
    assert "25 jobs queued by 3 sbatch calls" in run(world)[1]


def test_a_plan_that_has_changed_takes_out_what_it_does_not_need(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("old", cls="x"), job("both", cls="y"))
    run(world)
    world = again(world, job("both", cls="y"), job("new", cls="x"))
    said = run(world)[1]
    assert "1 job queued already, 1 queued now" in said
    assert "1 element taken out of the queue" in said
    assert [one.state for one in fake.jobs().values()] == ["CANCELLED", "PENDING", "PENDING"]


def test_dependents_of_what_failed_are_queued_anew_behind_it(fake: FakeSlurm, root: Path) -> None:
    """Also where SLURM leaves them: one that will never run, and one behind it that does not know."""
    chain = [job("a", cls="a")]
    for name in "bc":
        chain.append(job(name, cls=name, reads=[chain[-1]]))
    world = cluster_world(root, *chain)
    run(world)
    fake.set_job("1", state="FAILED")
    fake.set_job("2", reason="DependencyNeverSatisfied")
    code, said = run(world)
    assert code == 0, said
    assert "2 elements taken out of the queue" in said
    assert {name: one.state for name, one in fake.jobs().items() if one.live} == dict.fromkeys(
        "456", "PENDING"
    )
    assert needs(fake, "6") == ["afterok:5"]


def test_a_purged_id_is_never_waited_for(fake: FakeSlurm, root: Path) -> None:
    """SLURM takes an id that it has forgotten for one that ended well."""
    chain = [job("a", cls="a")]
    chain.append(job("b", cls="b", reads=[chain[0]]))
    world = cluster_world(root, *chain)
    run(world)
    fake.set_job("1", state="FAILED")
    fake.set_job("2", state="CANCELLED")
    fake.forget("1", "2")
    run(world)
    assert needs(fake, "4") == ["afterok:3"]


def test_held_by_its_user_it_stays_held(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("a"))
    run(world)
    fake.run("scontrol", "hold", "1")
    run(world)
    assert fake.jobs()["1"].held
    assert "held by its user (scontrol hold)" in status(world)


def test_what_cannot_be_fetched_is_not_queued_nor_what_reads_it(fake: FakeSlurm, root: Path) -> None:
    """Nodes do not see the network: it is fetched here, first."""
    fetch = replace(job("model", cls="fetch"), kind="fetch")
    world = cluster_world(root, fetch, job("rl", reads=[fetch], cls="rl"), job("other", cls="x"))
    code, said = run(world)
    assert code == 1
    assert "failed model" in said
    assert "1 job queued by 1 sbatch call" in said
    assert "2 jobs not queued: what they read was not fetched" in said
    assert words(world) == {"model": "failed", "rl": "blocked", "other": "queued"}
    assert [one.name.split(".")[1] for one in fake.jobs().values()] == ["x"]


@pytest.mark.usefixtures("fake")
def test_who_watches_sees_the_queue_and_goes_on_watching(root: Path) -> None:
    world = cluster_world(root, job("a"))
    before = Watch(world.plan, world.store).look()
    assert (before.at_rest, before.exit_code) == (True, 1)
    run(world)
    frame = Watch(world.plan, world.store).look()
    assert frame.counts["queued"] == 1
    assert (frame.at_rest, frame.exit_code) == (False, 0)
    shown = "\n".join(line.plain for line in frame_lines(frame, world.plan_folder, 100))
    assert "1 queued" in shown
    assert "in SLURM's queue" in shown


def test_who_looks_on_all_the_time_asks_the_scheduler_seldom(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("a"))
    run(world)
    watch = Watch(world.plan, world.store)
    for _ in range(5):
        watch.look()
    assert number_of(fake, "squeue") == 1


@pytest.mark.usefixtures("fake")
def test_a_job_that_has_no_log_yet_is_said_to_be_queued(root: Path) -> None:
    world = cluster_world(root, job("a"))
    run(world)
    with pytest.raises(NoLog, match="a has not been started: it is queued as SLURM job 1, "):
        find_log(world.plan, world.store, world.plan.jobs[0])


@pytest.mark.usefixtures("fake")
def test_states_for_programs_name_the_slurm_job(root: Path) -> None:
    world = cluster_world(root, job("a"))
    run(world)
    data = status_json(world.plan, world.store)
    assert data["jobs"][0]["slurm"]["job"] == "1"
    assert data["queue"]["problem"] is None
