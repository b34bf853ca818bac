"""What of an experiment is in SLURM's queue: its records, and one look at squeue or the last that was had."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exc.runtime.attempts import utc_now
from exc.runtime.files import write_json
from exc.runtime.slurm.parsing import Entry
from exc.runtime.slurm.records import TAKEN_OUT, Ledger, Record
from exc.runtime.slurm.sbatch import job_id_of
from exc.runtime.slurm.scheduler import Scheduler, SlurmError

SEEN = "seen.json"  # the last look, for when the scheduler does not answer, or is not on this machine


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job is in the queue."""

    record: Record
    index: int
    entry: Entry

    @property
    def ref(self) -> str:
        return self.entry.ref

    @property
    def held_by_us(self) -> bool:
        """Whether it waits to be released by whoever queued it."""
        return self.record.held and not self.record.released


@dataclass(frozen=True)
class Queue:
    """One look. What is not `fresh` is as it was `at` that time, and `problem` says why."""

    records: tuple[Record, ...]
    entries: Mapping[str, Entry]
    at: str = ""  # UTC, ISO 8601; "" if nobody ever looked
    problem: str = ""
    live: Mapping[str, Place] = field(default_factory=dict)  # identity of a job -> its element

    @property
    def fresh(self) -> bool:
        return not self.problem

    def note_taken_out(self, ledger: Ledger, refs: Collection[str]) -> None:
        """Note of elements that exc itself takes out of the queue, so that nobody else is said to have."""
        for key, ref in {(place.record.key, place.ref) for place in self.live.values() if place.ref in refs}:
            ledger.note_end(key, ref, TAKEN_OUT)

    def ended(self) -> Iterator[tuple[Record, int, Entry | None]]:
        """Elements that are in the queue no more, with what squeue still knows of them. Of a fresh look."""
        for record in self.records:
            for index in record.elements if record.slurm_id else ():
                entry = entry_of(self.entries, record, index)
                if entry is None or entry.ended:
                    yield record, index, entry


def entry_of(entries: Mapping[str, Entry], record: Record, index: int) -> Entry | None:
    """What SLURM says of an element; a job id that went to another job, as after a crash, is not it."""
    entry = entries.get(record.ref(index))
    return entry if entry is not None and entry.name == record.name else None


def look(ledger: Ledger, scheduler: Scheduler) -> Queue:
    """Look at the queue; where that is not to be had, at what was last seen. Never raises SlurmError."""
    records = ledger.open_records()
    if not records:
        return Queue((), {}, utc_now())
    try:
        return fresh_look(ledger, scheduler)
    except SlurmError as error:
        at, entries = _read_seen(ledger.root / SEEN)
        return _queue(records, entries, at, str(error) or "it said nothing")


def fresh_look(ledger: Ledger, scheduler: Scheduler) -> Queue:
    """Look at the queue. Raises SlurmError."""
    records = ledger.open_records()  # read first: what is queued meanwhile is not taken for gone
    if not records:
        return Queue((), {}, utc_now())
    entries = scheduler.queue({record.user for record in records})
    at = utc_now()
    _write_seen(ledger.root / SEEN, at, records, entries)
    return _queue(records, entries, at, "")


def _queue(records: list[Record], entries: Mapping[str, Entry], at: str, problem: str) -> Queue:
    """A look, with intents found by their names."""
    found: list[Record] = []
    for record in records:
        if not record.slurm_id and (slurm_id := job_id_of(record.name, entries.values())):
            record = replace(record, slurm_id=slurm_id)
        found.append(record)
    live: dict[str, Place] = {}
    for record in found:
        for index, members in record.elements.items() if record.slurm_id else ():
            entry = entry_of(entries, record, index)
            if entry is None and problem:
                entry = Entry(record.ref(index), "UNKNOWN")
            if entry is not None and not entry.ended:
                live |= {member.identity: Place(record, index, entry) for member in members}
    return Queue(tuple(found), entries, at, problem, live)


def _write_seen(path: Path, at: str, records: list[Record], entries: Mapping[str, Entry]) -> None:
    ours = {record.name for record in records}
    rows = [
        [entry.ref, entry.state, entry.name, entry.node, entry.reason]
        for entry in entries.values()
        if entry.name in ours
    ]
    try:
        write_json(path, {"at": at, "entries": rows})
    except OSError:
        return  # whoever only looks on may not be allowed to write


def _read_seen(path: Path) -> tuple[str, dict[str, Entry]]:
    try:
        data: Any = json.loads(path.read_bytes())
        return str(data["at"]), {str(row[0]): Entry(*map(str, row)) for row in data["entries"]}
    except (OSError, ValueError, KeyError, TypeError):
        return "", {}
