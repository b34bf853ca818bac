"""A real SLURM on this machine, and what tests do to it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

HERE = Path(__file__).parent
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd", "mariadb")
START_S = 300  # installing the packages included


class NotHere(Exception):
    """A SLURM cannot be started on this machine, and why."""


def why_not() -> str | None:
    """What this machine lacks; None if a start is worth trying."""
    if os.name != "posix" or os.geteuid() != 0:
        return "not root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing and shutil.which("apt-get") is None:
        return f"no {', '.join(missing)}, and no apt-get to install them with"
    return None


def free_ports(number: int) -> int:
    """The first of so many ports in a row that nobody listens on, below those that the kernel gives out."""
    for _ in range(100):
        base = random.randrange(12000, 30000, 20)
        if all(_is_free(port) for port in range(base, base + number)):
            return base
    raise NotHere("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Cluster:
    """A cluster in a folder, `up` until `down`. Knobs: see up.sh."""

    def __init__(self, folder: Path, **knobs: str | int) -> None:
        self.folder = folder
        self.conf = folder / "etc" / "slurm.conf"
        self.knobs = {"BASEPORT": free_ports(20), **knobs}

    def up(self) -> None:
        """Starts whatever of it does not run, and waits until every node takes jobs.

        Raises:
            NotHere: it does not start; what it said.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, **{name: str(value) for name, value in self.knobs.items()}}
        # A file, not a pipe, which would stay open in the daemons.
        with (self.folder / "up.log").open("w+") as log:
            command = [str(HERE / "up.sh"), str(self.folder)]
            try:
                code = subprocess.run(command, env=env, stdout=log, stderr=log, timeout=START_S).returncode
            except subprocess.TimeoutExpired:
                code = -1
            if code:
                log.seek(0)
                raise NotHere(log.read()[-2000:] or f"up.sh ended with {code}")

    def down(self) -> None:
        subprocess.run([str(HERE / "down.sh"), str(self.folder)], check=True, stdout=subprocess.DEVNULL)

    def env(self) -> dict[str, str]:
        """The environment in which a child sees this cluster and no other."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        return {**mine, "SLURM_CONF": str(self.conf)}

    def run(
        self, *argv: str, check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command on this cluster, as a user would type it."""
        done = subprocess.run(argv, env=self.env(), cwd=cwd, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    def squeue(self, *options: str, fields: str = "%i %T %r") -> list[list[str]]:
        """One row a job or task, its fields divided at `|` (`%i|%j`) or blanks."""
        out = self.run("squeue", "-h", "-r", "-o", fields, *options).stdout
        return [line.split("|") if "|" in fields else line.split() for line in out.splitlines()]

    def sacct(self, jobs: Sequence[str], fields: str = "JobID,State") -> list[list[str]]:
        """One row a job or task of `jobs`."""
        out = self.run("sacct", "-n", "-P", "-X", "-j", ",".join(jobs), "-o", fields).stdout
        return [line.split("|") for line in out.splitlines()]

    def limit(self, qos: str, **limits: int) -> None:
        """A QOS that root may ask for, with limits by sacctmgr's names; needs ENFORCE=limits,qos."""
        words = [f"{name}={value}" for name, value in limits.items()]
        self.run("sacctmgr", "-i", "add", "qos", qos, check=False)
        self.run("sacctmgr", "-i", "modify", "qos", qos, "set", *words)
        self.run("sacctmgr", "-i", "modify", "user", "root", "set", f"qos+={qos}")
        self.until(
            lambda: self.run("sbatch", "--test-only", "-q", qos, "--wrap=true", check=False).returncode == 0
        )

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        """A daemon by its name, `slurmctld`, `slurmdbd`, `slurmd-n1`; `up` starts it again."""
        pid = int((self.folder / "run" / daemon).read_text(encoding="utf-8").split()[0])
        os.kill(pid, number)
        self.until(lambda: _gone(pid))

    def kill_slurmd(self, node: str, steps: bool = False) -> None:
        """A node's daemon; with `steps`, all that it runs too, as when the node loses power."""
        self.kill(f"slurmd-{node}")
        for daemon, processes in self._steps().items() if steps else ():
            if any(_has(process, "SLURMD_NODENAME", node) for process in processes):
                _kill([daemon, *processes])  # the daemon first: it would report how they ended

    def kill_job(self, number: str) -> None:
        """All processes of a job, by its own number (`%A` of squeue), as somebody with `kill -9` does."""
        steps = self._steps().items()
        found = [processes for daemon, processes in steps if f"[{number}." in " ".join(daemon.cmdline())]
        assert found, f"job {number} has no processes"
        for processes in found:
            _kill(processes)

    def _steps(self) -> dict[psutil.Process, list[psutil.Process]]:
        """The daemons of all steps that run here, and what each has started."""
        found: dict[psutil.Process, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, IndexError):
                if process.cmdline()[0].startswith("slurmstepd") and _has(
                    process, "SLURM_CONF", str(self.conf)
                ):
                    found[process] = process.children(recursive=True)
        return found

    def kill_slurmctld(self) -> None:
        self.kill("slurmctld")

    def stop_slurmdbd(self) -> None:
        self.kill("slurmdbd", signal.SIGTERM)

    def cancel_all(self) -> None:
        """No job is left, whatever a test made of it."""
        self.run("scancel", "--user=root", check=False)
        self.until(lambda: not self.squeue("-t", "PD,R,CG,S"))

    @staticmethod
    def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
        """Returns as soon as something holds. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds:g} s")
            time.sleep(0.1)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _has(process: psutil.Process, variable: str, value: str) -> bool:
    """Whether a process has this in its environment, of which a daemon may have overwritten the beginning."""
    try:
        lines = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{variable}={value}".encode() in lines


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
