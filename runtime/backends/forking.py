"""Jobs forked from a warm process, where that is as good as their script; else from their script."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.compiler.launch import world_size
from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt
from exc.runtime.backends.processes import Process, ScriptLauncher, signal_group
from exc.runtime.preload import HEAVY, modules_for
from exc.runtime.zygote import MAX_PACKET

SWITCH = "EXC_FORK"  # "0": every job from its script
_ANSWERS_S = 10.0  # a server answers at once, or not at all
_LOST = 1  # exit code of a job whose end nobody saw


def worth_forking(plan: Plan, jobs: Sequence[Job]) -> bool:
    """Whether a fork server would save more than it costs, and gives what the scripts give.

    Lines of setup, and containers, are a shell's to run, so a profile that has some is left to the scripts.
    """
    if os.environ.get(SWITCH) == "0" or plan.profile.get("setup") or plan.profile.get("container"):
        return False
    return sum(job.kind in HEAVY for job in jobs) >= 2


@dataclass
class ForkedProcess:
    """A job forked by the server."""

    server: ForkServer
    pid: int
    descriptor: int

    def exit_code(self) -> int:
        os.close(self.descriptor)
        return self.server.exit_code(self.pid)

    def signal(self, number: signal.Signals) -> None:
        signal_group(self.pid, number)


class ForkLauncher(ScriptLauncher):
    """Starts heavy jobs by fork once the server is warm, and light ones from their scripts until then."""

    def __init__(
        self, plan: Plan, plan_folder: Path, store_root: Path, root: Path, jobs: Sequence[Job]
    ) -> None:
        super().__init__(plan_folder, store_root, root)
        kinds = {job.kind for job in jobs}
        modules = modules_for(kinds, _architectures(plan))
        self._server = ForkServer(self._plan_folder, root, self._lifeline, modules)
        self.wakes = self._server.descriptor

    def woke(self) -> bool:
        return self._server.poll() != "gone"

    def can_start(self, job: Job) -> bool:
        return job.kind not in HEAVY or _is_shared(job) or self._server.poll() != "warming"

    def start(self, job: Job, attempt: Attempt, gpus: tuple[str, ...]) -> Process:
        if self._server.poll() == "ready" and not _is_shared(job):
            forked = self._server.fork(
                {
                    "job": job.id,
                    "store": str(self._store_root),
                    "root": str(self._root),
                    "log": str(attempt.log),
                    "environment": self.variables(attempt, gpus),
                }
            )
            if forked is not None:
                return forked
        return super().start(job, attempt, gpus)

    def close(self) -> None:
        self._server.close()
        super().close()


class ForkServer:
    """The submitter's end of `exc.runtime.zygote`. States: warming, ready, gone."""

    def __init__(self, plan_folder: Path, root: Path, lifeline: int, modules: list[str]) -> None:
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._state = "warming"
        self._ended: dict[int, int] = {}
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "exc.runtime.zygote", str(other.fileno())],
                stdin=subprocess.DEVNULL,
                # It has nothing to say: where it cannot start, scripts do its work and tell why.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=root,
                start_new_session=True,
                pass_fds=(other.fileno(), lifeline),
            )
        self.descriptor = self._channel.fileno()
        self._send({"plan": str(plan_folder), "modules": modules})

    def poll(self) -> str:
        """The server's state, after reading what it has sent meanwhile."""
        while self._state != "gone" and self._readable(0):
            self._read()
        return self._state

    def fork(self, request: dict[str, Any]) -> ForkedProcess | None:
        """Fork a job; None if the server is gone."""
        self._send(request)
        while self._state == "ready":
            message = self._answer()
            if "forked" in message:
                return ForkedProcess(self, message["forked"], message["descriptor"])
        return None

    def exit_code(self, pid: int) -> int:
        """The exit code of a child that has ended; that of a failure if the server is gone."""
        while pid not in self._ended and self._state != "gone":
            self._answer()
        return self._ended.pop(pid, _LOST)

    def close(self) -> None:
        """End the server; what it forked is not touched."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._channel.send(json.dumps(message).encode())
        except OSError:
            self._state = "gone"

    def _answer(self) -> dict[str, Any]:
        """Take in one message, waiting for it. A server that does not answer is ended: scripts go on."""
        if not self._readable(_ANSWERS_S):
            self._process.kill()
        return self._read()

    def _readable(self, wait_s: float) -> bool:
        return bool(select.select([self._channel], [], [], wait_s)[0])

    def _read(self) -> dict[str, Any]:
        """Take in the next message, which is there or will be; empty if the server is gone."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._channel, MAX_PACKET, 1)
        except OSError:
            packet, descriptors = b"", []
        if not packet:
            self._state = "gone"
            return {}
        message: dict[str, Any] = json.loads(packet)
        if "ready" in message:
            self._state = "ready"
        elif "ended" in message:
            self._ended[message["ended"]] = message["code"]
        elif "forked" in message:
            message["descriptor"] = descriptors[0]
        return message


def _is_shared(job: Job) -> bool:
    """Whether several processes do it, which a launcher starts."""
    return world_size(job.kind, job.resources) > 1


def _architectures(plan: Plan) -> set[str]:
    """Architectures of the models that the plan trains."""
    models = (job.config.get("model") for job in plan.jobs if job.kind == "pretrain")
    return {
        str(model["architecture"]) for model in models if isinstance(model, dict) and "architecture" in model
    }
