"""What a run does itself about jobs that fail of what may be gone by now, or that take too long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exc.compiler.plan import Job
from exc.runtime.attempts import last_attempt
from exc.runtime.backends import limits
from exc.runtime.policies import POLICIES
from exc.spec.profiles import Retries
from tests.runtime.core.test_submit import run, words
from tests.runtime.core.world import World, job, make_world, steps_job


def attempts(world: World, name: str) -> int:
    return len(list(world.store.attempts_path(world.plan.job(name).identity).iterdir()))


def limited(one: Job, seconds: float, **config: object) -> Job:
    return replace(one, resources={"cpus": 1, "time": seconds}, config={**one.config, **config})


def test_a_job_that_was_killed_is_tried_again(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("rl", "die"))
    code, shown = run(world)
    assert code == 0, shown
    assert "killed rl, which is tried again in 1.0 s: killed by signal 9 (SIGKILL)" in shown
    assert attempts(world, "rl") == 2


def test_a_job_that_is_always_killed_fails_in_the_end(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("rl", "dies"), job("sft"))
    code, shown = run(world)
    assert code == 1
    assert "which is tried again in 2.0 s" in shown
    assert "failed rl (killed)\n  killed by signal 9 (SIGKILL), which exc did not send; where memory" in shown
    assert "to try again: exc submit" in shown
    assert attempts(world, "rl") == 3
    assert words(world) == {"rl": "failed", "sft": "done"}


def test_what_would_fail_the_same_way_is_tried_again_only_if_the_profile_says_so(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    once = make_world(tmp_path / "once", job("rl", "memory"))
    assert run(once)[0] == 1
    assert attempts(once, "rl") == 1
    profile = {"name": "local", "retries": {"out-of-memory": 1}}
    (tmp_path / "twice").mkdir()
    twice = make_world(tmp_path / "twice", job("rl", "memory"), profile=profile)
    code, shown = run(twice)
    assert code == 1
    assert "failed rl (out-of-memory)\n  memory ran out" in shown
    assert attempts(twice, "rl") == 2


def test_a_job_over_its_time_goes_on_as_long_as_it_comes_further(tmp_path: Path) -> None:
    steps = limited(steps_job("rl", [6]), 1.0, pace_s=0.4)
    world = make_world(tmp_path, steps)
    code, shown = run(world)
    assert code == 0, shown
    assert "time-out rl, which goes on now: its time limit of 1s (`time` in the profile) was over" in shown
    assert 2 <= attempts(world, "rl") <= 6


def test_a_job_over_its_time_that_saves_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world = make_world(tmp_path, limited(job("rl", "wait"), 1.0), job("rl.score"))
    code, shown = run(world)
    assert code == 1
    said = "failed rl (time-out)\n  its time limit of 1s (`time` in the profile) was over before it was done"
    assert said in shown
    assert "after raising `time` in the profile: exc compile && exc submit" in shown
    attempt = last_attempt(world.store, world.plan.job("rl").identity)
    assert attempt is not None
    failure = attempt.failure()
    assert failure is not None
    assert failure.kind == "time-out"


def test_a_job_that_does_not_listen_is_killed_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GRACE_S", 0.5)
    world = make_world(tmp_path, limited(job("rl", "hang"), 1.0))
    code, shown = run(world)
    assert code == 1
    assert "failed rl (time-out)" in shown


def test_advance_is_counted_from_where_an_attempt_began() -> None:
    advance = limits.Advance()
    advance.take({"event": "progress", "step": 40, "resumed": True})
    advance.take({"event": "saved", "step": 40})
    assert not advance.made
    advance.take({"event": "progress", "step": 60})
    assert not advance.made, "what is not saved is lost"
    advance.take({"event": "published", "step": 60})
    assert advance.made


def test_the_classes_that_a_profile_may_name_have_a_policy() -> None:
    named = {field.alias or name for name, field in Retries.model_fields.items()}
    assert named < set(POLICIES)
    assert "disk" not in named
