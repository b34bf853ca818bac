"""What `exc watch` sees of a store while things go on in it."""

from __future__ import annotations

import json
from pathlib import Path

from exc.runtime.attempts import new_attempt
from exc.runtime.events import EventWriter
from exc.runtime.lease import Lease, acquire
from exc.runtime.requests import ask_to_cancel
from exc.runtime.submitters import Submitting
from exc.runtime.watch import Watch, class_order
from tests.runtime.core.test_submit import run
from tests.runtime.core.world import World, job, make_world, steps_job


def world_of(tmp_path: Path) -> World:
    data = job("data", cls="rows")
    rl = job("rl", reads=[data], cls="rl")
    return make_world(
        tmp_path,
        data,
        rl,
        job("rl.score", reads=[rl], cls="score"),
        job("bad", "fail", reads=[data], cls="rl"),
    )


def test_before_and_after_a_run(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    watch = Watch(world.plan, world.store)
    before = watch.look()
    assert before.at_rest
    assert not before.all_done
    assert before.counts["waiting"] == 4
    assert {row.name: row.waits_for for row in before.classes} == {
        "rows": (),
        "rl": ("rows",),
        "score": ("rl",),
    }
    run(world)
    after = watch.look()
    assert (after.counts["done"], after.counts["failed"]) == (3, 1)
    assert [(row.job, row.kind) for row in after.failed] == [("bad", "data")]
    assert "row 17 has no column" in after.failed[0].message
    assert {row.name: row.mean_s is not None for row in after.classes} == dict.fromkeys(
        ("rows", "rl", "score"), True
    )
    assert (after.exit_code, after.left_s) == (1, None)


def test_a_running_job_with_its_losses(tmp_path: Path) -> None:
    world = make_world(tmp_path, steps_job("rl", [70]), job("score"))
    job_ = world.plan.job("rl")
    lease = acquire(world.store.work_path(job_.work_key), "rl")
    assert isinstance(lease, Lease)
    attempt = new_attempt(world.store, job_.identity)
    attempt.begin("rl")
    watch = Watch(world.plan, world.store)
    (row,) = watch.look().running
    assert (row.job, row.values, row.left_s) == ("rl", (), None)  # no events file yet
    events = EventWriter(attempt.events)
    for step in (1, 2):
        events.emit("progress", step=step, total=4, loss=1 / step, tokens_per_second=10.0)
    with attempt.events.open("a") as file:
        file.write('{"event": "progress", "step": 3, "lo')  # half a line
    with Submitting(world.store, "tiny", cpus=3, gpus=0):
        frame = watch.look()
    (row,) = frame.running
    assert (row.measure, row.values, row.progress["step"]) == ("loss", (1.0, 0.5), 2)
    assert (frame.cpus, frame.gpus) == ((1, 3), (0, 0))
    assert frame.left_s is None  # a job waits that is like none seen
    with attempt.events.open("a") as file:
        file.write('ss": 0.25}\n{"event": "progress", "step": 4, "reward": 0.5}\n')
    (row,) = watch.look().running
    assert (row.measure, row.values) == ("reward", (0.5,))  # a reward says more than a loss
    attempt.events.unlink()
    assert [one.job for one in watch.look().running] == ["rl"]
    lease.release()
    assert watch.look().running == ()


def test_a_resumed_job_is_timed_by_the_steps_that_it_took(tmp_path: Path) -> None:
    world = make_world(tmp_path, steps_job("rl", [70]))
    job_ = world.plan.job("rl")
    lease = acquire(world.store.work_path(job_.work_key), "rl")
    assert isinstance(lease, Lease)
    attempt = new_attempt(world.store, job_.identity)
    attempt.begin("rl")
    lines = [
        {"time": 1000.0, "event": "progress", "step": 50, "total": 70, "resumed": True},
        {"time": 1010.0, "event": "progress", "step": 60, "total": 70, "loss": 1.0},
    ]
    attempt.events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Submitting(world.store, "tiny", cpus=1, gpus=0):
        frame = Watch(world.plan, world.store).look()
    assert frame.running[0].left_s == 10.0
    assert frame.left_s == 10.0
    lease.release()


def test_cancelled_jobs_and_what_is_seen_of_them(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    ask_to_cancel(world.store, "rl", [world.plan.job("rl")])
    frame = Watch(world.plan, world.store).look()
    assert (frame.counts["cancelled"], frame.counts["blocked"], frame.counts["waiting"]) == (1, 1, 2)


def test_a_frame_as_json(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    run(world)
    data = json.loads(json.dumps(Watch(world.plan, world.store).look().to_json()))
    assert [row["class"] for row in data["classes"]] == ["rows", "rl", "score"]
    assert data["counts"]["done"] == 3
    assert data["failed"][0]["id"] == "bad"


def test_classes_come_after_what_they_read(tmp_path: Path) -> None:
    first = job("p/1", cls="pretrain")
    rl = job("rl/1", reads=[first], cls="rl")
    again = job("p/2", reads=[rl], cls="pretrain")  # a chain: the two classes read each other
    world = make_world(tmp_path, first, rl, again)
    assert sorted(class_order(world.plan)) == ["pretrain", "rl"]
    plain = make_world(tmp_path / "plain", first, job("x", reads=[first], cls="a"), job("y", cls="b"))
    assert class_order(plain.plan) == ["pretrain", "b", "a"]
