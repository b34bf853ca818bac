"""The fake cluster as tests hold it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.slurm.fake import submission
from tests.slurm.fake.dependencies import find
from tests.slurm.fake.schedule import COMMAND, order, preempt
from tests.slurm.fake.state import NODE_FAIL, OUT_OF_MEMORY, Fault, Job, Settings, State, opened, peek

SHIMS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "srun")

# What real commands say when they fail, for `inject`.
LIMIT = submission.LIMIT
POLICY = submission.LIMIT.splitlines()[1]
BUSY = f"{submission.FAILED}Slurm temporarily unable to accept job, sleeping and retrying"
TIMED_OUT = f"{submission.FAILED}Socket timed out on send/recv operation"
SACCT_OFF = "Slurm accounting storage is disabled"
DBD_DOWN = """\
sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to \
host:127.0.0.1:6819: Connection refused
sacct: error: Sending PersistInit msg: Connection refused
sacct: error: Problem talking to the database: Connection refused"""


@dataclass(frozen=True)
class Call:
    """One command that somebody ran."""

    command: str
    argv: list[str]
    code: int
    out: str
    err: str
    time: float


class FakeSlurm:
    """A cluster in a folder. Commands find it by the shims on PATH that `env` puts there.

    Settings (see `Settings`) are given by name: `FakeSlurm(tmp_path, nodes=2, cpus=4, min_job_age=2)`.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        for name in ("bin", "orders", "run", "submitted"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        python, command = shlex.quote(sys.executable), shlex.quote(str(COMMAND))
        for name in SHIMS:
            shim = folder / "bin" / name
            shim.write_text(
                f'#!/bin/sh\nexec {python} -I -S {command} {name} {shlex.quote(str(folder))} "$@"\n',
                encoding="utf-8",
            )
            shim.chmod(0o755)
        with opened(folder) as state:
            state.settings = Settings(**settings)

    def __enter__(self) -> FakeSlurm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def env(self) -> dict[str, str]:
        """The environment in which a child sees this cluster and no other."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        mine = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        return {**mine, "PATH": path, "FAKE_SLURM": str(self.folder)}

    def run(
        self, *argv: str, check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command on this cluster, as a user would type it."""
        done = subprocess.run(
            argv, env=self.env(), cwd=cwd or self.folder, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def jobs(self) -> dict[str, Job]:
        """Every job and task ever accepted, by `12` or `12_3`, also those that no command shows any more."""
        return peek(self.folder).jobs

    def calls(self, command: str = "") -> list[Call]:
        """What has been run, in order; of one command, or of all."""
        try:
            lines = (self.folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        calls = [Call(**json.loads(line)) for line in lines]
        return [call for call in calls if command in ("", call.command)]

    def inject(
        self,
        command: str,
        text: str = "",
        *,
        code: int = 1,
        at: int = 1,
        times: int = 1,
        accepted: bool = False,
        delay: float = 0.0,
    ) -> None:
        """From its `at`-th call on, counted from now, `times` calls of `command` fail with `text`.

        With `accepted` they take effect, and only their answer is lost. Without `text` they are only late.
        """
        with opened(self.folder) as state:
            first = state.calls.get(command, 0) + at
            state.faults.append(Fault(command, first, times, text, code, accepted, delay))

    def mend(self) -> None:
        """No more faults of commands."""
        with opened(self.folder) as state:
            state.faults = []

    def set(self, **settings: Any) -> None:
        """Other settings from now on: `set(accounting=False)`, `set(controller=False)`, `set(lag=60)`."""
        with opened(self.folder) as state:
            for name, value in settings.items():
                assert hasattr(state.settings, name), name
                setattr(state.settings, name, value)

    def tick(self) -> None:
        """The controller looks at everything once."""
        subprocess.run([sys.executable, "-I", "-S", str(COMMAND), "_tick", str(self.folder)], check=True)

    def advance(self, seconds: float) -> None:
        """The cluster's clock jumps: over midnight, or past the age at which ended jobs are forgotten."""
        with opened(self.folder) as state:
            state.offset += seconds
        self.tick()

    def node_fail(self, job: str, alive: bool = False) -> None:
        """The job's first node is lost. `alive`: its processes live on unseen, as when only slurmd died."""
        self._order(job, state=NODE_FAIL, kill=not alive, abandon=alive, requeue=True)

    def out_of_memory(self, job: str) -> None:
        """The kernel kills what the job runs."""
        self._order(job, state=OUT_OF_MEMORY, kill=True, code="0:125")

    def preempt(self, job: str) -> None:
        """As when a job of a higher partition wants the node."""
        with opened(self.folder) as state:
            preempt(state, _one(state, job))

    def _order(self, job: str, **what: Any) -> None:
        with opened(self.folder) as state:
            order(state, _one(state, job), **what)

    def set_job(self, job: str, **values: Any) -> None:
        """A job's record as it is said to be: `set_job("3", state="REVOKED", reason="ReqNodeNotAvail")`."""
        with opened(self.folder) as state:
            one = _one(state, job)
            if "state" in values:
                one.become(values.pop("state"), state.now(), values.pop("reason", "None"))
            for name, value in values.items():
                assert hasattr(one, name), name
                setattr(one, name, value)

    def forget(self, *jobs: str) -> None:
        """The controller no longer knows these jobs."""
        with opened(self.folder) as state:
            for job in jobs:
                for one in find(state, job):
                    one.purged = True

    def wait(
        self, until: Callable[[dict[str, Job]], bool] | None = None, seconds: float = 60.0
    ) -> dict[str, Job]:
        """Until a condition holds, or no job is pending or running. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            jobs = self.jobs()
            if until(jobs) if until else not any(job.live for job in jobs.values()):
                return jobs
            time.sleep(0.05)
        raise TimeoutError({key: (job.state, job.reason) for key, job in self.jobs().items()})

    def number_from(self, job: int) -> None:
        """The next job gets this number, whoever had it before: as after a restart that lost the count."""
        with opened(self.folder) as state:
            state.jobs = {key: one for key, one in state.jobs.items() if max(one.id, one.array) < job}
            state.next_id = job

    def close(self) -> None:
        """Kills whatever this cluster still runs."""
        self.set(auto=False)
        mine = f"FAKE_SLURM={self.folder}".encode()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                in_job = mine in (path / "environ").read_bytes().split(b"\0") and path.name != str(
                    os.getpid()
                )
                ours = str(self.folder).encode() in (path / "cmdline").read_bytes().split(b"\0")
                if in_job or ours:
                    os.kill(int(path.name), signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue


def _one(state: State, job: str) -> Job:
    found = find(state, job)
    assert len(found) == 1, f"{job}: {len(found)} jobs"
    return found[0]
