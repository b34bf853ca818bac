"""Whole processes, timed: wall-clock, CPU of the process and all it waited for, peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# One thread each, and nothing that reaches for a network.
QUIET = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


class CommandFailed(Exception):
    """A command that was to be measured did not end with 0; the message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Command:
    """A process to be measured. `env` goes over the environment of this process; `prepare` is not timed."""

    argv: Sequence[str]
    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    prepare: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a command."""

    wall: float  # seconds
    cpu: float  # seconds, user and system, its waited-for children included
    peak_mb: float  # the largest resident set of it or one of its children, MB (10^6 bytes)
    output: str  # stdout and stderr together


def environment() -> dict[str, str]:
    """This process's environment with one thread each and Python as by default: it caches byte code."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EXC_"))}
    return {**inherited, **QUIET}


def run(command: Command) -> Sample:
    """Run a command to its end. Raises CommandFailed if it does not exit with 0."""
    if command.prepare is not None:
        command.prepare()
    env = {**environment(), **(command.env or {})}
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command.argv),
            cwd=command.cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode(errors="replace")
    if process.returncode != 0:
        raise CommandFailed(f"{' '.join(command.argv)} ended with {process.returncode}:\n{output[-2000:]}")
    # ru_maxrss is in KiB on Linux.
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, output)


def interleaved(commands: Mapping[str, Command], rounds: int) -> dict[str, list[Sample]]:
    """Run all commands `rounds` times, in turn, every second round backwards: A B C, C B A, A B C, ...

    What drifts on the machine meanwhile touches all alike. One round before is not counted.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    for command in commands.values():
        run(command)
    names = list(commands)
    for index in range(rounds):
        for name in names if index % 2 == 0 else reversed(names):
            samples[name].append(run(commands[name]))
    return samples


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its quartiles and extremes."""

    median: float
    low: float  # lower quartile
    high: float  # upper quartile
    least: float
    most: float
    num: int


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError if there are no values."""
    if not values:
        raise ValueError("nothing was measured")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], values[0], values[0], 1)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(statistics.median(values), low, high, min(values), max(values), len(values))


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """The ratio within each pair."""
    return [a / b for a, b in zip(of, to, strict=True)]
