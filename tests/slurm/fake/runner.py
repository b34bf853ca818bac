"""One run of one job: its script as a process, its signals, its time limit, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.slurm.fake.schedule import finish, tick
from tests.slurm.fake.state import COMPLETED, FAILED, TIMEOUT, Job, Settings, opened, peek
from tests.slurm.fake.texts import hostlist

POLL_S = 0.02


@dataclass
class Ending:
    """How a run is to end: from when on, and what has been sent already."""

    state: str
    requeue: bool
    term_at: float
    code: str = "0:0"
    sent: int = 0  # 0: nothing, 1: SIGTERM, 2: SIGKILL


def run(folder: Path, key: str) -> None:
    """From start to end; the state says what became of it."""
    state = peek(folder)
    job = state.jobs[key]
    place = folder / "run" / key
    (place / "steps").mkdir(parents=True, exist_ok=True)
    try:
        process = _started(folder, job, place)
    except OSError:
        _over(folder, key, FAILED, "0:53", requeue=False)
        return
    (place / "pid").write_text(str(process.pid), encoding="utf-8")
    ending = _watched(process, job, state.settings, folder)
    code = process.poll()
    (place / "pid").unlink(missing_ok=True)
    if ending is None or (not ending.sent and code is not None):
        assert code is not None
        text = f"{code}:0" if code >= 0 else f"0:{-code}"
        _over(folder, key, COMPLETED if code == 0 else FAILED, text, requeue=False)
    else:
        _over(folder, key, ending.state, ending.code, ending.requeue)


def _over(folder: Path, key: str, ending: str, code: str, requeue: bool) -> None:
    with opened(folder) as state:
        job = state.jobs[key]
        finish(state, job, ending, code, requeue and (job.requeue or ending == "REQUEUED"))
        if state.settings.auto:
            tick(state)


def _started(folder: Path, job: Job, place: Path) -> subprocess.Popen[bytes]:
    mode = "ab" if job.append else "wb"
    output = Path(job.workdir, pattern(job.output, job))
    error = Path(job.workdir, pattern(job.error, job)) if job.error else output
    with output.open(mode) as out, error.open(mode) if job.error else output.open("ab") as err:
        return subprocess.Popen(
            [job.script, *job.args],
            cwd=job.workdir,
            env=environment(folder, job, place),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def pattern(text: str, job: Job) -> str:
    """A file name with its %j, %A, %a, %x, %N, %n, %t, %u filled in."""
    values = {
        "j": str(job.own),
        "J": str(job.own),
        "A": str(job.array or job.id),
        "a": str(job.task if job.array else 4294967294),
        "x": job.name,
        "N": job.hosts[0] if job.hosts else "",
        "n": "0",
        "t": "0",
        "u": os.environ.get("USER", "root"),
        "%": "%",
    }
    if "%" not in text:
        return text
    parts = text.split("%")
    return parts[0] + "".join(values.get(part[:1], "%" + part[:1]) + part[1:] for part in parts[1:])


def environment(folder: Path, job: Job, place: Path) -> dict[str, str]:
    """What was recorded at submission, and what SLURM sets in every job."""
    env: dict[str, str] = json.loads(Path(job.environment).read_text(encoding="utf-8"))
    values: dict[str, object] = {
        "JOB_ID": job.own,
        "JOBID": job.own,
        "JOB_NAME": job.name,
        "JOB_PARTITION": job.partition,
        "JOB_NODELIST": hostlist(job.hosts),
        "NODELIST": hostlist(job.hosts),
        "JOB_NUM_NODES": job.nodes,
        "NNODES": job.nodes,
        "TASKS_PER_NODE": max(1, job.ntasks // job.nodes),
        "JOB_CPUS_PER_NODE": job.cpus,
        "CPUS_ON_NODE": job.cpus,
        "CLUSTER_NAME": "fake",
        "SUBMIT_DIR": job.workdir,
        "NODEID": 0,
        "PROCID": 0,
        "LOCALID": 0,
    }
    if job.asked_ntasks:
        values |= {"NTASKS": job.ntasks, "NPROCS": job.ntasks}
    if job.restarts:
        values["RESTART_COUNT"] = job.restarts
    if job.array:
        values |= {
            "ARRAY_JOB_ID": job.array,
            "ARRAY_TASK_ID": job.task,
            "ARRAY_TASK_COUNT": len(job.tasks),
            "ARRAY_TASK_MIN": min(job.tasks),
            "ARRAY_TASK_MAX": max(job.tasks),
            "ARRAY_TASK_STEP": 1,
        }
    env |= {f"SLURM_{name}": str(value) for name, value in values.items()}
    env |= {"SLURMD_NODENAME": job.hosts[0], "FAKE_SLURM": str(folder), "FAKE_SLURM_PLACE": str(place)}
    if job.gpus:
        env["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, job.devices))
    return env


def _watched(process: subprocess.Popen[bytes], job: Job, settings: Settings, folder: Path) -> Ending | None:
    """How the run was made to end; None: it ended by itself."""
    start = time.monotonic()
    orders = folder / "orders" / f"{job.key}.json"
    ending: Ending | None = None
    warned = False
    while process.poll() is None:
        elapsed = (time.monotonic() - start) * settings.scale
        name, delay = _warning(job)
        if name and job.limit and not warned and elapsed >= job.limit - delay:
            send(folder, job, name, job.signal.startswith("B:"))
            warned = True
        if ending is None and job.limit and elapsed >= job.limit:
            ending = Ending(TIMEOUT, requeue=False, term_at=time.monotonic())
        if ending is None and orders.exists():
            what: dict[str, Any] = json.loads(orders.read_text(encoding="utf-8"))
            if what.get("abandon"):
                return Ending(what["state"], what.get("requeue", False), 0.0, sent=2)
            if what.get("warn") and name:
                send(folder, job, name, job.signal.startswith("B:"))
            ending = Ending(
                what["state"],
                what.get("requeue", False),
                time.monotonic() + what.get("grace", 0.0),
                what.get("code", "0:0"),
                sent=1 if what.get("kill") else 0,
            )
            if what.get("kill"):
                kill_tree(process.pid, signal.SIGKILL)
        if ending:
            _advance(ending, process.pid, settings)
        time.sleep(POLL_S)
    return ending


def _advance(ending: Ending, pid: int, settings: Settings) -> None:
    now = time.monotonic()
    if ending.sent == 0 and now >= ending.term_at:
        kill_tree(pid, signal.SIGTERM)
        ending.sent = 1
    elif ending.sent == 1 and now >= ending.term_at + settings.kill_wait:
        kill_tree(pid, signal.SIGKILL)
        ending.sent = 2


def _warning(job: Job) -> tuple[str, float]:
    """The signal that a job asked for, and how many seconds before its end; "" for none."""
    name, _, delay = job.signal.removeprefix("B:").removeprefix("R:").partition("@")
    return name, float(delay or 60)


def send(folder: Path, job: Job, name: str, batch: bool, steps: bool = True) -> None:
    """A signal to the batch shell, or to the steps that srun started: never to both by itself."""
    number = int(name) if name.isdigit() else getattr(signal, name if name[:3] == "SIG" else f"SIG{name}")
    place = folder / "run" / job.key
    pids = [path.name for path in (place / "steps").glob("*")] if steps and not batch else []
    if batch and (place / "pid").exists():
        pids.append((place / "pid").read_text(encoding="utf-8"))
    for pid in pids:
        try:
            os.kill(int(pid), number)
        except (ProcessLookupError, ValueError):
            continue


def kill_tree(pid: int, number: int) -> None:
    """A process and what descends from it; as the real one without cgroups, not what has been orphaned."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    queue = [pid]
    while queue:
        one = queue.pop()
        queue += children.get(one, [])
        try:
            os.kill(one, number)
        except ProcessLookupError:
            continue
