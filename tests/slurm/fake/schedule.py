"""What the controller does between commands: forget, look at dependencies, start, preempt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.slurm.fake import dependencies
from tests.slurm.fake.state import NEVER, PENDING, RUNNING, Job, State
from tests.slurm.fake.texts import hostlist

COMMAND = Path(__file__).with_name("command.py")
TIERS = {"main": 1, "urgent": 10}


def tick(state: State) -> None:
    """Everything that is due now."""
    now = state.now()
    for job in state.known():
        if not job.live and now - job.ended > state.settings.min_job_age:
            job.purged = True
    dependencies.settle(state)
    pending = [job for job in state.known() if job.state == PENDING]
    for job in sorted(pending, key=lambda job: (-TIERS[job.partition], job.own, job.task)):
        job.reason = _reason(state, job, now)
        if job.reason == "Resources":
            _make_room(state, job)
        elif job.reason == "None":
            _start(state, job, now)
    _wake(state, now)


def _reason(state: State, job: Job, now: float) -> str:
    """Why a job waits; "None" where it need not."""
    running = [other for other in state.known() if other.state == RUNNING]
    siblings = sum(other.array == job.array for other in running) if job.array else 0
    if job.held:
        return "JobHeldUser"
    if job.never:
        return NEVER
    if job.needs:
        return "Dependency"
    if job.begin > now:
        return "BeginTime"
    if job.throttle and siblings >= job.throttle:
        return "JobArrayTaskLimit"
    if state.settings.max_running and len(running) >= state.settings.max_running:
        return "QOSMaxJobsPerUserLimit"
    if job.cpus > state.settings.cpus or job.nodes > state.settings.nodes:
        return "PartitionConfig"
    if set(job.nodelist) & set(state.down):
        return "ReqNodeNotAvail, UnavailableNodes:" + hostlist(sorted(set(job.nodelist) & set(state.down)))
    return "None" if _room(state, job) else "Resources"


def _room(state: State, job: Job, without: list[Job] | None = None) -> list[str]:
    """Nodes that the job could have now, or once the jobs in `without` are gone; none: no room."""
    names = [f"n{number + 1}" for number in range(state.settings.nodes)]
    allowed = [name for name in job.nodelist or names if name not in job.exclude and name not in state.down]
    fit = [name for name in allowed if _fits(state, job, name, without or [])]
    return fit[: job.nodes] if len(fit) >= job.nodes else []


def _fits(state: State, job: Job, node: str, without: list[Job]) -> bool:
    there = [other for other in state.known() if other.state == RUNNING and node in other.hosts]
    there = [other for other in there if other not in without]
    cpus = sum(other.cpus for other in there) + job.cpus
    gpus = sum(other.gpus for other in there) + job.gpus
    return cpus <= state.settings.cpus and gpus <= state.settings.gpus


def _make_room(state: State, job: Job) -> None:
    """Jobs of a lower partition are told to go, the youngest first, no more of them than needed."""
    lower = [other for other in state.known() if other.state == RUNNING]
    lower = [other for other in lower if TIERS[other.partition] < TIERS[job.partition]]
    victims: list[Job] = []
    for other in sorted(lower, key=lambda other: -other.started):
        victims.append(other)
        if _room(state, job, victims):
            for victim in victims:
                preempt(state, victim)
            return


def preempt(state: State, job: Job) -> None:
    """The job's own signal, its partition's grace, SIGTERM, SIGKILL, and into the queue again."""
    order(state, job, state="PREEMPTED", grace=state.settings.grace, warn=True, requeue=True)


def order(cluster: State, job: Job, **what: Any) -> None:
    """Tells a running job's runner to end it. An order that still stands is kept."""
    path = cluster.folder / "orders" / f"{job.key}.json"
    if not path.exists():
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps(what), encoding="utf-8")
        aside.replace(path)


def _start(state: State, job: Job, now: float) -> None:
    job.hosts = _room(state, job)
    if not job.id:
        others = any(
            other.array == job.array and not other.id and other is not job for other in state.known()
        )
        job.id = job.array
        if others:
            job.id, state.next_id = state.next_id, state.next_id + 1
    there = [other for other in state.known() if other.state == RUNNING and job.hosts[0] in other.hosts]
    used = {device for other in there for device in other.devices}
    job.devices = [number for number in range(state.settings.gpus) if number not in used][: job.gpus]
    job.started, job.ended, job.exit_code = now, 0.0, "0:0"
    job.become(RUNNING, now)
    (state.folder / "orders" / f"{job.key}.json").unlink(missing_ok=True)
    _spawn("_run", state.folder, job.key)


def _wake(state: State, now: float) -> None:
    """Somebody has to look again when the first job may begin."""
    times = [job.begin for job in state.known() if job.state == PENDING and job.begin > now and not job.held]
    if times and state.settings.auto and not now < state.waking <= min(times):
        state.waking = min(times)
        _spawn("_wake", state.folder, str(min(times) - now))


def _spawn(*words: object) -> None:
    subprocess.Popen(
        [sys.executable, "-I", "-S", str(COMMAND), *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(state: State, job: Job, ending: str, exit_code: str, requeue: bool = False) -> None:
    """A run is over; `requeue`: the job goes back into the queue, if it may."""
    now = state.now()
    job.exit_code = exit_code
    job.become(ending, now, "NonZeroExitCode" if ending == "FAILED" else "None")
    if requeue:
        again(state, job)


def again(state: State, job: Job) -> None:
    """A job that ended, back into the queue."""
    run = ("state", "exit_code", "started", "ended", "hosts", "id", "by")
    job.earlier.append({name: getattr(job, name) for name in run})
    now = state.now()
    job.restarts += 1
    job.hosts, job.devices, job.started, job.ended, job.by = [], [], 0.0, 0.0, -1
    job.begin = now + state.settings.requeue_delay
    job.become(PENDING, now, "BeginTime")
