"""`exc cancel` on a cluster: what has not started leaves the queue; what runs finds the request itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from exc.compiler.plan import Plan
from exc.runtime.outputs import Present
from exc.runtime.slurm.queue import Queue
from exc.runtime.slurm.records import Ledger
from exc.runtime.slurm.scheduler import Scheduler, SlurmError
from exc.runtime.store import Store


@dataclass(frozen=True, slots=True)
class TakenOut:
    """References of elements, and why SLURM could not be told, if it could not."""

    refs: tuple[str, ...] = ()
    problem: str = ""


def take_out(
    plan: Plan, store: Store, queue: Queue, gone: Collection[str], twice: Collection[str]
) -> TakenOut:
    """Take elements out of the queue of which no job is to be run any more.

    `gone`: identities of the jobs that are not to be run. `twice`: of those that somebody had cancelled
    before and that run nevertheless: their allocation is ended, too.
    """
    present = Present(plan, store)
    identities = {job.identity for job in plan.jobs if not present.done(job)}
    pending: dict[str, None] = {}
    stubborn: dict[str, None] = {}
    for identity, place in queue.live.items():
        members = {member.identity for member in place.record.elements[place.index]} & identities
        if identity not in gone or not members <= set(gone):
            continue
        if not place.entry.runs:
            pending.setdefault(place.ref)
        elif members <= set(twice):
            stubborn.setdefault(place.ref)
    scheduler = Scheduler()
    try:
        queue.note_taken_out(Ledger(store, plan.experiment), pending)
        scheduler.cancel(list(pending), pending=True)
        scheduler.cancel(list(stubborn))
    except SlurmError as error:
        return TakenOut((), str(error))
    return TakenOut((*pending, *stubborn))
