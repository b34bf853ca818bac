"""What an element prints of the jobs in it: a line for each thing that happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure
from exc.runtime.lease import Holder
from exc.runtime.reporter import Outcome
from exc.runtime.wording import duration
from exc.spec.words import plural


class LineReporter:
    """Tells how the run in an element goes."""

    def __init__(self, ref: str) -> None:
        self._ref = ref
        self._no_room = False

    def begin(self, plan: Plan, jobs: Sequence[Job]) -> None:  # noqa: ARG002
        self._say(f"SLURM job {self._ref}: {plural(len(jobs), 'job')} to run")

    def scheduled(self) -> None:
        return

    def started(self, job: Job, attempt: Attempt) -> None:
        self._say(f"started {job.id}, log {attempt.log}")

    def elsewhere(self, job: Job, holder: Holder) -> None:
        who = f"process {holder.owner.pid} on {holder.owner.host}" if holder.owner else "another process"
        self._say(f"waiting for {job.id}, which is run by {who}")

    def progress(self, job: Job, event: Mapping[str, Any]) -> None:  # noqa: ARG002
        return

    def done(self, job: Job, seconds: float, *, elsewhere: bool) -> None:
        self._say(f"done {job.id}" + (", elsewhere" if elsewhere else f" in {duration(seconds)}"))

    def failed(self, job: Job, failure: Failure, attempt: Attempt, blocked: Sequence[Job]) -> None:
        self._say(f"failed {job.id} ({failure.kind}): {failure.message}")
        self._say(f"  log: {attempt.log}")
        if blocked:
            self._say(f"  holds up {plural(len(blocked), 'job')} of this allocation")

    def retrying(self, job: Job, failure: Failure, wait_s: float) -> None:
        self._say(f"again {job.id}, in {duration(wait_s)} ({failure.kind}): {failure.message}")

    def no_room(self, folder: object) -> None:
        if not self._no_room:
            self._say(f"the disk of {folder} is full")
            self._no_room = True

    def stopped(self, job: Job) -> None:
        self._say(f"stopped {job.id}, which goes on when it is run again")

    def cancelled(self, job: Job, blocked: Sequence[Job]) -> None:  # noqa: ARG002
        self._say(f"cancelled {job.id}")

    def stopping(self, running: int, *, now: bool) -> None:  # noqa: ARG002
        self._say(f"told to stop: {plural(running, 'job')} will save and end")

    def end(self, outcome: Outcome) -> None:
        self._say(f"ended after {duration(outcome.seconds)}")

    def _say(self, text: str) -> None:
        print(text, flush=True)
