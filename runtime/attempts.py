"""The record of each time a job was run: attempts/<identity>/<n>/."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exc.runtime.files import names, write_json
from exc.runtime.owner import Owner, owner_from_json, this_process
from exc.runtime.store import Store

RECORD = "attempt.json"
LOG = "log.txt"
EVENTS = "events.jsonl"
LOG_LINES = 12  # of the log's end, kept with a failure


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed. `kind` is the failure class, a key of `policies.POLICIES`."""

    kind: str
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"class": self.kind, "message": self.message}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job, by its folder."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def events(self) -> Path:
        return self.path / EVENTS

    def read(self) -> dict[str, Any]:
        """attempt.json; empty if the job did not come to write it, or it cannot be read."""
        try:
            data = json.loads((self.path / RECORD).read_bytes())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def begin(self, job_id: str, place: Mapping[str, str] | None = None) -> None:
        """Record that this process now works on the job; `place` is the SLURM job that it is part of."""
        start: dict[str, Any] = {"job": job_id, "began": utc_now(), **this_process().to_json()}
        if place := slurm_place(os.environ) if place is None else place:
            start["slurm"] = dict(place)
        write_json(self.path / RECORD, start)

    def annotate(self, note: str) -> None:
        """Add what was learnt of its end afterwards."""
        write_json(self.path / RECORD, {**self.read(), "note": note})

    def end(self, code: int, failure: Failure | None = None, note: str = "") -> bool:
        """Record how it ended; the log's last lines are kept with a failure.

        False if the record cannot be written. On a full disk it takes the place that `begin` has had.
        """
        record = {**self.read(), "ended": utc_now(), "exit": code}
        if note:
            record["note"] = note
        if failure is not None:
            record["failure"] = {**failure.to_json(), "log_lines": last_lines(self.log)}
        try:
            write_json(self.path / RECORD, record)
        except OSError:
            return _squeeze(self.path / RECORD, record)
        return True

    def owner(self) -> Owner | None:
        return owner_from_json(self.read())

    def failure(self) -> Failure | None:
        return failure_of(self.read())

    def failure_since(self, moment: str) -> Failure | None:
        """Its failure, if it ended at `moment` (UTC, ISO 8601) or later."""
        record = self.read()
        ended = str(record.get("ended", ""))
        if not ended or datetime.fromisoformat(ended) < datetime.fromisoformat(moment):
            return None
        return failure_of(record)


def failure_of(record: Mapping[str, Any]) -> Failure | None:
    """The failure that an attempt's record holds."""
    failure = record.get("failure")
    if not isinstance(failure, dict):
        return None
    return Failure(str(failure.get("class", "error")), str(failure.get("message", "")))


def new_attempt(store: Store, identity: str) -> Attempt:
    """Make the folder of a job's next attempt."""
    parent = store.attempts_path(identity)
    parent.mkdir(parents=True, exist_ok=True)
    number = _newest(parent)
    while True:
        number += 1
        try:
            (parent / str(number)).mkdir()
        except FileExistsError:
            continue  # another process made it at this moment
        return Attempt(parent / str(number))


def last_attempt(store: Store, identity: str) -> Attempt | None:
    """A job's newest attempt, if it was ever tried."""
    parent = store.attempts_path(identity)
    number = _newest(parent)
    return Attempt(parent / str(number)) if number else None


def last_lines(path: Path, count: int = LOG_LINES, max_bytes: int = 8192) -> list[str]:
    """The last lines of a text file that are not empty; none if it is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    # What a progress bar drew over does not count as lines.
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]
    return [line for line in lines if line][-count:]


def _squeeze(path: Path, record: dict[str, Any]) -> bool:
    """Write a record over what is in a file, within the room that the file has; False if that fails, too.

    A reader may see it torn, which it takes for no record.
    """
    failure = record.get("failure")
    try:
        with path.open("r+b") as file:
            room = os.fstat(file.fileno()).st_blocks * 512  # bytes; stat counts in blocks of 512
            while len(data := json.dumps(record, ensure_ascii=False).encode()) > room:
                if not failure or not failure["log_lines"]:
                    return False
                failure["log_lines"] = failure["log_lines"][1:]
            file.write(data)
            file.truncate()
    except OSError:
        return False
    return True


def slurm_place(environment: Mapping[str, str]) -> dict[str, str]:
    """The SLURM job that a process runs in, `42` or `42_3` in an array, and its node; empty if in none."""
    job = environment.get("SLURM_JOB_ID", "")
    if not job:
        return {}
    if array := environment.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{environment.get('SLURM_ARRAY_TASK_ID', '')}"
    return {"job": job, "node": environment.get("SLURMD_NODENAME", "")}


def utc_now() -> str:
    """The time now in UTC, ISO 8601, to milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _newest(parent: Path) -> int:
    return max((int(name) for name in names(parent) if name.isdigit()), default=0)
