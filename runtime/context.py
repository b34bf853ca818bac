"""What a stage sees of the world: its job, its inputs, and the few things it may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class JobFailed(Exception):
    """A failure a stage can explain to the person who wrote the spec.

    `kind` is the failure class: config, data, verifier, diverged, out-of-memory, disk or command.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Stopped(Exception):
    """The stage was asked to stop, saved what it had, and will go on when it is run again."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a computation consumed from its own start, resumes included."""

    flops: float = 0.0
    samples: int = 0
    tokens: int = 0


class Publish(Protocol):
    def __call__(
        self,
        write: Callable[[Path], None],
        *,
        step: int | None = None,
        metrics: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> None:
        """Write an artifact whole or not at all.

        `write(folder)` fills an empty staging folder; it is then digested, synced and renamed into the store.
        `step` names the kept step in a training job and is None elsewhere. An artifact that is already there
        is left as it is and `write` is not called.
        """


@dataclass(frozen=True, slots=True)
class JobContext:
    """Everything a stage may use. Paths are absolute; config is the job's resolved config."""

    job_id: str
    kind: str
    config: Mapping[str, Any]
    inputs: Mapping[str, Path]  # role -> folder of the artifact's output, e.g. .../pretrain/<identity>/model
    root: Path  # the spec's folder: data paths in config are relative to it
    work: Path  # resume state of this computation; survives the process
    kept: Mapping[int, bool]  # kept step -> already in the store; empty for jobs with one output
    publish: Publish
    emit: Callable[..., None]  # emit("progress", step=.., total=.., loss=..): appended to events.jsonl
    should_stop: Callable[[], bool]  # true once the process was asked to stop (SIGTERM, SIGINT, SIGUSR2)
    save_interval_s: float  # how often a training stage saves resume state, wall-clock seconds
    num_threads: int
