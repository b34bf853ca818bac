"""SLURM's commands, as few of them as will do, and what becomes of those that fail."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from exc.runtime.slurm.parsing import Entry, config_value, parse_accounts, parse_queue, parse_span

_ANSWERS_S = 120.0  # slurmctld may be busy for a minute, and the commands themselves try again meanwhile
_MAX_ARRAY = 1001  # what SLURM has where nobody changed it
_BUSY = re.compile(
    r"temporarily unable|timed out|unable to contact|connection (refused|reset)|connect failure|try again"
    r"|zero bytes|not connected|resource temporarily|in standby|communication|send/recv|slow down|rate limit",
    re.IGNORECASE,
)
_FULL = re.compile(r"job submit limit|submit limit|MaxJobCount|too many jobs", re.IGNORECASE)
_LIMIT = re.compile(r"\b(?:QOS|Assoc)\w+")  # SLURM's name of the limit that is met
_GONE = re.compile(r"invalid job id|already (completing|completed|finished)|not pending", re.IGNORECASE)
# What steers these commands besides their arguments.
_STEERING = ("SBATCH_", "SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_")
_KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"})


class SlurmError(Exception):
    """A command of SLURM failed; the message is what it said."""


class NoSlurm(SlurmError):
    """There are no commands of SLURM on this machine."""


class Busy(SlurmError):
    """The scheduler does not answer, or has too much to do: asked later it may."""


class Full(SlurmError):
    """The scheduler takes no more jobs of this user now."""


class Refused(SlurmError):
    """The scheduler does not want this, now or later."""


def reading(words: str) -> SlurmError:
    """What a command that failed has said, by what is to be done about it."""
    said = " ".join(words.split()) or "it said nothing"
    limit = _LIMIT.search(said)
    if limit is not None:  # one on size or time is met however empty the queue is
        return Full(said) if "Submit" in limit[0] else Refused(said)
    if _FULL.search(said):
        return Full(said)
    return Busy(said) if _BUSY.search(said) else Refused(said)


class Scheduler:
    """The commands. Raises SlurmError, of one of its four kinds. `answers_s`: how long each is waited for."""

    def __init__(self, answers_s: float = _ANSWERS_S) -> None:
        self._answers_s = answers_s

    def queue(self, users: Iterable[str] = ()) -> dict[str, Entry]:
        """What these users, by default this one, have in the queue, or had minutes ago; by reference."""
        names = ",".join(sorted(set(users))) or getpass.getuser()
        command = ["squeue", "-h", "-a", "-r", "-t", "all", "-u", names, "-o", "%i|%T|%N|%j|%r"]
        return {entry.ref: entry for entry in parse_queue(self._run(command))}

    def fate(self, ref: str) -> tuple[str, float | None]:
        """The state of one element, and the seconds that it may still run; None if that has no end."""
        text = self._run(["squeue", "-h", "-j", ref, "-o", "%T|%L"])
        state, _, left = text.strip().partition("|")
        return state, parse_span(left)

    def accounts(self, jobs: Sequence[str], since: str) -> dict[str, Entry]:
        """What accounting says of these job ids. `since`: when the oldest was submitted, UTC, ISO 8601."""
        command = ["sacct", "-n", "-X", "-P", "-S", _local(since), "-j", ",".join(jobs)]
        text = self._run([*command, "-o", "JobID,State,ExitCode,NodeList,JobName"])
        return {entry.ref: entry for entry in parse_accounts(text)}

    def named(self, name: str, since: str) -> list[Entry]:
        """What accounting knows of jobs of this name."""
        command = ["sacct", "-n", "-X", "-P", "-S", _local(since), f"--name={name}"]
        return list(parse_accounts(self._run([*command, "-o", "JobID,State,ExitCode,NodeList,JobName"])))

    def max_array(self) -> int:
        """How many elements an array may have, which is also the bound of its indices."""
        said = config_value(self._run(["scontrol", "show", "config"]), "MaxArraySize")
        return max(1, int(said)) if said.isdigit() else _MAX_ARRAY

    def nodes(self, partition: str | None) -> int:
        """How many nodes a partition, or the cluster, has."""
        chosen = ["-p", partition] if partition else []
        return len(set(self._run(["sinfo", "-h", "-N", "-o", "%N", *chosen]).split()))

    def cancel(self, refs: Sequence[str], *, pending: bool = False) -> None:
        """Take elements out of the queue; `pending`: only where they have not started."""
        if refs:
            chosen = ["--state=PENDING"] if pending else []
            self._change(["scancel", *chosen, *_short(refs)])

    def release(self, jobs: Sequence[str]) -> None:
        """Let jobs that were queued held start when they can."""
        if jobs:
            self._change(["scontrol", "release", ",".join(jobs)])

    def requeue(self, ref: str) -> None:
        """Put the calling job back into the queue, which ends it."""
        self._run(["scontrol", "requeue", ref])

    def _change(self, command: list[str]) -> None:
        """Something is to be so; that a job is gone already does not matter."""
        try:
            self._run(command)
        except Refused as error:
            if not _GONE.search(str(error)):
                raise

    def _run(self, command: Sequence[str]) -> str:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._answers_s,
                env=plain_environment(os.environ),
            )
        except FileNotFoundError:
            raise NoSlurm(f"`{command[0]}` is not on this machine") from None
        except subprocess.TimeoutExpired:
            raise Busy(f"`{command[0]}` did not answer within {self._answers_s:.0f} s") from None
        except OSError as error:
            raise NoSlurm(f"`{command[0]}` cannot be run: {error.strerror}") from None
        if done.returncode:
            raise reading(done.stderr or done.stdout)
        return done.stdout


def plain_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would steer SLURM's commands, such as that of a job that this runs in."""
    return {
        name: value for name, value in environment.items() if name in _KEPT or not name.startswith(_STEERING)
    }


@contextmanager
def plainly() -> Iterator[None]:
    """While it is entered, this process itself has that environment."""
    before = dict(os.environ)
    for name in before.keys() - plain_environment(before).keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def _local(moment: str) -> str:
    """A time in UTC as sacct reads it, on this machine's clock, an hour earlier: clocks differ."""
    return (datetime.fromisoformat(moment).astimezone() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")


def _short(refs: Sequence[str]) -> list[str]:
    """References as scancel takes them, the elements of one array as one word."""
    found: dict[str, list[str]] = {}
    for ref in refs:
        job, _, index = ref.partition("_")
        found.setdefault(job, []).append(index)
    words: list[str] = []
    for job, indices in found.items():
        if indices == [""]:
            words.append(job)
        elif len(indices) == 1:
            words.append(f"{job}_{indices[0]}")
        else:
            words.append(f"{job}_[{','.join(indices)}]")
    return words
