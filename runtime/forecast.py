"""How long a run will still take, when that can be said honestly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exc.compiler.plan import Job


@dataclass
class Forecast:
    """Learns from jobs that ended what others of their class will take."""

    slots: int
    _seconds: dict[str, float] = field(default_factory=dict)
    _weight: dict[str, float] = field(default_factory=dict)

    def learn(self, job: Job, seconds: float) -> None:
        self._seconds[job.cls] = self._seconds.get(job.cls, 0.0) + seconds
        self._weight[job.cls] = self._weight.get(job.cls, 0.0) + _weight(job)

    def whole(self, job: Job) -> float | None:
        """Seconds that a job takes from its start, by its like; None if none of its class has ended."""
        weight = self._weight.get(job.cls)
        return self._seconds[job.cls] * _weight(job) / weight if weight else None

    def left(self, job: Job, elapsed: float, progress: Mapping[str, Any]) -> float | None:
        """Seconds that a running job still takes, by its own steps or else by its like."""
        step, total = progress.get("step"), progress.get("total")
        if isinstance(step, int | float) and isinstance(total, int | float) and 0 < step <= total:
            return elapsed * (total - step) / step
        whole = self.whole(job)
        return None if whole is None else max(0.0, whole - elapsed)

    def remaining(
        self, running: Iterable[tuple[Job, float, Mapping[str, Any]]], waiting: Iterable[Job]
    ) -> float | None:
        """Seconds until all is done, if every slot is kept busy; None while a job is like none seen.

        `running` gives each job with the seconds since its start and its last progress event.
        """
        total = longest = 0.0
        for job, elapsed, progress in running:
            left = self.left(job, elapsed, progress)
            if left is None:
                return None
            total, longest = total + left * _cpus(job), max(longest, left)
        for job in waiting:
            whole = self.whole(job)
            if whole is None:
                return None
            total += whole * _cpus(job)
        return max(longest, total / self.slots)


def _weight(job: Job) -> float:
    return job.estimate.get("flops") or 1.0


def _cpus(job: Job) -> int:
    return int(job.resources.get("cpus") or 1)
