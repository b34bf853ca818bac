"""What a training job reports, as trackers have it afterwards."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exc.compiler.plan import Job
from exc.runtime.attempts import Attempt, new_attempt
from exc.runtime.events import EventWriter
from exc.runtime.tracker_feed import SENT, main, measures
from exc.runtime.trackers import run_id, start, tags_of
from tests.runtime.core.test_submit import run, words
from tests.runtime.core.world import World, make_world, steps_job, wait_until

NAME = "t/600/rl/r0/rl"
SPEED = [0.5, 0.25, 0.125]


def world_with(tmp_path: Path, *trackers: dict[str, Any]) -> World:
    return make_world(tmp_path, steps_job(NAME, [70]), profile={"name": "local", "trackers": list(trackers)})


def attempt_of(world: World, losses: list[float], first: int, word: str = "done") -> Attempt:
    """An attempt that reported losses from some step on, fed to the trackers when it was over."""
    job = world.plan.job(NAME)
    attempt = new_attempt(world.store, job.identity)
    events = EventWriter(attempt.events)
    for step, loss in enumerate(losses, first):
        events.emit("progress", step=step, total=70, loss=loss, tokens=100 * step, resumed=False)
    events.emit(word)
    events.close()
    process = start(world.plan, job, world.store, world.root, attempt)
    assert process is not None
    assert process.wait() == 0, (attempt.path / "trackers.log").read_text()
    return attempt


def log_of(attempt: Attempt) -> str:
    return attempt.log.read_text() if attempt.log.exists() else ""


def sent(world: World) -> dict[str, int]:
    place = world.store.root / "trackers" / "runs" / run_id(world.plan.job(NAME))
    data: dict[str, int] = json.loads((place / SENT).read_text())
    return data


def test_a_run_is_the_same_over_attempts_and_another_for_other_work() -> None:
    job: Job = steps_job(NAME, [70])
    assert run_id(job) == run_id(steps_job(NAME, [20, 70]))  # the same computation
    assert run_id(job) != run_id(replace(job, id="t/600/rl/r1/rl"))
    assert run_id(job) != run_id(replace(job, computation="0" * 64))
    assert tags_of(job) == ("trunk:t", "checkpoint:600", "recipe:rl", "replicate:0")


def test_measures_are_the_numbers_of_an_event() -> None:
    event = {
        "time": 1.0,
        "event": "progress",
        "step": 3,
        "total": 9,
        "loss": 0.5,
        "kl": "nan",
        "resumed": True,
    }
    assert measures({**event, "tokens": 300}) == {"loss": 0.5, "tokens": 300.0}


def test_a_tracker_that_is_not_there_is_said_once_and_the_job_is_done(tmp_path: Path) -> None:
    world = world_with(tmp_path, {"name": "no-such-tracker"})
    code, shown = run(world)
    assert (code, words(world)) == (0, {NAME: "done"}), shown
    (log,) = world.store.root.glob("attempts/*/*/log.txt")
    wait_until(lambda: "tracker no-such-tracker is left out" in log.read_text())
    assert log.read_text().count("left out") == 1


def test_jobs_that_do_not_train_have_no_tracker(tmp_path: Path) -> None:
    world = world_with(tmp_path, {"name": "tensorboard"})
    job = replace(world.plan.job(NAME), kept={})
    attempt = new_attempt(world.store, job.identity)
    assert start(world.plan, job, world.store, world.root, attempt) is None
    plain = replace(world.plan, profile={"name": "local"})
    assert start(plain, world.plan.job(NAME), world.store, world.root, attempt) is None


def test_the_process_ends_when_its_job_was_killed(tmp_path: Path) -> None:
    """Events that have no end, of an owner that has gone."""
    world = world_with(tmp_path, {"name": "tensorboard"})
    job = world.plan.job(NAME)
    attempt = new_attempt(world.store, job.identity)
    EventWriter(attempt.events).emit("progress", step=1, total=70, loss=0.5)
    code = "import json; from exc.runtime.owner import this_process as me; print(json.dumps(me().to_json()))"
    gone = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    setup = {
        "owner": gone,
        "store": str(world.store.root),
        "root": str(world.root),
        "run_id": run_id(job),
        "name": job.id,
        "experiment": "tiny",
        "config": {},
        "tags": [],
        "trackers": [{"name": "tensorboard"}],
    }
    (attempt.path / "trackers.json").write_text(json.dumps(setup))
    assert main([str(attempt.path)]) == 0


def test_tensorboard_has_every_step_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: its tracker is NOT tested")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-not-found,unused-ignore]

    world = world_with(tmp_path, {"name": "tensorboard"})
    assert log_of(attempt_of(world, SPEED, 1, "stopped")) == ""
    assert log_of(attempt_of(world, [0.125, 0.0625], 3)) == ""  # resumed a step back
    folder = world.store.root / "trackers" / "tensorboard" / "tiny" / NAME
    found = EventAccumulator(str(folder)).Reload().Scalars("loss")
    assert [(one.step, one.value) for one in found] == [(1, 0.5), (2, 0.25), (3, 0.125), (4, 0.0625)]
    assert sent(world) == {"tensorboard": 4}
    assert json.loads((folder / "config.json").read_text())["config"]["does"] == "steps"


def test_wandb_writes_one_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: its tracker is NOT tested")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    world = world_with(tmp_path, {"name": "wandb", "project": "mine"})
    assert log_of(attempt_of(world, SPEED, 1, "stopped")) == ""
    assert log_of(attempt_of(world, [0.125, 0.0625], 3)) == ""
    files = list((world.store.root / "trackers" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert {path.stem.removeprefix("run-") for path in files} == {run_id(world.plan.job(NAME))}
    assert sent(world) == {"wandb": 4}


def test_trackio_has_one_run(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed: its tracker is NOT tested")
    world = world_with(tmp_path, {"name": "trackio"})
    assert log_of(attempt_of(world, SPEED, 1, "stopped")) == ""
    assert log_of(attempt_of(world, [0.125, 0.0625], 3)) == ""
    with sqlite3.connect(world.store.root / "trackers" / "trackio" / "tiny.db") as base:
        rows = base.execute("select run_name, step, metrics from metrics order by step").fetchall()
    assert {name for name, _, _ in rows} == {f"{NAME} {run_id(world.plan.job(NAME))[:8]}"}
    assert [(step, json.loads(values)["loss"]) for _, step, values in rows] == [
        (1, 0.5),
        (2, 0.25),
        (3, 0.125),
        (4, 0.0625),
    ]
