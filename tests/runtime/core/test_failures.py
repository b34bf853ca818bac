"""From exceptions and exit codes to classes, and records on a disk that is full."""

from __future__ import annotations

import errno
import json
import signal
from pathlib import Path

import pytest

from exc.runtime import attempts
from exc.runtime.attempts import Attempt, Failure
from exc.runtime.context import JobFailed
from exc.runtime.events import EventWriter, read_events
from exc.runtime.failures import class_in_words, classify, unexplained
from exc.runtime.memory import oom_kills, oom_since
from exc.runtime.policies import POLICIES
from exc.runtime.room import RESERVE_BYTES, Room, free_bytes


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/store/x"), "disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk"),
        (OSError(errno.EFBIG, "File too large"), "disk"),
        (MemoryError(), "out-of-memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out-of-memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out-of-memory"),
        (ValueError("something"), "error"),
        (JobFailed("data", "row 3"), "data"),
    ],
)
def test_exceptions_have_classes(error: Exception, kind: str) -> None:
    assert classify(error).kind == kind
    assert kind in POLICIES


@pytest.mark.parametrize(("cause", "kind"), [(MemoryError(), "out-of-memory"), (KeyError("a"), "data")])
def test_why_a_persons_code_failed_decides(cause: Exception, kind: str) -> None:
    error = JobFailed("data", "`rows:big` failed after row 3: rows.py:7")
    error.__cause__ = cause
    assert classify(error) == Failure(kind, "`rows:big` failed after row 3: rows.py:7")


@pytest.mark.parametrize(
    ("code", "oom", "kind"),
    [
        (-signal.SIGKILL, None, "killed"),
        (128 + signal.SIGKILL, None, "killed"),
        (-signal.SIGKILL, "the kernel killed a process", "out-of-memory"),
        (-signal.SIGTERM, None, "killed"),
        (-signal.SIGSEGV, None, "error"),
        (-signal.SIGXFSZ, None, "disk"),
        (74, None, "disk"),
        (127, None, "error"),
    ],
)
def test_exit_codes_have_classes(code: int, oom: str | None, kind: str) -> None:
    assert unexplained(code, oom).kind == kind


def test_the_last_words_of_a_program_decide() -> None:
    assert class_in_words("MemoryError") == "out-of-memory"
    assert class_in_words("dd: writing to 'x': No space left on device") == "disk"
    assert class_in_words("KeyError: 'memory'") is None


def test_kills_for_lack_of_memory_are_counted_against_before() -> None:
    before = oom_kills()
    assert oom_since(before) is None
    if before:  # where the kernel says anything at all
        assert oom_since({name: count - 1 for name, count in before.items()}) is not None


def test_a_record_finds_its_place_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = Attempt(tmp_path)
    attempt.begin("rl")
    attempt.log.write_text("".join(f"line {number} {'x' * 600}\n" for number in range(20)))

    def full(path: Path, _: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(attempts, "write_json", full)
    assert attempt.end(1, Failure("disk", "the disk is full"))
    assert attempt.failure() == Failure("disk", "the disk is full")
    record = json.loads((tmp_path / attempts.RECORD).read_bytes())
    assert record["exit"] == 1
    assert record["failure"]["log_lines"][-1].startswith("line 19 "), "the last lines are kept"
    (tmp_path / attempts.RECORD).unlink()
    assert not attempt.end(1, Failure("disk", "the disk is full"))


def test_events_that_cannot_be_written_cost_nothing(tmp_path: Path) -> None:
    writer = EventWriter(Path("/dev/full"))
    assert writer.emit("progress", step=1)["step"] == 1
    writer.close()
    gone = EventWriter(tmp_path / "no-such-folder" / "events.jsonl")
    gone.emit("progress", step=1)
    gone.close()
    assert read_events(tmp_path / "no-such-folder" / "events.jsonl") == []


def test_room_is_looked_for_once_the_disk_was_found_full(tmp_path: Path) -> None:
    room = Room(tmp_path)
    assert room.allows(1e30), "nothing was wrong yet"
    room.suspect()
    assert room.allows(0)
    assert not room.allows(1e30)
    free = free_bytes(tmp_path / "not" / "there" / "yet")
    assert free is not None
    assert free > RESERVE_BYTES
    assert list((tmp_path / "tmp").iterdir()) == [], "the probe is gone"


def test_every_class_is_explained() -> None:
    page = (Path(__file__).parents[3] / "docs" / "failures.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert {row[0].strip("|` "): row[1] for row in rows} == {
        name: policy.means for name, policy in POLICIES.items()
    }
