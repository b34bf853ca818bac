"""Where each job of a plan stands, from the store's markers: whoever runs it, or ran it, is not asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure, failure_of, last_attempt
from exc.runtime.events import last_events
from exc.runtime.files import names
from exc.runtime.lease import Holder, holder
from exc.runtime.outputs import Present
from exc.runtime.owner import owner_from_json
from exc.runtime.ready import needed_jobs
from exc.runtime.requests import Cancelled
from exc.runtime.store import Store

if TYPE_CHECKING:
    from exc.runtime.slurm.queue import Place, Queue

Word = Literal[
    "done", "running", "queued", "failed", "cancelled", "interrupted", "waiting", "blocked", "unneeded"
]
WORDS: tuple[Word, ...] = get_args(Word)


@dataclass(frozen=True, slots=True)
class JobState:
    """A job's state. `unneeded` is a job that is not there and that nothing unfinished reads."""

    word: Word
    attempt: Attempt | None = None  # the newest, unless done
    failure: Failure | None = None  # of a failed job
    blocked_by: str = ""  # the failed or cancelled job that keeps a blocked one from running
    progress: Mapping[str, Any] | None = None  # the last progress event of a running or interrupted job
    holder: Holder | None = None  # who runs it
    place: Place | None = None  # where a queued job is in a cluster's queue


def job_states(plan: Plan, store: Store, queue: Queue | None = None) -> dict[str, JobState]:
    """The state of every job, by id, in plan order.

    Costs one folder listing per kind, and a few reads for each job that was begun and is not done. Of a plan
    that runs on a cluster the queue is asked first, if it is not given.
    """
    if queue is None and plan.profile.get("backend") == "slurm":
        from exc.runtime.slurm.looking import look_on

        queue = look_on(plan, store)
    present = Present(plan, store)
    needed = {job.id for job in needed_jobs(plan, present)}
    tried = set(names(store.root / "attempts"))
    worked = set(names(store.root / "work"))
    cancelled = Cancelled(store)
    cancelled.look()
    states: dict[str, JobState] = {}
    for job in plan.jobs:
        if present.done(job):
            states[job.id] = _DONE
        elif job.identity in tried or job.work_key in worked:
            states[job.id] = _begun(job, store, job.id in needed)
        else:
            states[job.id] = _WAITING if job.id in needed else _UNNEEDED
        if states[job.id].word in ("waiting", "interrupted") and job.identity in cancelled:
            states[job.id] = replace(states[job.id], word="cancelled")
        if queue is not None:
            states[job.id] = _queued(job, states[job.id], queue)
        if states[job.id].word in ("waiting", "interrupted", "queued"):
            states[job.id] = _blocked(plan, job, present, states) or states[job.id]
    return states


def _queued(job: Job, state: JobState, queue: Queue) -> JobState:
    """The state of a job that a cluster is to run, unless it has had its turn there."""
    place = queue.live.get(job.identity)
    if place is None or state.word not in ("waiting", "interrupted", "failed", "running"):
        return state
    record = state.attempt.read() if state.attempt else {}
    here = record.get("slurm", {}).get("job") == place.ref
    if state.word == "failed" and here:
        return state
    if state.word == "running" and (place.entry.runs or not here or not queue.fresh):
        return state  # else the node is gone, and the lease has yet to run out
    return replace(state, word="queued", failure=None, holder=None, place=place)


_DONE, _WAITING, _UNNEEDED = JobState("done"), JobState("waiting"), JobState("unneeded")


def _begun(job: Job, store: Store, needed: bool) -> JobState:
    """The state of a job that is not done, but was tried or has resume state."""
    attempt = last_attempt(store, job.identity)
    record = attempt.read() if attempt else {}
    held = holder(store.work_path(job.work_key))
    if held is not None and (held.label == job.id or held.owner == owner_from_json(record)):
        return JobState("running", attempt, progress=_progress(attempt), holder=held)
    if not needed:
        return _UNNEEDED
    failure = failure_of(record)
    if failure is not None:
        return JobState("failed", attempt, failure)
    if "began" in record:
        return JobState("interrupted", attempt, progress=_progress(attempt))
    return JobState("waiting", attempt)


def _progress(attempt: Attempt | None) -> Mapping[str, Any] | None:
    events = last_events(attempt.events) if attempt else []
    return next((event for event in reversed(events) if event["event"] == "progress"), None)


def _blocked(plan: Plan, job: Job, present: Present, states: Mapping[str, JobState]) -> JobState | None:
    for need in job.needs:
        state = states[plan.job(need.job).id]
        if need.artifact not in present and state.word in ("failed", "cancelled", "blocked"):
            return JobState("blocked", blocked_by=state.blocked_by or need.job)
    return None
