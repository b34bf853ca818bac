"""Trackers of a profile, fed from a training job's events by a process of its own beside the job.

The job writes its events as ever and knows nothing of trackers; the process reads them as `exc watch` does.
So a tracker can neither fail nor slow a job, shares no random state, signal handler or import with it, and
finishes what it has to send when the job is killed. One run of a tracker is one computation under one name,
over all attempts; of steps that a resumed attempt takes again, only those not sent before are sent.

`python -m exc.runtime.trackers ATTEMPT-FOLDER` is that process.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt
from exc.runtime.events import Event, EventTail
from exc.runtime.files import write_json
from exc.runtime.lease import Lease, acquire
from exc.runtime.owner import owner_from_json, this_process
from exc.runtime.selecting import place_of
from exc.runtime.store import Store

FOLDER = "trackers"  # of the store
SETUP, SENT, LOG = "trackers.json", "sent.json", "trackers.log"
_LOOK_S = 1.0
_WAIT_S = 20.0  # for the process, where its end would be that of everything the job started
_NICE = 10
_ENDS = frozenset({"done", "stopped", "failed"})
_OWN = {"wandb": ""}  # it makes a folder of its name itself
_NO_MEASURES = frozenset({"time", "event", "step", "total", "resumed"})


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
                [sys.executable, "-P", "-m", "exc.runtime.trackers", str(attempt.path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what stops or kills the job leaves it to finish
            )
    except (OSError, TypeError, ValueError) as error:
        _say(attempt, f"no tracker could be started: {error}")
        return None


def let_finish(process: subprocess.Popen[bytes] | None) -> None:
    """Wait for the process under a scheduler that would end it with the job; else it finishes by itself."""
    if process is not None and "SLURM_JOB_ID" in os.environ:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_WAIT_S)


# Beside the job


def main(arguments: list[str] | None = None) -> int:
    """Feed trackers until the job has ended and all is sent."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    os.nice(_NICE)
    attempt = Attempt(Path(folder))
    setup = json.loads((attempt.path / SETUP).read_bytes())
    place = Path(setup["store"]) / FOLDER / "runs" / setup["run_id"]
    place.mkdir(parents=True, exist_ok=True)
    while not isinstance(lease := acquire(place, setup["name"]), Lease):
        time.sleep(_LOOK_S)  # an earlier attempt's process is still at it
    try:
        Feed(attempt, setup, place).run()
    finally:
        lease.release()
    return 0


class Feed:
    """Events on one side, trackers on the other."""

    def __init__(self, attempt: Attempt, setup: Mapping[str, Any], place: Path) -> None:
        self._attempt, self._setup, self._place = attempt, setup, place
        self._owner = owner_from_json(setup["owner"])
        self._sent: dict[str, int] = _read_sent(place)
        self._trackers: dict[str, Tracker] = {}
        for settings in setup["trackers"]:
            self._guard(settings["name"], partial(self._open, settings))

    def run(self) -> None:
        for tail in self._older():
            self._pass_on(tail.read())
        tail = EventTail(self._attempt.events)
        more = True
        while more and self._trackers:
            gone = self._owner is None or self._owner.alive() is False
            events = tail.read()  # after the look at the owner: nothing comes once it is gone
            self._pass_on(events)
            more = not gone and not any(event["event"] in _ENDS for event in events)
            if more:
                time.sleep(_LOOK_S)
        for name, tracker in list(self._trackers.items()):
            self._guard(name, tracker.finish)

    def _open(self, settings: Mapping[str, Any]) -> None:
        from exc.runtime.tracker_kinds import open_tracker

        name = settings["name"]
        folder = settings.get("folder")
        root = Path(self._setup["store"]) / FOLDER / _OWN.get(name, name)
        self._trackers[name] = open_tracker(
            RunSetup(
                self._setup["run_id"],
                self._setup["name"],
                settings.get("project") or self._setup["experiment"],
                self._setup["config"],
                tuple(self._setup["tags"]),
                settings,
                Path(self._setup["root"], Path(folder).expanduser()) if folder else root,
            )
        )

    def _older(self) -> Iterator[EventTail]:
        """What earlier attempts reported, in case that nobody came to send it."""
        number = int(self._attempt.path.name)
        for earlier in range(1, number):
            yield EventTail(Attempt(self._attempt.path.with_name(str(earlier))).events)

    def _pass_on(self, events: list[Event]) -> None:
        sent = dict(self._sent)
        for event in events:
            step = event.get("step")
            if event["event"] != "progress" or not isinstance(step, int) or not (values := measures(event)):
                continue
            for name, tracker in list(self._trackers.items()):
                if step > self._sent.get(name, -1):
                    self._guard(name, partial(tracker.log, step, values, float(event["time"])))
                    self._sent[name] = step
        if sent != self._sent:
            write_json(self._place / SENT, self._sent)

    def _guard(self, name: str, act: Callable[[], None]) -> None:
        """Do something with a tracker; one that raises is said once, and left out from then on."""
        try:
            act()
        except BaseException as error:  # a library that exits counts as one that fails
            self._trackers.pop(name, None)
            if isinstance(error, ModuleNotFoundError):
                why = f"{error.name} is not installed here"
            else:
                why = f"{type(error).__name__}: {error}"
            _say(self._attempt, f"tracker {name} is left out: {why}; training goes on")


def measures(event: Event) -> dict[str, float]:
    """The numbers that a progress event reports, by name."""
    return {
        name: float(value)
        for name, value in event.items()
        if name not in _NO_MEASURES and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _read_sent(place: Path) -> dict[str, int]:
    try:
        data = json.loads((place / SENT).read_bytes())
        return {str(name): int(step) for name, step in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _say(attempt: Attempt, text: str) -> None:
    with suppress(OSError), attempt.log.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
