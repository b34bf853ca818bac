"""Whether this machine has what a local profile asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.backends.inventory import usable_gpus
from exc.runtime.backends.slots import usable_cpus
from exc.runtime.doctor.findings import Finding, failure, ok, warning
from exc.spec.units import format_bytes

_LITTLE = 4 * 10**9  # bytes of memory


def check_machine(plan: Plan | None, profile: Mapping[str, Any]) -> Iterator[Finding]:
    """Processors, GPUs and memory, against the job that wants most of each."""
    jobs = plan.jobs if plan is not None else ()
    cpus = max((int(job.resources.get("cpus") or 1) for job in jobs), default=1)
    gpus = max((int(job.resources.get("gpus") or 0) for job in jobs), default=0)
    yield from _enough("cpus", int(profile.get("slots") or usable_cpus()), cpus, usable_cpus(), "slots")
    there = len(usable_gpus())
    yield from _enough("gpus", min(there, int(profile.get("gpus", there))), gpus, there, "gpus")
    free, total = _memory()
    if total is not None and free is not None:
        said = f"{format_bytes(free, 2)} of {format_bytes(total, 2)} are free"
        yield ok("memory", said) if free >= _LITTLE else warning("memory", said, "end what is not needed")


def _enough(what: str, given: int, wanted: int, there: int, key: str) -> Iterator[Finding]:
    if wanted > given:
        todo = f"lower `{what}` under `resources`" + (f", or raise `{key}`" if given < there else "")
        yield failure(what, f"a job asks for {wanted}, and {given} may be used of {there}", todo)
    elif given > there:
        said = f"the profile says {given} `{key}`, and this machine has {there}"
        yield warning(what, said, "more jobs than processors at once are slower, not faster")
    else:
        yield ok(what, f"{given} to use; the largest job takes {wanted}")


def _memory() -> tuple[int | None, int | None]:
    """Bytes that are available, and in all."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        free, total = (int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
        return free, total
    except (OSError, KeyError, ValueError):
        return None, None
