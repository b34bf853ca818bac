"""What of this machine is free: CPU slots and GPUs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from exc.compiler.plan import Job
from exc.runtime.backends.inventory import usable_gpus
from exc.spec.words import plural


@dataclass(frozen=True, slots=True)
class Claim:
    """What a running job holds."""

    cpus: int
    gpus: tuple[str, ...]


class Slots:
    """Counts what running jobs hold. A job that asks for more CPUs than there are gets all of them."""

    def __init__(self, cpus: int | None = None, gpus: tuple[str, ...] | None = None) -> None:
        self.cpus = cpus or usable_cpus()
        self.gpus = usable_gpus() if gpus is None else gpus
        self._free_cpus = self.cpus
        self._free_gpus = list(self.gpus)

    def lacks(self, job: Job) -> str | None:
        """Why this machine can never run a job, or None."""
        gpus = _gpus(job)
        if gpus <= len(self.gpus):
            return None
        there = plural(len(self.gpus), "GPU")
        return (
            f"it asks for {plural(gpus, 'GPU')}, this machine has {there}\nlower `gpus` under `resources` in "
            "the profile; if there are more than exc sees, say how many: `gpus` of the profile, or --gpus"
        )

    def claim(self, job: Job) -> Claim | None:
        """Take what a job needs, if it is free now."""
        cpus = min(int(job.resources.get("cpus") or 1), self.cpus)
        gpus = _gpus(job)
        if cpus > self._free_cpus or gpus > len(self._free_gpus):
            return None
        claim = Claim(cpus, tuple(self._free_gpus[:gpus]))
        self._free_cpus -= cpus
        del self._free_gpus[:gpus]
        return claim

    def release(self, claim: Claim) -> None:
        self._free_cpus += claim.cpus
        self._free_gpus += claim.gpus


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def _gpus(job: Job) -> int:
    return int(job.resources.get("gpus") or 0)
