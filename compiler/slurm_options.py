"""What SLURM is asked for: one source for the `#SBATCH` lines of scripts and for who submits otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.launch import nodes

SIGNAL = "USR2"  # what a job is sent when it is to save and stop
DEFAULT_GRACE_S = 120
# Variables that every job gets: of `exc` itself, and without which no shell finds anything.
EXPORTED = ("HOME", "PATH", "USER", "LANG", "EXC_PLAN", "EXC_STORE", "EXC_PYTHON")
_PLACES = ("partition", "account", "qos", "constraint", "reservation", "exclude")
_MIB = 2**20


def sbatch_options(
    resources: Mapping[str, Any], profile: Mapping[str, Any], job_name: str, *, pack: int = 1
) -> dict[str, str]:
    """Long options of `sbatch` without their dashes -> values, "" for a flag, for jobs of these resources.

    `profile` is the plan's. With `pack`, the allocation holds that many of them side by side. What differs
    from one submission to the next (array, dependency, output, hold) is for the caller.
    """
    settings: Mapping[str, Any] = profile.get("slurm", {})
    place = {**settings, **resources.get("slurm", {})}
    out = {"job-name": job_name}
    out |= {name: str(place[name]) for name in _PLACES if place.get(name)}
    out |= _amounts(resources, place.get("gpu_type"), pack)
    # To the batch shell alone, which passes it on; SLURM may send it a minute early.
    out["signal"] = f"B:{SIGNAL}@{settings.get('grace', DEFAULT_GRACE_S)}"
    out["requeue" if settings.get("requeue", True) else "no-requeue"] = ""
    out["open-mode"] = "append"
    out["kill-on-invalid-dep"] = "yes"
    out["export"] = ",".join(exported(profile))
    extra = {**settings.get("extra", {}), **resources.get("slurm", {}).get("extra", {})}
    for name, value in extra.items():
        if value is not False:
            out[name] = "" if value is True else str(value)
    return out


def exported(profile: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the variables that a job gets from where it is submitted."""
    return tuple(dict.fromkeys([*EXPORTED, *profile.get("env", ())]))


def _amounts(resources: Mapping[str, Any], gpu_type: str | None, pack: int) -> dict[str, str]:
    """Nodes, processors, GPUs, memory and time, each per node."""
    gpus = int(resources.get("gpus") or 0) * pack
    out = {
        "nodes": str(nodes(resources)),
        "ntasks-per-node": "1",
        "cpus-per-task": str(int(resources.get("cpus") or 1) * pack),
    }
    if gpus:
        out["gres"] = _gres(gpus, gpu_type)
    if resources.get("mem"):
        out["mem"] = f"{-(-int(resources['mem']) * pack // _MIB)}M"
    if resources.get("time"):
        out["time"] = slurm_time(int(resources["time"]))
    return out


def _gres(gpus: int, gpu_type: str | None) -> str:
    return f"gpu:{gpu_type}:{gpus}" if gpu_type else f"gpu:{gpus}"


def step_options(resources: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, str]:
    """What a step of one node gets of an allocation that others may share: else it takes all of it."""
    place = {**profile.get("slurm", {}), **resources.get("slurm", {})}
    gpus = int(resources.get("gpus") or 0)
    out = {"gres": _gres(gpus, place.get("gpu_type")) if gpus else "none"}
    if resources.get("mem"):
        out["mem"] = f"{int(resources['mem']) // _MIB}M"  # rounded down: together they must fit
    return out


def slurm_time(seconds: int) -> str:
    """Seconds as SLURM writes them, which counts in minutes: rounded up. 90061 -> `1-01:02:00`."""
    minutes = -(-seconds // 60)
    days, minutes = divmod(minutes, 24 * 60)
    return (
        f"{days}-{minutes // 60:02}:{minutes % 60:02}:00"
        if days
        else f"{minutes // 60:02}:{minutes % 60:02}:00"
    )
