"""What was given to SLURM: one record a call, written before sbatch is asked, kept in the store.

slurm/<experiment>/open/<key>.json     calls of which something may still be in the queue
slurm/<experiment>/closed/<key>.json   the others
slurm/<experiment>/runs/<key>/         what submitit needs, and what the elements printed

A record without a job id is an intent: sbatch was about to be asked, and may have been. Its job's name, which
no other job has, tells. Only who holds the lease on `slurm/<experiment>` writes records.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from exc.runtime.files import names, write_json
from exc.runtime.slurm.grouping import ALONE
from exc.runtime.store import Store

FOLDER = "slurm"
LEASE = "records"  # what the lease on the records is called
TAKEN_OUT = "taken out"  # why an element ended that exc itself took out of the queue
OUTSIDE = "ended from outside (scancel), not by exc"  # in the note of such an attempt
ENDED = "ended"  # how a record was closed whose elements have run, or were taken out of the queue
_OPEN, _CLOSED, _RUNS = "open", "closed", "runs"
_END = "_end.json"


@dataclass(frozen=True, slots=True)
class Member:
    """A job of an element."""

    job: str
    identity: str


@dataclass(frozen=True, slots=True)
class Record:
    """One call of sbatch."""

    key: str
    name: str  # of the SLURM job
    cls: str
    plan_folder: str
    user: str
    asked: str  # UTC, ISO 8601
    elements: Mapping[int, tuple[Member, ...]]
    after: Mapping[int, tuple[str, ...]]  # index -> references of the elements that it waits for
    held: bool  # queued held, to be released once all is queued
    lead_s: int  # how long before the time limit it is told to save
    limit_s: float | None
    slurm_id: str = ""  # "" until sbatch has answered
    released: bool = False
    ended: str = ""  # how a closed one ended

    def ref(self, index: int) -> str:
        """How SLURM calls one of its elements."""
        return self.slurm_id if index == ALONE else f"{self.slurm_id}_{index}"


def new_key() -> str:
    return uuid.uuid4().hex[:12]


def job_name(experiment: str, cls: str, key: str) -> str:
    """A name that a person can read in squeue, and that no other job has."""
    return f"{experiment}.{cls}.{key}"


def key_of(name: str, experiment: str) -> str:
    """The key in a job's name; empty if it is not of this experiment's."""
    found = re.fullmatch(rf"{re.escape(experiment)}\..+\.([0-9a-f]{{12}})", name)
    return found[1] if found else ""


class Ledger:
    """The records of an experiment in a store."""

    def __init__(self, store: Store, experiment: str) -> None:
        self.root = store.root / FOLDER / experiment
        self.experiment = experiment

    def write(self, record: Record) -> Record:
        """Write an open record, new or changed."""
        (self.root / _OPEN).mkdir(parents=True, exist_ok=True)
        write_json(self.root / _OPEN / f"{record.key}.json", _to_json(record))
        return record

    def close(self, record: Record, how: str) -> None:
        """Nothing of it is in the queue any more, or ever was."""
        (self.root / _CLOSED).mkdir(parents=True, exist_ok=True)
        write_json(self.root / _CLOSED / f"{record.key}.json", _to_json(replace(record, ended=how)))
        (self.root / _OPEN / f"{record.key}.json").unlink(missing_ok=True)

    def open_records(self) -> list[Record]:
        """All that may be in the queue, the oldest first."""
        found = (self._read(_OPEN, name) for name in names(self.root / _OPEN) if _is_record(name))
        return sorted((record for record in found if record), key=lambda one: (one.asked, one.key))

    def find(self, key: str) -> Record | None:
        """A record, open or closed; None if there is none, or it cannot be read."""
        return self._read(_OPEN, f"{key}.json") or self._read(_CLOSED, f"{key}.json")

    def is_open(self, key: str) -> bool:
        """Whether something of a call may still be in the queue."""
        return (self.root / _OPEN / f"{key}.json").exists()

    def closed(self, key: str) -> Path:
        """The record of a call of which nothing is in the queue."""
        return self.root / _CLOSED / f"{key}.json"

    def closed_keys(self) -> list[str]:
        return [name.removesuffix(".json") for name in names(self.root / _CLOSED) if _is_record(name)]

    def runs(self, key: str) -> Path:
        """The folder of a call's scripts and outputs."""
        return self.root / _RUNS / key

    def output(self, record: Record, index: int) -> Path:
        """What an element printed."""
        return self.runs(record.key) / f"{record.ref(index)}_0_log.out"

    def note_end(self, key: str, ref: str, why: str) -> None:
        """An element says that it ends in order; what `why` is empty for goes on."""
        path = self.runs(key) / f"{ref}{_END}"
        if not why:
            path.unlink(missing_ok=True)
            return
        write_json(path, {"why": why})

    def said_end(self, record: Record, index: int) -> bool:
        """Whether an element ended in order, as far as it could say."""
        return (self.runs(record.key) / f"{record.ref(index)}{_END}").exists()

    def _read(self, state: str, name: str) -> Record | None:
        try:
            return _from_json(json.loads((self.root / state / name).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def identities(records: Iterable[Record]) -> set[str]:
    return {
        member.identity for record in records for members in record.elements.values() for member in members
    }


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def _to_json(record: Record) -> dict[str, Any]:
    data = asdict(record)
    data["elements"] = {
        str(index): [[member.job, member.identity] for member in members]
        for index, members in record.elements.items()
    }
    data["after"] = {str(index): list(refs) for index, refs in record.after.items() if refs}
    return data


def _from_json(data: Mapping[str, Any]) -> Record:
    limit = data["limit_s"]
    return Record(
        key=str(data["key"]),
        name=str(data["name"]),
        cls=str(data["cls"]),
        plan_folder=str(data["plan_folder"]),
        user=str(data["user"]),
        asked=str(data["asked"]),
        elements={
            int(index): tuple(Member(str(job), str(identity)) for job, identity in members)
            for index, members in data["elements"].items()
        },
        after={int(index): tuple(map(str, refs)) for index, refs in data["after"].items()},
        held=bool(data["held"]),
        lead_s=int(data["lead_s"]),
        limit_s=None if limit is None else float(limit),
        slurm_id=str(data["slurm_id"]),
        released=bool(data["released"]),
        ended=str(data.get("ended", "")),
    )
