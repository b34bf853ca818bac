"""One job, by hand: what it says, leaves and records, and what happens when it is killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from exc.compiler.plan import Job
from exc.runtime.attempts import last_attempt
from exc.runtime.events import read_events
from exc.runtime.files import digest_file
from exc.runtime.job import run_job
from exc.runtime.lease import holder
from tests.runtime.core.world import World, digest, job, make_world, steps_job, wait_until


def run(world: World, job_id: str) -> int:
    return run_job(world.plan, job_id, world.store, world.root)


@pytest.fixture(autouse=True)
def keep_signal_handlers() -> object:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_job_is_done_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = job("data")
    world = make_world(tmp_path, data, job("t/600/rl", reads=[data]))
    assert run(world, "data") == 0
    assert run(world, "t/600/rl") == 0
    record = world.store.read("trivial", digest("t/600/rl")).record
    assert record["inputs"] == {"from:data": data.artifact}
    assert record["metrics"] == {"value": 1.5}
    assert record["counts"] == {"flops": 0.0, "samples": 3, "tokens": 0}
    assert record["environment"]["num_threads"] == 1
    link = world.store.root / "results" / "tiny" / "t" / "600" / "rl"
    assert (link / "out" / "text.txt").read_text() == "t/600/rl read ['from:data']"
    capsys.readouterr()
    assert run(world, "t/600/rl") == 0
    path = world.store.artifact_path("trivial", digest("t/600/rl"))
    assert capsys.readouterr().out == f"t/600/rl: already done (artifact {path})\n"
    assert world.started("t/600/rl") == 1


def test_a_missing_input_names_the_job_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = job("data")
    world = make_world(tmp_path, data, job("rl", reads=[data]))
    assert run(world, "rl") == 1
    assert capsys.readouterr().err == "rl: its input `from:data` is missing; job data makes it\n"


def test_an_unknown_job_is_answered_by_the_nearest(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("tiny/600/rl"))
    with pytest.raises(LookupError, match="has no job tiny/60/rl; the nearest: tiny/600/rl"):
        run(world, "tiny/60/rl")


@pytest.mark.parametrize(
    ("does", "kind", "message"),
    [
        ("fail", "data", "gsm8k.jsonl row 17 has no column `question`"),
        ("bug", "error", "ValueError: nobody thought of this"),
        ("exit", "error", "SystemExit: 0"),
        ("memory", "out-of-memory", "memory ran out"),
        ("full", "disk", "the disk is full"),
        ("nothing", "error", "the stage ended without leaving everything it must"),
    ],
)
def test_a_failure_is_told_recorded_and_leaves_no_artifact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], does: str, kind: str, message: str
) -> None:
    world = make_world(tmp_path, job("rl", does))
    assert run(world, "rl") == 1
    shown = capsys.readouterr().out
    assert f"rl: failed ({kind}): {message}" in shown
    assert "Traceback" not in shown
    attempt = last_attempt(world.store, digest("rl"))
    assert attempt is not None
    record = attempt.read()
    assert record["exit"] == 1
    assert record["failure"]["class"] == kind
    assert message in record["failure"]["message"]
    assert "Traceback" in attempt.log.read_text()
    assert read_events(attempt.events)[-1]["event"] == "failed"
    assert world.store.present("trivial") == set()
    assert holder(world.store.work_path(digest("rl"))) is None


def test_settings_of_accelerate_do_not_reach_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They change results: ACCELERATE_MIXED_PRECISION=bf16 did, under the identity of float32."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    world = make_world(tmp_path, job("rl"))
    assert run(world, "rl") == 0
    assert "ACCELERATE_MIXED_PRECISION" not in os.environ


def test_a_damaged_input_says_how_to_mend_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = job("data")
    world = make_world(tmp_path, data, job("rl", reads=[data]))
    run(world, "data")
    path = world.store.ref_path(data.artifact)
    (path / "artifact.json").write_text("{")
    assert run(world, "rl") == 1
    shown = capsys.readouterr().out
    assert f"rl: failed (store): the artifact {path} is damaged" in shown
    assert f"rm -r {path}" in shown


def with_source(root: Path) -> tuple[Job, Path]:
    path = root / "gsm8k.jsonl"
    path.write_text('{"question": 1}\n')
    file = {"path": path.name, "bytes": path.stat().st_size, "sha256": digest_file(path)}
    config = {"does": "write", "source": {"name": "gsm8k", "kind": "jsonl", "files": [file]}}
    return Job("rows", "trivial", "trivial", digest("rows"), config), path


@pytest.mark.parametrize("text", ['{"question": 12}\n', '{"question": 2}\n', None])
def test_data_that_changed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    rows, path = with_source(tmp_path)
    world = make_world(tmp_path, rows)
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert run(world, "rows") == 1
    shown = capsys.readouterr().out
    assert "rows: failed (data): gsm8k.jsonl" in shown
    assert ("run `exc compile` again" in shown) == (text is not None)


def test_data_that_is_the_same_is_used(tmp_path: Path) -> None:
    rows, _ = with_source(tmp_path)
    assert run(make_world(tmp_path, rows), "rows") == 0


def test_a_process_killed_while_it_writes_leaves_no_artifact(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("rl", "die"))
    with world.start("rl") as killed:
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert world.store.present("trivial") == set()
    assert len(list((world.store.root / "tmp").iterdir())) == 1
    with world.start("rl") as again:
        output, _ = again.communicate()
    assert again.returncode == 0, output
    assert world.store.present("trivial") == {digest("rl")}
    assert list((world.store.root / "tmp").iterdir()) == []


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("rl", "wait"))
    with world.start("rl") as first:
        world.wait_for_start("rl")
        with world.start("rl") as second:
            assert second.stdout is not None
            assert second.stdout.readline().startswith(f"rl: process {first.pid} on ")
            world.go()
            output, _ = second.communicate()
        first.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert "rl: already done" in output
    assert world.started("rl") == 1


def test_a_waiting_process_takes_over_when_the_holder_is_killed(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("rl", "wait"))
    with world.start("rl") as first:
        world.wait_for_start("rl")
        with world.start("rl") as second:
            assert second.stdout is not None
            second.stdout.readline()
            first.kill()
            first.communicate()
            wait_until(lambda: world.started("rl") == 2)
            world.go()
            output, _ = second.communicate()
    assert second.returncode == 0, output
    assert "rl: done in" in output


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR2, 75), (signal.SIGINT, 130)]
)
def test_a_stopped_job_goes_on_where_it_was(tmp_path: Path, number: signal.Signals, code: int) -> None:
    world = make_world(tmp_path, steps_job("rl", [20, 70], pause=30))
    with world.start("rl") as process:
        world.wait_for_start("rl")
        process.send_signal(number)
        output, _ = process.communicate()
    assert process.returncode == code, output
    assert "it goes on when it is run again" in output
    attempt = last_attempt(world.store, world.plan.job("rl").identity)
    assert attempt is not None
    assert attempt.read()["exit"] == code
    assert len(world.store.present("trivial_steps")) == 1
    with world.start("rl") as again:
        again.communicate()
    assert again.returncode == 0
    attempt = last_attempt(world.store, world.plan.job("rl").identity)
    assert attempt is not None
    steps = [event["step"] for event in read_events(attempt.events) if event["event"] == "progress"]
    assert steps == list(range(30, 71))  # first of all, where it goes on from
    record = world.store.read("trivial_steps", world.plan.job("rl").kept[20]).record
    assert record["step"] == 20
    assert json.dumps(record["fields"]) == '{"does": "steps"}'
