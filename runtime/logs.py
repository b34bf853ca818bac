"""`exc logs`: what a job said, in its newest attempt or an older one."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, failure_of, last_attempt
from exc.runtime.events import Event
from exc.runtime.files import names
from exc.runtime.lease import holder
from exc.runtime.outputs import Present, is_done
from exc.runtime.state import job_states
from exc.runtime.store import Store, StoreError
from exc.spec.words import listed, plural

LOOK_S = 0.25  # how often a log that is followed is looked at
_BLOCK = 1 << 16
_MANY_NAMED = 4


class NoLog(Exception):
    """There is nothing to show; the message says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """An attempt whose log was asked for."""

    job: Job
    attempt: Attempt
    text: str  # `mini/30/rl/r0/rl, attempt 2 of 2 on box, running`


def find_log(plan: Plan, store: Store, job: Job, number: int | None = None) -> Found:
    """A job's newest attempt, or the one of that number.

    Raises NoLog, saying why there is none, or which there are.
    """
    numbers = attempt_numbers(store, job)
    if not numbers:
        raise NoLog(f"{job.id} {_why_none(plan, store, job)}")
    if number is not None and number not in numbers:
        raise NoLog(f"{job.id} has no attempt {number}; it has {', '.join(map(str, numbers))}")
    chosen = numbers[-1] if number is None else number
    attempt = Attempt(store.attempts_path(job.identity) / str(chosen))
    record = attempt.read()
    host = f" on {record['host']}" if record.get("host") else ""
    state = _state(job, store, attempt, record)
    return Found(job, attempt, f"{job.id}, attempt {chosen} of {numbers[-1]}{host}, {state}")


def attempt_numbers(store: Store, job: Job) -> list[int]:
    found = names(store.attempts_path(job.identity))
    return sorted(int(name) for name in found if name.isdigit())


def running(job: Job, store: Store, attempt: Attempt) -> bool:
    """Whether an attempt may still write: it has not ended, and its process is there, or about to be."""
    record = attempt.read()
    if "ended" in record:
        return False
    if "began" in record:
        owner = attempt.owner()
        alive = owner.alive() if owner else None
        return holder(store.work_path(job.work_key)) is not None if alive is None else alive
    last = last_attempt(store, job.identity)
    try:
        age_s = time.time() - attempt.path.stat().st_mtime
    except FileNotFoundError:
        return False
    return last == attempt and age_s < _TO_BEGIN_S and not is_done(job, store)


_TO_BEGIN_S = 60.0  # in which a process that was started writes its record


def _state(job: Job, store: Store, attempt: Attempt, record: Mapping[str, Any]) -> str:
    failure = failure_of(record)
    if failure is not None:
        return f"failed ({failure.kind})"
    if record.get("exit") == 0:
        return "done"
    if running(job, store, attempt):
        return "running" if "began" in record else "starting"
    return "stopped" if "ended" in record else "ended without a word"


def _why_none(plan: Plan, store: Store, job: Job) -> str:
    """Why a job was never tried here."""
    state = job_states(plan, store)[job.id]
    if state.word == "done":
        return f"was never run for this plan: {_made_by(store, job)}"
    if state.word == "unneeded":
        return "is not needed: all that reads from it is done"
    if state.word == "cancelled":
        return "was cancelled before it was started; the next `exc submit` runs it"
    if state.word == "blocked":
        return f"has not been started: it needs what {state.blocked_by} leaves, which has not come to it"
    if state.place is not None:
        from exc.runtime.slurm.looking import queued_text

        return f"has not been started: {queued_text(state.place)}"
    present = Present(plan, store)
    missing = list(dict.fromkeys(need.job for need in job.needs if need.artifact not in present))
    if not missing:
        return "has not been started; nothing it needs is missing"
    named = listed(missing, _MANY_NAMED)
    return f"has not been started: it waits for {plural(len(missing), 'job')}: {named}"


def _made_by(store: Store, job: Job) -> str:
    kind, _, identity = job.artifact.partition("/")
    try:
        record = store.read(kind, identity).record
    except StoreError as error:
        return str(error)
    return (
        f"the store has its artifact, made by job {record.get('job')} of {record.get('experiment')} "
        f"on {record.get('host')} ({record.get('ended')})"
    )


# Reading


def tail(path: Path, count: int) -> tuple[str, int]:
    """The last lines of a file, read from its end, and how many bytes it had; nothing if it is not there."""
    try:
        with path.open("rb") as file:
            size = end = file.seek(0, 2)
            data = b""
            # One more than asked for, because the text before the first of them may be half a line.
            while end > 0 and data.count(b"\n") <= count:
                start = max(0, end - _BLOCK)
                file.seek(start)
                data = file.read(end - start) + data
                end = start
    except FileNotFoundError:
        return "", 0
    lines = data.splitlines(keepends=True)[-count:] if count else []
    return b"".join(lines).decode(errors="replace"), size


def chunks(path: Path, start: int = 0) -> Iterator[str]:
    """A file's text from a byte on, in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with path.open("rb") as file:
            file.seek(start)
            while block := file.read(_BLOCK):
                yield decoder.decode(block)
    except FileNotFoundError:
        return
    yield decoder.decode(b"", final=True)


class Follower:
    """Gives what is appended to a file, from some byte on; one that shrinks is begun anew."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path, self._offset = path, offset
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self) -> str:
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return ""
        self._offset += len(data)
        return self._decoder.decode(data)


def follow(path: Path, offset: int, goes_on: Callable[[], bool], write: Callable[[str], None]) -> None:
    """Write what a file gets until nothing more can come, and then what came last."""
    follower = Follower(path, offset)
    more = True
    while more:
        more = goes_on()
        write(follower.read())
        if more:
            time.sleep(LOOK_S)


def event_line(event: Event) -> str:
    """One event as a line: the time of day in UTC, its word, its fields."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(float(event.get("time", 0))))
    rest = {name: value for name, value in event.items() if name not in ("time", "event")}
    fields = " ".join(f"{name}={_short(value)}" for name, value in rest.items())
    return f"{when} {event['event']:<10} {fields}".rstrip()


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
