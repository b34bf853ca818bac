"""What a job said, or why it said nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.runtime.events import EventTail
from exc.runtime.logs import Follower, NoLog, event_line, find_log, tail
from exc.runtime.requests import ask_to_cancel
from tests.runtime.core.test_submit import run
from tests.runtime.core.world import World, job, make_world


def found(world: World, job_id: str, number: int | None = None) -> str:
    return find_log(world.plan, world.store, world.plan.job(job_id), number).text


def why(world: World, job_id: str) -> str:
    with pytest.raises(NoLog) as none:
        found(world, job_id)
    return str(none.value)


def test_the_newest_attempt_says_how_it_went(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("a"), job("b", "die"))
    run(world)
    assert found(world, "a").startswith("a, attempt 1 of 1 on ")
    assert found(world, "a").endswith(", done")
    run(world)
    newest = int(found(world, "b").split()[2])
    assert newest > 1
    assert f"attempt 1 of {newest}" in found(world, "b", 1)
    assert "failed (" in found(world, "b", 1)
    with pytest.raises(NoLog, match="b has no attempt 9; it has 1, "):
        found(world, "b", 9)


def test_a_job_without_attempts_says_why(tmp_path: Path) -> None:
    a, bad = job("a"), job("bad", "fail")
    world = make_world(tmp_path, a, bad, job("b", reads=[a]), job("c", reads=[bad]))
    assert why(world, "a") == "a has not been started; nothing it needs is missing"
    assert why(world, "b") == "b has not been started: it waits for 1 job: a"
    ask_to_cancel(world.store, "b", [world.plan.job("b")])
    assert why(world, "b") == "b was cancelled before it was started; the next `exc submit` runs it"
    run(world)
    assert why(world, "c") == "c has not been started: it needs what bad leaves, which has not come to it"


def test_what_another_plan_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    one = make_world(tmp_path / "one", job("a"))
    run(one)
    for attempt in one.store.attempts_path(one.plan.job("a").identity).rglob("*"):
        if attempt.is_file():
            attempt.unlink()
    for folder in sorted(one.store.root.glob("attempts/*/*"), reverse=True):
        folder.rmdir()
    two = replace(one.plan, jobs=(replace(job("a"), id="mine"),))
    with pytest.raises(NoLog, match=r"mine was never run for this plan: .* made by job a of tiny"):
        find_log(two, one.store, two.job("mine"))


TEXTS = st.text(st.characters(exclude_categories=("C", "Z"), codec="utf-8"))  # no ends of lines


@given(st.lists(TEXTS), st.integers(0, 9))
def test_the_last_lines_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], count: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    text, size = tail(path, count)
    assert text == "".join(f"{line}\n" for line in lines[len(lines) - min(count, len(lines)) :])
    assert size == path.stat().st_size


def test_a_long_file_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {number} {'x' * 100}\n" for number in range(5000)))
    text, _ = tail(path, 2000)
    assert text.splitlines()[0].startswith("line 3000 ")


def test_a_follower_gives_every_byte_once_and_survives_a_file_that_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    follower = Follower(path)
    assert follower.read() == ""
    path.write_bytes("gr\u00fc".encode()[:3])  # half a character
    assert follower.read() == "gr"
    with path.open("ab") as file:
        file.write("gr\u00fc".encode()[3:] + b"n\n")
    assert follower.read() == "\u00fcn\n"
    path.write_text("new\n")
    assert follower.read() == "new\n"
    path.unlink()
    assert follower.read() == ""


def test_events_of_a_file_that_grows_shrinks_and_vanishes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = EventTail(path, last_bytes=60)
    path.write_text("".join(f'{{"event": "progress", "step": {step}}}\n' for step in range(100)))
    assert [event["step"] for event in events.read()] == [99]  # of what was there only the last bytes
    with path.open("a") as file:
        file.write('{"event": "progress", "st')
    assert events.read() == []
    with path.open("a") as file:
        file.write('ep": 100}\n')
    assert [event["step"] for event in events.read()] == [100]
    path.write_text('{"event": "start"}\n')
    assert [event["event"] for event in events.read()] == ["start"]
    path.unlink()
    assert events.read() == []


def test_an_event_as_a_line() -> None:
    event = {"time": 0.5, "event": "progress", "step": 3, "loss": 0.123456789}
    assert event_line(event) == "1970-01-01 00:00:00 progress   step=3 loss=0.123457"
