"""A submit that is broken off, refused, or not answered; and the next one. Nothing starts here."""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.runtime.slurm import looking, submission
from tests.runtime.core.world import job
from tests.runtime.slurm.tools import (
    branches,
    cluster_world,
    count,
    number_of,
    run,
    status,
    words,
)
from tests.slurm.fake import BUSY, LIMIT, TIMED_OUT, FakeSlurm


@pytest.mark.ci
@pytest.mark.parametrize("at", range(1, 8))
def test_a_submit_that_is_killed_is_gone_on_with(
    fake: FakeSlurm, root: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """At each of its steps: before or after an answer of sbatch, or before what was held is released."""
    world = cluster_world(root, *branches(3))
    killed_at(at, monkeypatch)
    with pytest.raises(Killed):
        run(world)
    before = set(fake.jobs())
    monkeypatch.undo()
    for name in ("PATH", "FAKE_SLURM"):
        monkeypatch.setenv(name, fake.env()[name])
    code, said = run(world)
    assert code == 0, said
    assert number_of(fake, "sbatch") == 5
    assert before <= set(fake.jobs())
    assert len([one for one in fake.jobs().values() if one.live]) == 11
    assert not any(one.held for one in fake.jobs().values())
    assert set(words(world).values()) == {"queued"}


class Killed(BaseException):
    """Stands for a `kill -9`."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die after so many writes of records or releases."""
    from exc.runtime.slurm.records import Ledger
    from exc.runtime.slurm.scheduler import Scheduler

    steps = [0]

    def dying(original: object) -> object:
        def called(*arguments: object, **named: object) -> object:
            steps[0] += 1
            if steps[0] > step:
                raise Killed
            return original(*arguments, **named)  # type: ignore[operator]

        return called

    monkeypatch.setattr(Ledger, "write", dying(Ledger.write))
    monkeypatch.setattr(Scheduler, "release", dying(Scheduler.release))


def test_an_answer_that_is_lost_is_looked_for(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(2))
    fake.inject("sbatch", TIMED_OUT, at=2, accepted=True)
    code, said = run(world)
    assert code == 0, said
    assert "the scheduler is busy" in said
    assert number_of(fake, "sbatch") == 5
    assert count(world, "queued") == len(world.plan.jobs)


@pytest.mark.ci
def test_a_busy_scheduler_is_asked_again(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(2))
    fake.inject("sbatch", BUSY, at=2, times=2)
    fake.inject("squeue", TIMED_OUT)
    fake.inject("scontrol", TIMED_OUT, at=2)
    code, said = run(world)
    assert code == 0, said
    assert number_of(fake, "sbatch") == 7
    assert len([one for one in fake.jobs().values() if one.live]) == 8


@pytest.mark.ci
def test_what_was_queued_when_the_scheduler_went_away_is_found_by_the_next(
    fake: FakeSlurm, root: Path
) -> None:
    world = cluster_world(root, *branches(2))
    fake.inject("sbatch", TIMED_OUT, at=3, accepted=True, times=1)
    fake.inject("squeue", TIMED_OUT, times=1000)
    fake.inject("sbatch", TIMED_OUT, at=4, times=1000)
    code, said = run(world)
    assert code == 3
    assert "the scheduler does not answer" in said
    assert "to go on: exc submit" in said
    fake.mend()
    code, said = run(world)
    assert code == 0, said
    assert len([one for one in fake.jobs().values() if one.live]) == 8
    assert set(words(world).values()) == {"queued"}


@pytest.mark.ci
def test_limits_open_a_window(fake: FakeSlurm, root: Path) -> None:
    fake.set(max_submit=4)
    world = cluster_world(root, *branches(4))
    code, said = run(world)
    assert code == 0, said
    assert "jobs not queued yet: SLURM takes no more now" in said
    queued = count(world, "queued")
    assert 3 <= queued <= 4
    assert not any(one.held for one in fake.jobs().values())
    fake.set(max_submit=0)
    assert run(world)[0] == 0
    assert count(world, "queued") == len(world.plan.jobs)
    assert len([one for one in fake.jobs().values() if one.live]) == len(world.plan.jobs)


@pytest.mark.ci
def test_a_limit_that_strikes_at_a_later_call(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(2))
    fake.inject("sbatch", LIMIT, at=3, times=10)
    code, said = run(world)
    assert code == 0, said
    assert words(world)["data"] == words(world)["b1/rl"] == "queued"
    assert words(world)["b1/rl.sample"] == words(world)["select"] == "waiting"


def test_the_profile_may_set_the_window(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, *branches(4), slurm={"max_jobs": 6})
    code, said = run(world)
    assert code == 0
    assert "8 jobs not queued yet: `max_jobs` of the profile are queued" in said
    assert len(fake.jobs()) == 6
    assert "0 queued now" in run(world)[1]


def test_what_slurm_refuses_is_told_with_a_way_on(fake: FakeSlurm, root: Path) -> None:
    world = cluster_world(root, job("a"))
    fake.inject("sbatch", "sbatch: error: invalid partition specified: gpus", at=1)
    code, said = run(world)
    assert code == 3
    assert "SLURM refused: sbatch: error: invalid partition specified: gpus" in said
    assert "exc doctor --profile cluster" in said
    assert words(world) == {"a": "waiting"}
    assert run(world)[0] == 0


def test_where_there_is_no_slurm_that_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, said = run(cluster_world(root, job("a")))
    assert code == 3
    assert "is not on this machine\nrun this where SLURM's commands are" in said


@pytest.mark.usefixtures("fake")
def test_an_interrupt_says_how_to_go_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = cluster_world(root, *branches(2))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submission.Submission, "_release", interrupted)
    code, said = run(world)
    assert code == 130
    assert "to take it back: exc cancel --all" in said
    assert "held until all is queued" in status(world)


def test_who_looks_on_does_not_wait_for_a_scheduler_that_hangs(
    fake: FakeSlurm, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = cluster_world(root, job("a"))
    run(world)
    assert words(world) == {"a": "queued"}
    monkeypatch.setattr(looking, "ANSWERS_S", 0.5)
    fake.inject("squeue", delay=1000.0)
    said = status(world)
    assert "the scheduler does not answer (`squeue` did not answer within 0 s)" in said
    assert "as of 20" in said
    assert words(world) == {"a": "queued"}
