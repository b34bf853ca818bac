"""What the fake cluster remembers: one JSON file, changed by one command at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PENDING, RUNNING, COMPLETED, FAILED = "PENDING", "RUNNING", "COMPLETED", "FAILED"
CANCELLED, TIMEOUT, NODE_FAIL, PREEMPTED = "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"
OUT_OF_MEMORY, REQUEUED = "OUT_OF_MEMORY", "REQUEUED"
LIVE = (PENDING, RUNNING, "COMPLETING", "SUSPENDED", "CONFIGURING", "REQUEUE_HOLD", "SPECIAL_EXIT")
NEVER = "DependencyNeverSatisfied"


@dataclass
class Job:
    """A job, or one task of an array."""

    array: int = 0  # the array's id; 0: not of an array
    task: int = -1
    id: int = 0  # 0: a task that has not started yet has none of its own
    name: str = "sbatch"
    partition: str = "main"
    script: str = ""  # the copy that runs, not the file that was submitted
    args: list[str] = field(default_factory=list)
    environment: str = ""
    command: str = ""
    workdir: str = ""
    output: str = "slurm-%j.out"
    error: str = ""
    append: bool = False
    account: str = "(null)"
    qos: str = "normal"
    comment: str = "(null)"
    cpus: int = 1  # per node
    nodes: int = 1
    ntasks: int = 1
    asked_ntasks: bool = False  # else its environment does not say how many
    gpus: int = 0  # per node
    limit: float = 600.0  # seconds; 0: none
    signal: str = ""  # as in --signal
    requeue: bool = True
    kill_invalid: bool = False
    throttle: int = 0  # tasks of the array at a time; 0: any number
    tasks: list[int] = field(default_factory=list)  # all of the array, for its environment
    nodelist: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)  # what is not yet fulfilled, as "afterok:3"
    either: bool = False  # one of `needs` is enough
    never: bool = False  # `needs` can no longer be fulfilled
    failed_need: str = ""
    held: bool = False
    begin: float = 0.0  # not before this time
    state: str = PENDING
    reason: str = "None"
    submitted: float = 0.0
    started: float = 0.0  # 0: not yet, also after a requeue
    ended: float = 0.0
    exit_code: str = "0:0"
    restarts: int = 0
    hosts: list[str] = field(default_factory=list)
    devices: list[int] = field(default_factory=list)  # GPUs, of each node
    by: int = -1  # who cancelled it; -1: nobody
    vanished: bool = False  # an unstarted task that was cancelled on its own: the real one forgets it
    purged: bool = False  # no longer known to the controller; accounting still knows it
    log: list[tuple[float, str]] = field(default_factory=list)  # every state, since when
    earlier: list[dict[str, Any]] = field(default_factory=list)  # runs before the last requeue

    @property
    def key(self) -> str:
        return f"{self.array}_{self.task}" if self.array else str(self.id)

    @property
    def own(self) -> int:
        """The number that commands print where a job must have one."""
        return self.id or self.array

    @property
    def live(self) -> bool:
        return self.state in LIVE

    def become(self, state: str, now: float, reason: str = "None") -> None:
        self.state, self.reason = state, reason
        self.log.append((now, state))
        if not self.live:
            self.ended = now


@dataclass
class Fault:
    """What happens to the calls of a command from its `at`-th on, `times` times."""

    command: str
    at: int
    times: int
    text: str
    code: int
    accepted: bool  # the command takes effect, only its answer is lost
    delay: float  # seconds before the answer


@dataclass
class Settings:
    """How the cluster is made. Times in seconds."""

    nodes: int = 4
    cpus: int = 16
    gpus: int = 4
    min_job_age: float = 300.0
    max_array_size: int = 1001
    max_submit: int = 0  # 0: no limit
    max_running: int = 0
    accounting: bool = True
    lag: float = 0.0  # by which accounting is behind
    grace: float = 1.0  # between the signal of a preemption and SIGTERM
    kill_wait: float = 1.0  # between SIGTERM and SIGKILL
    requeue_delay: float = 0.2
    scale: float = 1.0  # how many times faster than the clock time limits pass
    controller: bool = True
    auto: bool = True  # jobs start by themselves, not only at `FakeSlurm.tick`


@dataclass
class State:
    settings: Settings = field(default_factory=Settings)
    jobs: dict[str, Job] = field(default_factory=dict)
    next_id: int = 1
    offset: float = 0.0  # of the clock
    calls: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    down: list[str] = field(default_factory=list)  # nodes
    waking: float = 0.0  # when the cluster looks again by itself; 0: not asked to
    folder: Path = Path()

    def now(self) -> float:
        return time.time() + self.offset

    def known(self) -> Iterator[Job]:
        """What the controller knows, oldest first."""
        return (job for job in self.jobs.values() if not job.purged and not job.vanished)


def _read(folder: Path) -> State:
    try:
        data = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State(folder=folder)
    jobs = {key: Job(**value) for key, value in data.pop("jobs").items()}
    faults = [Fault(**value) for value in data.pop("faults")]
    settings = Settings(**data.pop("settings"))
    return State(settings=settings, jobs=jobs, faults=faults, folder=folder, **data)


def _write(state: State) -> None:
    data = {name: getattr(state, name) for name in ("next_id", "offset", "calls", "down", "waking")}
    data["settings"] = vars(state.settings)
    data["faults"] = [vars(fault) for fault in state.faults]
    data["jobs"] = {key: vars(job) for key, job in state.jobs.items()}
    aside = state.folder / f"state.{os.getpid()}"
    aside.write_text(json.dumps(data), encoding="utf-8")
    aside.replace(state.folder / "state.json")


@contextmanager
def opened(folder: Path) -> Iterator[State]:
    """The state, for one command alone; kept as it was if that raises."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = _read(folder)
        yield state
        _write(state)


def peek(folder: Path) -> State:
    """The state as the last command left it."""
    return _read(folder)
