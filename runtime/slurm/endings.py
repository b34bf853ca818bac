"""How elements ended that are in the queue no more, and what that means for jobs that could not say so.

A job that fails by itself leaves a record. One that SLURM ended, or that went down with its node, does not:
whoever looks next, in submit or in status, writes it for it, with the class that the SLURM state means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure, failure_of, last_attempt, last_lines, new_attempt
from exc.runtime.backends.limits import Advance
from exc.runtime.events import read_events
from exc.runtime.lease import Lease, acquire, holder
from exc.runtime.outputs import Present
from exc.runtime.requests import Cancelled
from exc.runtime.slurm.parsing import Entry
from exc.runtime.slurm.queue import Queue, entry_of
from exc.runtime.slurm.records import ENDED, LEASE, OUTSIDE, Ledger, Record
from exc.runtime.slurm.sbatch import tidy
from exc.runtime.slurm.scheduler import Scheduler, SlurmError
from exc.runtime.stopping import EXIT_INTERRUPTED, EXIT_RESUMES
from exc.runtime.store import Store

# SLURM's state -> failure class and what is said of it.
MEANS: Mapping[str, tuple[str, str]] = {
    "OUT_OF_MEMORY": ("out-of-memory", "it used more memory than its `mem` (SLURM: OUT_OF_MEMORY)"),
    "TIMEOUT": ("time-out", "its time limit was reached before it had saved (SLURM: TIMEOUT)"),
    "DEADLINE": ("time-out", "its deadline was over (SLURM: DEADLINE)"),
    "NODE_FAIL": ("node", "the node it ran on failed (SLURM: NODE_FAIL)"),
    "BOOT_FAIL": ("node", "the node it was to run on did not start (SLURM: BOOT_FAIL)"),
    "LAUNCH_FAILED": ("node", "the node it was to run on could not start it (SLURM: LAUNCH_FAILED)"),
    "PREEMPTED": ("preempted", "it had to make room, and was not queued again (SLURM: PREEMPTED)"),
}
_STOPPED = (EXIT_RESUMES, EXIT_INTERRUPTED)  # of a job that has saved, though what ran it was ended


@dataclass(frozen=True, slots=True)
class Ended:
    """An element that has ended, and how SLURM says it did; None if nothing does."""

    record: Record
    index: int
    entry: Entry | None

    @property
    def ref(self) -> str:
        return self.record.ref(self.index)


def settle(plan: Plan, store: Store, ledger: Ledger, queue: Queue, scheduler: Scheduler) -> None:
    """Write down what nobody else did, and close the records of which nothing is left. Never raises OSError.

    Does nothing if another process does, or if it may not write.
    """
    if not queue.fresh or not any(True for _ in queue.ended()):
        return
    try:
        lease = acquire(ledger.root, LEASE)
        if isinstance(lease, Lease):
            try:
                settle_held(plan, store, ledger, queue, scheduler)
            finally:
                lease.release()
    except OSError:
        return


def settle_held(plan: Plan, store: Store, ledger: Ledger, queue: Queue, scheduler: Scheduler) -> None:
    """The same, by who holds the lease on the records."""
    present = Present(plan, store)
    ended = [Ended(*found) for found in queue.ended()]
    jobs = {one.ref: [job for job in _jobs(one, plan) if not present.done(job)] for one in ended}
    open_ends = [one for one in ended if jobs[one.ref] and not ledger.said_end(one.record, one.index)]
    doubtful = [one for one in open_ends if any(_unsaid(one, job, store) for job in jobs[one.ref])]
    begun = {one.ref for one in doubtful if any(_begun(one, job, store) for job in jobs[one.ref])}
    known = _ask(doubtful, begun, scheduler)
    for one in doubtful:
        _write_failures(one, known.get(one.ref), jobs[one.ref], store, ledger)
    # Of a node that is gone nothing is known until the lease of what ran there has run out.
    undecided = {one.ref for one in open_ends if any(_held(job, store) for job in jobs[one.ref])}
    left: dict[str, int] = {}
    for one in ended:
        left[one.record.key] = left.get(one.record.key, 0) + (one.ref not in undecided)
    for record in queue.records:
        if record.slurm_id and left.get(record.key) == len(record.elements):
            ledger.close(record, ENDED)
            tidy(ledger.runs(record.key))


def _jobs(one: Ended, plan: Plan) -> list[Job]:
    """The jobs of an element that the plan still has."""
    members = {member.job: member.identity for member in one.record.elements[one.index]}
    jobs = (plan.by_id.get(name) for name in members)
    return [job for job in jobs if job is not None and job.identity in members.values()]


def _unsaid(one: Ended, job: Job, store: Store) -> bool:
    """Whether nothing says how a job fared in an element that has ended."""
    if _held(job, store):
        return False
    attempt = last_attempt(store, job.identity)
    record = attempt.read() if attempt else {}
    if _ref_of(record) == one.ref:
        said = failure_of(record) is not None or OUTSIDE in str(record.get("note", ""))
        return not said and record.get("exit") in (None, *_STOPPED)
    return str(record.get("began", "")) < one.record.asked  # it did not come to begin, here or elsewhere


def _begun(one: Ended, job: Job, store: Store) -> bool:
    """Whether a job's newest attempt was made in an element."""
    attempt = last_attempt(store, job.identity)
    return attempt is not None and _ref_of(attempt.read()) == one.ref


def _held(job: Job, store: Store) -> bool:
    return holder(store.work_path(job.work_key)) is not None


def _ref_of(record: Mapping[str, Any]) -> str:
    place = record.get("slurm")
    return str(place.get("job", "")) if isinstance(place, dict) else ""


def _ask(ended: Sequence[Ended], begun: Collection[str], scheduler: Scheduler) -> Mapping[str, Entry]:
    """How they ended, by reference: squeue knows for minutes, accounting thereafter, where there is any."""
    found = {one.ref: one.entry for one in ended if one.entry is not None}
    # squeue does not say whether somebody cancelled a job, or with which code one failed that ran.
    vague = {
        one.ref
        for one in ended
        if one.entry is not None
        and (one.entry.state == "CANCELLED" or (one.entry.state == "FAILED" and one.ref in begun))
    }
    lacking = [one for one in ended if one.entry is None or one.ref in vague]
    if not lacking:
        return found
    jobs = sorted({one.record.slurm_id for one in lacking})
    try:
        entries = scheduler.accounts(jobs, min(one.record.asked for one in lacking))
    except SlurmError:  # no accounting, or it is down: the markers say what they can
        return found
    for one in lacking:
        entry = entry_of(entries, one.record, one.index)
        if entry is not None and entry.ended:
            found[one.ref] = entry
        elif one.ref not in begun and one.entry is None and entry is None and _taken_out(one.record, entries):
            found[one.ref] = Entry(one.ref, "CANCELLED", one.record.name, by="?")
    return found


def _taken_out(record: Record, entries: Mapping[str, Entry]) -> bool:
    """Whether accounting knows others of an array: only what is cancelled while it waits is forgotten."""
    return any(entry_of(entries, record, index) is not None for index in record.elements)


def _write_failures(
    one: Ended, entry: Entry | None, jobs: Sequence[Job], store: Store, ledger: Ledger
) -> None:
    cancelled = Cancelled(store)
    cancelled.look()
    for job in jobs:
        if job.identity in cancelled or not _unsaid(one, job, store):
            continue
        attempt = last_attempt(store, job.identity)
        begun = _begun(one, job, store)
        if entry and entry.state == "CANCELLED" and entry.by and not begun:
            _write_cancelled(one, job, store)
            continue
        failure = _failure(one, entry, ledger.output(one.record, one.index), begun=begun)
        if failure is None or (failure.kind == "time-out" and begun and attempt and came_further(attempt)):
            continue
        if begun and attempt and attempt.read().get("exit") in _STOPPED and failure.kind == "killed":
            if entry and entry.state == "CANCELLED":
                attempt.annotate(f"SLURM job {one.ref} was {OUTSIDE}")
            continue  # it came to save and to say so: it only has to go on
        if attempt is None or not begun:
            attempt = new_attempt(store, job.identity)
            attempt.begin(job.id, {"job": one.ref, "node": entry.node if entry else ""})
            lines = last_lines(ledger.output(one.record, one.index))
            attempt.log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        attempt.end(1, failure, note=OUTSIDE if entry and entry.state == "CANCELLED" else "")


def _write_cancelled(one: Ended, job: Job, store: Store) -> None:
    """Note that somebody took a job out of the queue: a controller does not put it back."""
    attempt = new_attempt(store, job.identity)
    attempt.begin(job.id, {"job": one.ref, "node": ""})
    note = f"SLURM job {one.ref} was {OUTSIDE}"
    attempt.log.write_text(f"{note}, before it began\n", encoding="utf-8")
    attempt.end(EXIT_INTERRUPTED, note=note)


def came_further(attempt: Attempt) -> bool:
    """Whether it saved a step that the attempt before it had not: then it only has to go on."""
    advance = Advance()
    for event in read_events(attempt.events):
        advance.take(event)
    return advance.made


def _failure(one: Ended, entry: Entry | None, output: Path, *, begun: bool) -> Failure | None:
    """What its end means for a job that said nothing; None if it was only never begun."""
    where = f"SLURM job {one.ref}" + (f" on {entry.node}" if entry and entry.node else "")
    if entry is None:
        said = f"{where} is gone, and SLURM does not say any more how it ended"
        return Failure("killed", said) if begun else None
    if entry.state in MEANS:
        kind, means = MEANS[entry.state]
        return Failure(kind, f"{means}, {where}")
    if entry.state == "CANCELLED":
        who = f" by user {entry.by}" if entry.by else ""
        return Failure("killed", f"{where} was cancelled{who}, not by exc") if begun else None
    how = f"SLURM: {entry.state}" + (f", exit code {entry.code}" if entry.code else "")
    if begun:
        return Failure("killed", f"{where} ended before the job could say why ({how})")
    return Failure("error", f"{where} ended before the job began ({how}); what it said: {output}")
