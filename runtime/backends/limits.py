"""The time limit of a job, and whether an attempt came further before it was over."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exc.compiler.plan import Job
from exc.runtime.attempts import Failure
from exc.spec.units import format_duration

GRACE_S = 45.0  # between the request to save and stop, and the kill; longer than a command's own


@dataclass
class TimeLimit:
    """The wall-clock limit of one attempt."""

    limit_s: float | None  # None: none
    began: float = field(default_factory=time.monotonic)
    asked: bool = False  # to save and stop, because the time is over
    killed: bool = False

    def due(self) -> signal.Signals | None:
        """The signal that the job is to get now; each is given once."""
        if self.limit_s is None:
            return None
        over_s = time.monotonic() - self.began - self.limit_s
        if not self.asked and over_s >= 0:
            self.asked = True
            return signal.SIGUSR2
        if not self.killed and over_s >= GRACE_S:
            self.killed = True
            return signal.SIGKILL
        return None

    def failure(self, saves: bool) -> Failure:
        limit = format_duration(int(self.limit_s or 0))
        why = "before it had saved a step that its last attempt had not" if saves else "before it was done"
        return Failure("time-out", f"its time limit of {limit} (`time` in the profile) was over {why}")


@dataclass
class Advance:
    """How far an attempt came, from its events: the step that it started from and the last that it saved."""

    start: float = 0.0
    saved: float | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        step = event.get("step")
        if not isinstance(step, int | float):
            return
        if event["event"] == "progress" and event.get("resumed"):
            self.start = max(self.start, step)
        elif event["event"] in ("saved", "published"):
            self.saved = max(self.saved or 0.0, step)

    @property
    def made(self) -> bool:
        """Whether an attempt that goes on from here would be further than this one was when it began."""
        return self.saved is not None and self.saved > self.start


def time_limit(job: Job) -> TimeLimit:
    """The limit that the profile sets a job, running from now."""
    given = job.resources.get("time")
    return TimeLimit(None if given is None else float(given))
