"""Which jobs of a plan must run, and which of them can run now. Pure: it starts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exc.compiler.plan import Job, Plan
from exc.runtime.outputs import Present

# Rough: it only decides what starts first. A process costs seconds whatever it does.
_FLOPS_PER_S = 2e10
_PROCESS_S = 2.0


def needed_jobs(plan: Plan, present: Present) -> list[Job]:
    """Jobs to run, in topological order.

    These are the ends of the plan, and the report's scores, that are not there, and what they lack. An
    ancestor whose readers are all finished is not needed, even if its own
    artifact is gone.
    """
    read = {need.job for job in plan.jobs for need in job.needs}
    cells = {cell.get("job") for cell in plan.report.get("cells", ())}
    needed: set[str] = set()
    for job in reversed(plan.jobs):
        wanted = job.id in needed or job.id not in read or job.id in cells
        if not wanted or present.done(job):
            needed.discard(job.id)
            continue
        needed.add(job.id)
        needed.update(plan.job(need.job).id for need in job.needs if need.artifact not in present)
    return [job for job in plan.jobs if job.id in needed]


class Queue:
    """The jobs still to start. What has arrived, failed or started is told to it."""

    def __init__(self, jobs: Sequence[Job], present: Present) -> None:
        self._waits = {
            job.id: {need.artifact for need in job.needs if need.artifact not in present} for job in jobs
        }
        self._jobs = {job.id: job for job in jobs}
        self._readers: dict[str, list[str]] = {}
        for job in jobs:
            for ref in self._waits[job.id]:
                self._readers.setdefault(ref, []).append(job.id)
        self._urgency = self._paths(jobs)
        self._ready = [job for job in jobs if not self._waits[job.id]]
        self._sort()

    def __len__(self) -> int:
        """How many jobs have not been started, blocked ones not counted."""
        return len(self._waits)

    def ready(self) -> list[Job]:
        """What can start now, the head of the longest remaining path first."""
        return list(self._ready)

    def take(self, job: Job) -> None:
        """A job was started, or found to be done."""
        self._ready.remove(job)
        del self._waits[job.id]

    def put_back(self, job: Job) -> None:
        """A job that was taken has to be started again."""
        self._waits[job.id] = set()
        self._ready.append(job)
        self._sort()

    def arrived(self, refs: Iterable[str]) -> None:
        """Artifacts are there now."""
        for ref in refs:
            for reader in self._readers.pop(ref, ()):
                waits = self._waits.get(reader)
                if waits is None:
                    continue
                waits.discard(ref)
                if not waits:
                    self._ready.append(self._jobs[reader])
        self._sort()

    def failed(self, job: Job) -> list[Job]:
        """Take out all that can no longer run because of a job that was taken; gives it, in plan order."""
        blocked: set[str] = set()
        pending = [job]
        while pending:
            for ref in pending.pop().artifacts():
                for reader in self._readers.pop(ref, ()):
                    if reader in self._waits:
                        del self._waits[reader]
                        blocked.add(reader)
                        pending.append(self._jobs[reader])
        return [other for other in self._jobs.values() if other.id in blocked]

    def waiting(self) -> list[Job]:
        """Every job that has not been started, whether or not it could be."""
        return [self._jobs[name] for name in self._waits]

    def drop(self, job: Job) -> list[Job]:
        """A job is not to be run, taken or not; gives what can no longer run because of it."""
        if self._waits.pop(job.id, None) is not None and job in self._ready:
            self._ready.remove(job)
        return self.failed(job)

    def _sort(self) -> None:
        self._ready.sort(key=lambda job: -self._urgency[job.id])

    def _paths(self, jobs: Sequence[Job]) -> dict[str, float]:
        """For each job the estimated seconds from its start to the end of all that waits for it."""
        after: dict[str, float] = {}
        for job in reversed(jobs):
            readers = (reader for ref in job.artifacts() for reader in self._readers.get(ref, ()))
            own = _PROCESS_S + job.estimate.get("flops", 0.0) / _FLOPS_PER_S
            after[job.id] = own + max((after[reader] for reader in readers), default=0.0)
        return after
