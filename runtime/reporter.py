"""What a backend tells while it runs a plan, and how a run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure
from exc.runtime.lease import Holder


@dataclass
class Outcome:
    """How a run of a plan ended, by job id."""

    done: dict[str, float] = field(default_factory=dict)  # -> seconds
    failed: dict[str, tuple[Failure, Attempt]] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)  # -> the failed job that it would have read from
    interrupted: list[str] = field(default_factory=list)  # stopped on the way, to be resumed
    unstarted: list[str] = field(default_factory=list)
    # Someone cancelled it -> "", or the cancelled job that it would have read from.
    cancelled: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: bool = False  # someone asked for the end
    no_room: bool = False  # jobs were not started because the disk is full

    @property
    def exit_code(self) -> int:
        """0 all done, 1 something failed, 3 the disk is full, 130 interrupted or cancelled."""
        if self.stopped:
            return 130
        if self.no_room or {failure.kind for failure, _ in self.failed.values()} == {"disk"}:
            return 3
        if self.failed or self.blocked or self.interrupted or self.unstarted:
            return 1
        return 130 if self.cancelled else 0


class Reporter(Protocol):
    """Told by a backend what happens, from its one thread. Must not raise."""

    def begin(self, plan: Plan, jobs: Sequence[Job]) -> None:
        """`jobs` are about to run; the rest of the plan is done or not needed."""

    def scheduled(self) -> None:
        """What can start at once was started: the run is under way."""

    def started(self, job: Job, attempt: Attempt) -> None: ...

    def elsewhere(self, job: Job, holder: Holder) -> None:
        """Another process works on the job; this run waits for it."""

    def progress(self, job: Job, event: Mapping[str, Any]) -> None: ...

    def done(self, job: Job, seconds: float, *, elsewhere: bool) -> None: ...

    def failed(self, job: Job, failure: Failure, attempt: Attempt, blocked: Sequence[Job]) -> None: ...

    def retrying(self, job: Job, failure: Failure, wait_s: float) -> None:
        """The job failed of what may pass, or can go on: it is started again after so many seconds."""

    def no_room(self, folder: Path) -> None:
        """A job is not started because the disk of this folder is full. May be told again and again."""

    def stopped(self, job: Job) -> None:
        """The job saved what it had and ended."""

    def cancelled(self, job: Job, blocked: Sequence[Job]) -> None:
        """Someone asked that the job is not run; `blocked` would have read from it."""

    def stopping(self, running: int, *, now: bool) -> None:
        """Someone asked for the end; `now` on the second time, when what runs is killed."""

    def end(self, outcome: Outcome) -> None: ...
