"""The fake and a real SLURM under one set of questions, for what holds of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.slurm.cluster import Cluster
from tests.slurm.fake import FakeSlurm

World = FakeSlurm | Cluster
T = TypeVar("T")


def sbatch(world: World, *options: str, wrap: str = "true") -> str:
    return world.run("sbatch", "--parsable", *options, f"--wrap={wrap}", cwd=Path.cwd()).stdout.strip()


def rows(world: World, *options: str, fields: str) -> list[str]:
    return sorted(world.run("squeue", "-h", "-o", fields, *options).stdout.splitlines())


def states(world: World, *jobs: str) -> list[str]:
    """`12_3 COMPLETED`, of everything that is still known of these jobs."""
    return rows(world, "-r", "-t", "all", "-j", ",".join(jobs), fields="%i %T")


def accounted(world: World, *jobs: str, fields: str = "JobID,State") -> list[str]:
    out = world.run("sacct", "-n", "-P", "-X", "-j", ",".join(jobs), "-o", fields).stdout
    return sorted(out.splitlines())


def until(expected: T, value: Callable[[], T], seconds: float = 30.0) -> None:
    """Asserts that a value becomes what is expected; of a list, in any order."""

    def now() -> T | list[object]:
        found = value()
        return sorted(found) if isinstance(found, list) else found

    wanted = sorted(expected) if isinstance(expected, list) else expected
    end = time.monotonic() + seconds
    while now() != wanted and time.monotonic() < end:
        time.sleep(0.2)
    assert now() == wanted


def failed(world: World, *argv: str) -> tuple[int, str]:
    done = world.run(*argv, check=False, cwd=Path.cwd())
    assert done.stdout == ""
    return done.returncode, done.stderr.removesuffix("\n")
