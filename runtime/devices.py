"""The GPUs of a job's process: as many as the plan gives it, or none; and that they are really there."""

from __future__ import annotations

import os
import socket

from exc.compiler.launch import world_size
from exc.compiler.plan import Job
from exc.runtime.context import JobFailed
from exc.spec.profiles import TOGETHER
from exc.spec.words import plural

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Kinds that compute on the GPU where there is one.
ON_DEVICE = frozenset({*TOGETHER, "sample", "bits_per_byte", "lm_eval", "smoke"})


def usable(job: Job) -> int:
    """How many GPUs of its node a job may see.

    One process that trains sees one: of several, Trainer would take them all, each with a whole batch.
    """
    gpus = int(job.resources.get("gpus") or 0)
    alone = job.kind in (*TOGETHER, "smoke") and world_size(job.kind, job.resources) == 1
    return min(gpus, 1) if alone else gpus


def show_gpus(number: int) -> None:
    """Leave so many of the GPUs in sight, for a job that is run by hand as for one that is submitted.

    Call it before anything asks CUDA, which reads the variable once.
    """
    named = os.environ.get(VISIBLE)
    found = [str(index) for index in range(number)] if named is None else named.split(",")
    os.environ[VISIBLE] = ",".join(found[:number])


def check_gpus(number: int) -> None:
    """Raise JobFailed unless torch sees so many GPUs: on a processor it would be another computation."""
    if not number:
        return
    import torch

    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if seen >= number:
        return
    said = f"the plan gives this job {plural(number, 'GPU')}, and torch sees {seen or 'none'}"
    if not (torch.version.cuda or torch.version.hip):
        raise JobFailed("config", f"{said}: torch {torch.__version__} is built for processors alone")
    raise JobFailed("node", f"{said}; on {socket.gethostname()}, `nvidia-smi` says more")


def describe_device() -> str:
    """The GPU's name, or "cpu"; for jobs that load torch in any case."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
