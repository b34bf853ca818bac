"""Looking on from outside: where the jobs of a plan are in SLURM's queue, and what is to be said of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from exc.compiler.plan import Plan
from exc.runtime.slurm.endings import settle
from exc.runtime.slurm.parsing import HELD_BY_USER
from exc.runtime.slurm.queue import Place, Queue, look
from exc.runtime.slurm.records import Ledger
from exc.runtime.slurm.scheduler import Scheduler
from exc.runtime.store import Store
from exc.spec.words import plural

ANSWERS_S = 20.0  # who looks on does not wait for long: the markers say most of it
_LOOK_EVERY_S = 15.0  # for who looks on all the time: the scheduler has others to serve
# SLURM's reasons that nobody has to do anything about.
_WAITS: Mapping[str, str] = {
    "": "to be looked at by SLURM",
    "BeginTime": "for SLURM to start it again",
    "Cleaning": "for its node to be cleaned up",
    "Dependency": "for other jobs",
    "None": "to be looked at by SLURM",
    "Priority": "for jobs with a higher priority",
    "Resources": "for free nodes",
}
_MOST_REFS = 3


def on_cluster(plan: Plan) -> bool:
    return plan.profile.get("backend") == "slurm"


def look_on(plan: Plan, store: Store) -> Queue | None:
    """The queue as it is, or was last seen; None for a plan that runs elsewhere. Never raises.

    What ended without a word is written down on the way, where the store may be written.
    """
    if not on_cluster(plan):
        return None
    ledger, scheduler = Ledger(store, plan.experiment), Scheduler(ANSWERS_S)
    queue = look(ledger, scheduler)
    settle(plan, store, ledger, queue, scheduler)
    return queue


class Looking:
    """For who looks on again and again: the queue is asked for now and then."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan, self._store = plan, store
        self._queue: Queue | None = None
        self._looked = 0.0

    def queue(self) -> Queue | None:
        if self._queue is None or time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._queue = look_on(self._plan, self._store)
            self._looked = time.monotonic()
        return self._queue


def why_queued(place: Place) -> str:
    """What an element waits for, in a few words: `for other jobs`."""
    entry = place.entry
    if entry.runs:
        return "to begin in an allocation that runs"
    if place.held_by_us:
        return "held until all is queued; `exc submit` sees to that, if it was broken off"
    if entry.reason == HELD_BY_USER:
        return "held by its user (scontrol hold)"
    if entry.never:
        return "for a job that has failed, so that it will never run"
    if entry.state == "UNKNOWN":
        return "as far as is known"
    return _WAITS.get(entry.reason, f"SLURM says: {entry.reason}")


def queue_lines(queue: Queue, queued: Mapping[str, Place]) -> list[str]:
    """What `exc status` says of the queue. `queued`: jobs that are in it and have not begun."""
    lines = []
    if not queue.fresh:
        seen = f"as of {queue.at}" if queue.at else "never seen"
        lines.append(
            f"the scheduler does not answer ({queue.problem}): the queue is {seen}; the rest is certain"
        )
    reasons = Counter(why_queued(place) for place in queued.values())
    for why, count in reasons.most_common():
        refs = list(dict.fromkeys(place.ref for place in queued.values() if why_queued(place) == why))
        named = ", ".join(refs[:_MOST_REFS]) + (", ..." if len(refs) > _MOST_REFS else "")
        lines.append(f"queued {plural(count, 'job')}, {_waiting(why)} (SLURM {named})")
    return lines


def queued_text(place: Place) -> str:
    """`it is queued as SLURM job 42_3, waiting for other jobs`."""
    return f"it is queued as SLURM job {place.ref}, {_waiting(why_queued(place))}"


def _waiting(why: str) -> str:
    return f"waiting {why}" if why.startswith(("for ", "to ")) else why
