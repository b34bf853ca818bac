"""Trackers of a profile, fed from a training job's events by a process of its own beside the job.

The job writes its events as ever and knows nothing of trackers; the process reads them as `exc watch` does.
So a tracker can neither fail nor slow a job, shares no random state, signal handler or import with it, and
finishes what it has to send when the job is killed. One run of a tracker is one computation under one name,
over all attempts; of steps that a resumed attempt takes again, only those not sent before are sent.

That process is `tracker_feed`; `tracker_kinds` knows the trackers.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt
from exc.runtime.files import write_json
from exc.runtime.owner import this_process
from exc.runtime.selecting import place_of
from exc.runtime.store import Store

FOLDER = "trackers"  # of the store
SETUP, LOG = "trackers.json", "trackers.log"  # of an attempt
_WAIT_S = 20.0  # for the process, where its end would be that of everything the job started


@dataclass(frozen=True, slots=True)
class RunSetup:
    """What a tracker is told of a run once. `tags` are like `recipe:rl`."""

    run_id: str
    name: str
    project: str
    config: Mapping[str, Any]
    tags: tuple[str, ...]
    settings: Mapping[str, Any]  # of the profile: name, project, mode, entity, folder
    folder: Path


class Tracker(Protocol):
    """One tracker's run. May raise whatever it likes: it is then left out, and the log says so."""

    def log(self, step: int, values: Mapping[str, float], at: float) -> None:
        """Values at a step, greater than the last; `at` is in unix seconds."""

    def finish(self) -> None: ...


# In the job


def run_id(job: Job) -> str:
    """The same in every attempt, and another wherever the computation or the name is."""
    return hashlib.sha256(f"{job.work_key} {job.id}".encode()).hexdigest()[:16]


def tags_of(job: Job) -> tuple[str, ...]:
    """Where the job stands: `trunk:tiny`, `checkpoint:600`, `recipe:rl`, `replicate:0`."""
    place = place_of(job.id)
    parts = {
        "trunk": place.trunk,
        "checkpoint": place.checkpoint,
        "recipe": place.recipe,
        "replicate": place.replicate,
    }
    return tuple(f"{name}:{value}" for name, value in parts.items() if value)


def start(plan: Plan, job: Job, store: Store, root: Path, attempt: Attempt) -> subprocess.Popen[bytes] | None:
    """Begin to feed the profile's trackers with a training job's events; None where there is nothing to feed.

    Never raises: what goes wrong is said in the job's log.
    """
    wanted = plan.profile.get("trackers") or ()
    if not wanted or not job.kept:
        return None
    try:
        setup = {
            "owner": this_process().to_json(),
            "store": str(store.root),
            "root": str(root),
            "run_id": run_id(job),
            "name": job.id,
            "experiment": plan.experiment,
            "config": dict(job.config),
            "tags": tags_of(job),
            "trackers": [dict(one) for one in wanted],
        }
        write_json(attempt.path / SETUP, setup)
        with (attempt.path / LOG).open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "exc.runtime.tracker_feed", str(attempt.path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what stops or kills the job leaves it to finish
            )
    except (OSError, TypeError, ValueError) as error:
        say(attempt, f"no tracker could be started: {error}")
        return None


def let_finish(process: subprocess.Popen[bytes] | None) -> None:
    """Wait for the process under a scheduler that would end it with the job; else it finishes by itself."""
    if process is not None and "SLURM_JOB_ID" in os.environ:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_WAIT_S)


def say(attempt: Attempt, text: str) -> None:
    with suppress(OSError), attempt.log.open("a", encoding="utf-8") as log:
        log.write(text + "\n")
