"""One frame of `exc watch`: a plan at one moment, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.state import Word
from exc.runtime.submitters import Submitter


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A job class: how its members stand, what they take, what they wait for."""

    name: str
    kind: str
    counts: Mapping[Word, int]
    mean_s: float | None  # of members that ended, as far as looked at
    waits_for: tuple[str, ...]  # classes that its unfinished members still lack something of

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class RunningRow:
    """A job that runs now."""

    job: str
    kind: str
    host: str
    elapsed_s: float
    left_s: float | None
    progress: Mapping[str, Any]
    measure: str  # reward or loss: what `values` are; "" where it reports none
    values: tuple[float, ...]  # the last ones, oldest first


@dataclass(frozen=True, slots=True)
class FailedRow:
    job: str
    kind: str  # failure class
    message: str
    ended: str  # UTC, ISO 8601; "" if nobody recorded it
    log: Path


@dataclass(frozen=True, slots=True)
class Frame:
    """A plan at one moment."""

    experiment: str
    counts: Mapping[Word, int]
    left_s: float | None  # until all is done, where that can be said
    cpus: tuple[int, int]  # used by running jobs, given by those who submit
    gpus: tuple[int, int]
    submitters: tuple[Submitter, ...]
    classes: tuple[ClassRow, ...]
    running: tuple[RunningRow, ...]
    failed: tuple[FailedRow, ...]  # the newest first

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def all_done(self) -> bool:
        return self.counts["done"] + self.counts["unneeded"] == self.total

    @property
    def at_rest(self) -> bool:
        """Whether nothing runs and nobody, person or cluster, is there to start something."""
        return not self.running and not self.submitters and not self.counts.get("queued")

    @property
    def exit_code(self) -> int:
        """1 if a job has failed, or nothing goes on and not all is done; as `exc status` otherwise."""
        return 1 if self.failed or (self.at_rest and not self.all_done) else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment,
            "counts": dict(self.counts),
            "seconds_left": self.left_s,
            "cpus": {"used": self.cpus[0], "given": self.cpus[1]},
            "gpus": {"used": self.gpus[0], "given": self.gpus[1]},
            "submitters": [one.to_json() for one in self.submitters],
            "classes": [
                {
                    "class": row.name,
                    "kind": row.kind,
                    "counts": dict(row.counts),
                    "mean_seconds": row.mean_s,
                    "waits_for": list(row.waits_for),
                }
                for row in self.classes
            ],
            "running": [
                {
                    "id": row.job,
                    "host": row.host,
                    "seconds": round(row.elapsed_s, 3),
                    "seconds_left": row.left_s,
                    "progress": dict(row.progress),
                    "measure": row.measure or None,
                    "values": list(row.values),
                }
                for row in self.running
            ],
            "failed": [
                {
                    "id": row.job,
                    "class": row.kind,
                    "message": row.message,
                    "ended": row.ended or None,
                    "log": str(row.log),
                }
                for row in self.failed
            ],
        }
