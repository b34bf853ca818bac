"""`exc cancel`: have jobs saved and stopped, and not started again before the next `exc submit`.

The wish is left in the store (`requests`), where whoever submits finds it within a second. A job that runs is
asked by its lease, which it looks at every few seconds wherever it runs; on this machine by a signal as well,
sent to the very process that holds the lease and to no other that may have come by its number.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.runtime.lease import Holder, ask_to_stop
from exc.runtime.outputs import Present
from exc.runtime.owner import Owner
from exc.runtime.ready import needed_jobs
from exc.runtime.requests import Cancelled as Requested
from exc.runtime.requests import ask_to_cancel
from exc.runtime.selecting import find_jobs, find_one, is_pattern, jobs_of_recipe, jobs_of_trunk
from exc.runtime.slurm.cancelling import TakenOut, take_out
from exc.runtime.slurm.looking import look_on
from exc.runtime.state import JobState, job_states
from exc.runtime.store import Store


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be cancelled, one of: some job's name, a recipe, a trunk, everything."""

    job: str = ""
    recipe: str = ""
    trunk: str = ""

    def text(self) -> str:
        if self.recipe or self.trunk:
            return f"recipe {self.recipe}" if self.recipe else f"trunk {self.trunk}"
        return self.job or "all"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What was asked. Job ids, in plan order."""

    stopping: Mapping[str, Holder]  # they run, and were asked to save and stop
    unstarted: Sequence[str]  # they will not be started
    failed: Sequence[str]  # they ended before, and will not be tried again
    blocked: Sequence[str]  # they read from these, and cannot be run without
    spared: Mapping[str, str]  # they go on, because this other job needs them
    finished: int  # of those named, how many were done before
    taken: TakenOut = field(default_factory=TakenOut)  # out of a cluster's queue

    @property
    def anything(self) -> bool:
        return bool(self.stopping or self.unstarted or self.failed)

    def to_json(self) -> dict[str, Any]:
        return {
            "stopping": [
                {"id": job_id, "owner": held.owner.to_json() if held.owner else None}
                for job_id, held in self.stopping.items()
            ],
            "unstarted": list(self.unstarted),
            "failed": list(self.failed),
            "blocked": list(self.blocked),
            "spared": [{"id": job_id, "needed_by": reader} for job_id, reader in self.spared.items()],
            **({"slurm": list(self.taken.refs)} if self.taken.refs else {}),
            **({"problem": self.taken.problem} if self.taken.problem else {}),
        }


def cancel(plan: Plan, store: Store, wish: Wish) -> Cancelled:
    """Ask for what is wished. Raises LookupError if nothing in the plan is meant, OSError from the store."""
    named = _named(plan, wish)
    queue = look_on(plan, store)
    states = job_states(plan, store, queue)
    present = Present(plan, store)
    open_jobs = [job for job in named if not present.done(job)]
    needed = needed_jobs(plan, present)
    going = [job for job in needed if states[job.id].word not in ("cancelled", "blocked")]
    spared = _spared(open_jobs, going, present) if wish.recipe or wish.trunk else {}
    left_out = ("unneeded", "cancelled")  # nobody runs them as it is
    chosen = [job for job in open_jobs if job.id not in spared and states[job.id].word not in left_out]
    before = Requested(store)
    before.look()
    twice = {job.identity for job in chosen if job.identity in before}
    if chosen:
        ask_to_cancel(store, wish.text(), chosen)
    stopping = {}
    for job in chosen:
        held = states[job.id].holder
        if states[job.id].word == "running" and held is not None:
            ask_to_stop(store.work_path(job.work_key), held)
            if held.owner is not None:
                _signal(held.owner)
            stopping[job.id] = held
    ids = {job.id for job in chosen}
    failed = [job.id for job in chosen if states[job.id].word == "failed"]
    blocked = _downstream(plan, needed, ids, present, states)
    taken = TakenOut()
    if queue is not None:
        gone = {plan.job(name).identity for name in (*ids, *blocked)}
        taken = take_out(plan, store, queue, gone, twice)
    return Cancelled(
        stopping,
        [job.id for job in chosen if job.id not in stopping and job.id not in failed],
        failed,
        blocked,
        spared,
        len(named) - len(open_jobs),
        taken,
    )


def _named(plan: Plan, wish: Wish) -> list[Job]:
    if wish.recipe:
        return jobs_of_recipe(plan, wish.recipe)
    if wish.trunk:
        return jobs_of_trunk(plan, wish.trunk)
    if not wish.job:
        return list(plan.jobs)
    return find_jobs(plan, wish.job) if is_pattern(wish.job) else [find_one(plan, wish.job)]


def _spared(chosen: Sequence[Job], needed: Sequence[Job], present: Present) -> dict[str, str]:
    """Of the chosen, those that a needed job outside of them waits for, through others or not -> that job."""
    ids = {job.id for job in chosen}
    spared: dict[str, str] = {}
    for job in reversed(needed):
        if job.id in ids and job.id not in spared:
            continue
        for need in job.needs:
            if need.job in ids and need.artifact not in present:
                spared.setdefault(need.job, spared.get(job.id, job.id))
    return spared


def _downstream(
    plan: Plan,
    needed: Sequence[Job],
    cancelled: Collection[str],
    present: Present,
    states: Mapping[str, JobState],
) -> list[str]:
    """Needed jobs that wait for something cancelled, in plan order."""
    held = set(cancelled)
    found = []
    for job in needed:
        if job.id in held or states[job.id].word in ("running", "done", "failed"):
            continue
        if any(plan.job(need.job).id in held and need.artifact not in present for need in job.needs):
            held.add(job.id)
            found.append(job.id)
    return found


def _signal(owner: Owner) -> bool:
    """Ask a process of this machine to stop, if it is the one meant; says whether it was asked.

    USR2, because it may be said twice: a second TERM is an order to end without saving.
    """
    if not owner.alive():  # gone, or on a machine that cannot be seen from here
        return False
    try:
        descriptor = os.pidfd_open(owner.pid)
    except OSError:
        return False
    try:
        if not owner.alive():  # its number may have gone to another before it was opened
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGUSR2)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
