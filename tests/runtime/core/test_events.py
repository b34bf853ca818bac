"""events.jsonl survives a writer that is killed in the middle of a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.runtime.events import EventTail, EventWriter, last_events, read_events


def test_events_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert tail.read() == []
    writer = EventWriter(path)
    writer.emit("progress", step=1, total=2, loss=float("nan"))
    (event,) = tail.read()
    assert (event["step"], event["loss"]) == (1, "nan")
    writer.emit("done")
    assert [event["event"] for event in tail.read()] == ["done"]
    writer.close()


def test_a_torn_last_line_is_passed_over_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "start"}\n{"event": "prog')
    tail = EventTail(path)
    assert [event["event"] for event in tail.read()] == ["start"]
    with path.open("a") as file:
        file.write('ress", "step": 3}\n')
    assert [event["step"] for event in tail.read()] == [3]


def test_what_is_no_event_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'\xff\xfe\n[1]\n{"step": 1}\n\n{"event": "done"}\n')
    assert [event["event"] for event in read_events(path)] == ["done"]


@pytest.mark.parametrize(
    "line", ['{"time": "x", "event": "done"}', '{"time": 1e400, "event": "done"}', '{"event": []}']
)
def test_a_line_that_no_reader_could_show_is_no_event(tmp_path: Path, line: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line + '\n{"time": 1.5, "event": "start"}\n')
    assert [event["event"] for event in read_events(path)] == ["start"]


def test_the_end_of_a_long_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f'{{"event": "progress", "step": {step}}}\n' for step in range(1000)))
    events = last_events(path, 200)
    assert events[-1]["step"] == 999
    assert len(events) < 10
