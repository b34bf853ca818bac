"""What becomes of a job that has ended, and of those that read from it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure
from exc.runtime.backends.interrupts import Interrupts
from exc.runtime.backends.retries import Retries
from exc.runtime.outputs import link_results
from exc.runtime.ready import Queue
from exc.runtime.reporter import Outcome, Reporter
from exc.runtime.requests import Cancelled
from exc.runtime.room import Room
from exc.runtime.store import Store

_MAX_RESTARTS = 3  # of a job that stops without being asked by this run


class Settling:
    """Tells the queue and the reporter of every end, and keeps the outcome of the run."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        queue: Queue,
        reporter: Reporter,
        room: Room,
        requests: Cancelled,
        interrupts: Interrupts,
    ) -> None:
        self._plan, self._store, self._queue, self._reporter = plan, store, queue, reporter
        self._room, self._requests, self._interrupts = room, requests, interrupts
        self._restarts: dict[str, int] = {}
        self.retries = Retries(plan.profile)
        self.outcome = Outcome()

    def is_cancelled(self, job: Job) -> bool:
        """Whether somebody has asked, up to now, that it is not run."""
        self._requests.look()
        return job.identity in self._requests

    def finished(self, job: Job, seconds: float, *, elsewhere: bool) -> None:
        """All of it is in the store, by this run or, `elsewhere`, by another."""
        if elsewhere:
            with contextlib.suppress(OSError):  # of a full disk; the next run makes them
                link_results(self._plan, job, self._store)
        self.outcome.done[job.id] = seconds
        self._queue.arrived(job.artifacts())
        self._reporter.done(job, seconds, elsewhere=elsewhere)

    def failed(self, job: Job, failure: Failure, attempt: Attempt) -> None:
        """It is tried again, if its profile says so; else what reads from it is not run."""
        if failure.kind == "disk":
            self._room.suspect()
        if not self._interrupts.asked and (wait_s := self.retries.take(job, failure.kind)) is not None:
            return self._reporter.retrying(job, failure, wait_s)
        # What it published before it failed can still be read.
        self._queue.arrived(ref for ref in job.artifacts() if self._store.ref_path(ref).is_dir())
        blocked: Sequence[Job] = self._queue.failed(job)
        self.outcome.failed[job.id] = (failure, attempt)
        self.outcome.blocked.update((other.id, job.id) for other in blocked)
        return self._reporter.failed(job, failure, attempt, blocked)

    def stopped(self, job: Job) -> None:
        """The job ended before it was done, without fault: to be resumed now, or by the next run."""
        if self.is_cancelled(job):
            return self.cancelled(job)
        self._restarts[job.id] = self._restarts.get(job.id, 0) + 1
        if not self._interrupts.asked and self._restarts[job.id] <= _MAX_RESTARTS:
            return self._queue.put_back(job)
        self.outcome.interrupted.append(job.id)
        return self._reporter.stopped(job)

    def cancelled(self, job: Job) -> None:
        """Somebody asked that it is not run; nor is what reads from it."""
        # What it published before can still be read.
        self._queue.arrived(ref for ref in job.artifacts() if self._store.ref_path(ref).is_dir())
        blocked = self._queue.drop(job)
        self.outcome.cancelled[job.id] = ""
        self.outcome.cancelled.update((other.id, job.id) for other in blocked)
        self._reporter.cancelled(job, blocked)
