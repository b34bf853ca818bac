"""Jobs that are stopped from outside, and not started again before the next submit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from exc.compiler.plan import Job
from exc.runtime import lease as lease_module
from exc.runtime.cancel import Cancelled, Wish, cancel
from exc.runtime.lease import Lease, acquire, ask_to_stop, holder
from exc.runtime.state import job_states
from tests.runtime.core.test_submit import run, words
from tests.runtime.core.world import World, job, make_world, steps_job, wait_until

RL, SFT = "t/30/rl/r0/rl", "t/30/sft/r0/sft"


def ask(world: World, job_id: str = "") -> Cancelled:
    return cancel(world.plan, world.store, Wish(job_id))


def test_a_running_job_saves_and_is_not_started_again_by_its_submitter(tmp_path: Path) -> None:
    steps = steps_job("rl", [70], pause=30)
    world = make_world(tmp_path, steps, job("rl.score", reads=[steps]), job("other", "wait"))
    with world.submit() as process:
        world.wait_for_start("rl")
        done = ask(world, "rl")
        assert list(done.stopping) == ["rl"]
        assert done.blocked == ["rl.score"]
        wait_until(lambda: words(world)["rl"] == "cancelled")
        world.go()
        shown, _ = process.communicate()
    assert process.returncode == 130, shown
    assert words(world) == {"rl": "cancelled", "rl.score": "blocked", "other": "done"}
    assert job_states(world.plan, world.store)["rl.score"].blocked_by == "rl"
    assert world.started("rl") == 1
    assert (world.store.work_path(steps.work_key) / "count").read_text() == "30"
    assert "cancelled rl, which keeps what it saved" in shown
    code, again = run(world)
    assert code == 0, again
    assert "1 job had been cancelled, and will run again" in again
    assert set(words(world).values()) == {"done"}


def test_all_ends_the_submitter(tmp_path: Path) -> None:
    wait = job("data", "wait")
    world = make_world(tmp_path, wait, job("a", reads=[wait]), job("b", "wait"), job("c", "wait"))
    with world.submit() as process:
        world.wait_for_start("data")
        done = ask(world)
        shown, _ = process.communicate()
    assert process.returncode == 130, shown
    assert {*done.stopping, *done.unstarted} == {"data", "a", "b", "c"}
    assert set(words(world).values()) == {"cancelled"}
    assert "4 cancelled, or waiting for what was" in shown


def test_a_waiting_job_is_never_started(tmp_path: Path) -> None:
    wait = job("data", "wait")
    world = make_world(tmp_path, wait, job("a", reads=[wait]), job("b", reads=[wait]))
    with world.submit() as process:
        world.wait_for_start("data")
        assert ask(world, "a").unstarted == ["a"]
        world.go()
        process.communicate()
    assert words(world) == {"data": "done", "a": "cancelled", "b": "done"}
    assert world.started("a") == 0


def test_a_job_run_by_hand_stops_as_well(tmp_path: Path) -> None:
    world = make_world(tmp_path, steps_job("rl", [70], pause=30))
    with world.start("rl") as process:
        world.wait_for_start("rl")
        ask(world, "rl")
        shown, _ = process.communicate()
    assert process.returncode == 75, shown
    assert "stopped after" in shown


def test_what_is_done_or_cancelled_cannot_be_cancelled(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("a"), job("b", "fail"))
    run(world)
    assert not ask(world, "a").anything
    assert ask(world, "b").failed == ["b"]
    assert words(world) == {"a": "done", "b": "failed"}  # what went wrong is not hidden


def test_jobs_of_a_recipe_that_others_need_go_on(tmp_path: Path) -> None:
    base = job("t/pretrain/30")
    rl, sft = job(RL, reads=[base]), job(SFT, reads=[base])
    score = job(f"{RL}.score", reads=[rl])
    soup = job("t/30/soup/r0/soup", reads=[rl, sft])
    world = make_world(tmp_path, base, rl, sft, score, soup)
    done = cancel(world.plan, world.store, Wish(recipe="rl"))
    assert done.unstarted == [f"{RL}.score"]
    assert done.spared == {RL: "t/30/soup/r0/soup"}
    assert words(world)[RL] == "waiting"
    assert cancel(world.plan, world.store, Wish(recipe="soup")).unstarted == ["t/30/soup/r0/soup"]
    assert cancel(world.plan, world.store, Wish(recipe="rl")).unstarted == [RL]  # nobody needs it now


def test_only_the_process_that_holds_the_lease_is_signalled(tmp_path: Path) -> None:
    """A lease whose holder has gone, with a number that another process has by now."""
    world = make_world(tmp_path, job("rl"))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        held = acquire(world.store.work_path(world.plan.job("rl").work_key), "rl")
        assert isinstance(held, Lease)
        path = world.store.work_path(world.plan.job("rl").work_key) / lease_module.FOLDER / "1.json"
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "pid": bystander.pid, "started": 1}))
        assert ask(world, "rl").stopping == {}
        assert bystander.poll() is None
        bystander.communicate(b"\n")
        held.release()


def test_a_job_on_another_machine_is_asked_through_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_S", 0.01)
    world = make_world(tmp_path, job("rl"))
    work = world.store.work_path(world.plan.job("rl").work_key)
    held = acquire(work, "rl")
    assert isinstance(held, Lease)
    assert not held.must_stop()
    path = work / lease_module.FOLDER / "1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "far", "boot": "another"}))
    done = ask(world, "rl")
    assert [one.owner.host for one in done.stopping.values() if one.owner] == ["far"]
    wait_until(held.must_stop)
    assert not held.lost
    held.release()


def test_a_wish_is_for_one_holder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_S", 0.01)
    first = acquire(tmp_path, "rl")
    held = holder(tmp_path)
    assert isinstance(first, Lease)
    assert held is not None
    ask_to_stop(tmp_path, held)
    wait_until(first.must_stop)
    first.release()
    second = acquire(tmp_path, "rl")
    assert isinstance(second, Lease)
    assert sorted(path.name for path in (tmp_path / lease_module.FOLDER).iterdir()) == ["2.json"]
    assert not second.must_stop()
    second.release()


def test_a_job_that_two_plans_share_is_cancelled_for_both(tmp_path: Path) -> None:
    shared: Job = job("data", "wait")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = make_world(tmp_path / "one", shared)
    two = make_world(tmp_path / "two", replace(shared, id="the-same"))
    with one.submit() as process:
        one.wait_for_start("data")
        assert list(cancel(two.plan, one.store, Wish()).stopping) == ["the-same"]
        process.communicate()
    assert process.returncode == 130
    assert words(one) == {"data": "cancelled"}
