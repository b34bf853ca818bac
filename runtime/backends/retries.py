"""Which jobs are tried again within a run, when, and how often."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from exc.compiler.plan import Job
from exc.runtime.policies import policy_of, retries_of


class Retries:
    """Counts what a run has tried again, and holds what waits for its time."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        self._profile = profile
        self._counts: dict[tuple[str, str], int] = {}  # job id, failure class
        self._later: list[tuple[float, Job]] = []  # monotonic time

    def __bool__(self) -> bool:
        """Whether a job waits for its time."""
        return bool(self._later)

    def take(self, job: Job, kind: str) -> float | None:
        """Plan another try after a failure of this class: the seconds until it, or None if it had enough."""
        count = self._counts.get((job.id, kind), 0) + 1
        if count > retries_of(kind, self._profile):
            return None
        self._counts[job.id, kind] = count
        wait_s = policy_of(kind).wait_before(count)
        self._later.append((time.monotonic() + wait_s, job))
        return wait_s

    def due(self) -> list[Job]:
        """The jobs whose time has come, each once."""
        now = time.monotonic()
        ready = [job for at, job in self._later if at <= now]
        self._later = [(at, job) for at, job in self._later if at > now]
        return ready
