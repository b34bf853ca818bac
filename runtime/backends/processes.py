"""A job as a process of this machine: started from its script, in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from exc.compiler.plan import Job
from exc.runtime.attempts import Attempt
from exc.runtime.job import ATTEMPT_DIR
from exc.runtime.stopping import LIFELINE


class Process(Protocol):
    """A running job. `descriptor` becomes readable when it ends."""

    descriptor: int

    def exit_code(self) -> int:
        """The exit code, or minus a signal's number. Call it once the descriptor is readable."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """Signal the job and all that it started."""


class Launcher(Protocol):
    """Starts jobs.

    `wakes` is a descriptor that becomes readable when `can_start` may have changed, or -1; `woke` is then
    called, and says whether it may become readable again.
    """

    wakes: int

    def woke(self) -> bool: ...

    def can_start(self, job: Job) -> bool: ...

    def start(self, job: Job, attempt: Attempt, gpus: tuple[str, ...]) -> Process: ...

    def close(self) -> None: ...


@dataclass
class ScriptProcess:
    """A job started by Popen."""

    process: subprocess.Popen[bytes]
    descriptor: int

    def exit_code(self) -> int:
        code = self.process.wait()
        os.close(self.descriptor)
        return code

    def signal(self, number: signal.Signals) -> None:
        signal_group(self.process.pid, number)


class ScriptLauncher:
    """Runs `bash PLAN/jobs/CLASS.sh JOB-ID`: what was reviewed is what runs."""

    wakes = -1

    def __init__(self, plan_folder: Path, store_root: Path, root: Path) -> None:
        self._plan_folder = plan_folder.resolve()
        self._store_root = store_root
        self._root = root
        # Nothing is ever written: the jobs' end closes when this process is gone, however it went.
        self._lifeline, self._held = os.pipe()

    def woke(self) -> bool:
        return False

    def can_start(self, job: Job) -> bool:  # noqa: ARG002
        return True

    def start(self, job: Job, attempt: Attempt, gpus: tuple[str, ...]) -> Process:
        script = self._plan_folder / "jobs" / f"{job.cls}.sh"
        with attempt.log.open("ab") as log:
            process = subprocess.Popen(
                ["bash", str(script), job.id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._root,
                env={**os.environ, **self.variables(attempt, gpus)},
                start_new_session=True,
                pass_fds=(self._lifeline,),
            )
        return ScriptProcess(process, os.pidfd_open(process.pid))

    def variables(self, attempt: Attempt, gpus: tuple[str, ...]) -> dict[str, str]:
        """What a job reads of its submitter from the environment."""
        return {
            "EXC_PLAN": str(self._plan_folder),
            "EXC_STORE": str(self._store_root),
            "EXC_PYTHON": sys.executable,
            ATTEMPT_DIR: str(attempt.path),
            LIFELINE: f"{self._lifeline}:{os.fstat(self._lifeline).st_ino}",
            "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        }

    def close(self) -> None:
        os.close(self._lifeline)
        os.close(self._held)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal a process group, which may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)
