"""One job by several processes: the first records and publishes, the others run the same stage beside it."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure
from exc.runtime.context import Counts, Stopped
from exc.runtime.execution import Ending, Execution
from exc.runtime.failures import classify
from exc.runtime.stopping import EXIT_FAILED, EXIT_RESUMES, Interrupted, StopFlag
from exc.runtime.store import Store
from exc.runtime.team import Team, finish, forget_reports, report_failure, reported_failure, watch_others

# How gloo and NCCL put it that another process does not answer any more.
_GONE = re.compile(
    r"gloo.*(Connection (reset|closed) by peer|Broken pipe)"
    r"|ncclRemoteError|remote process exited|NCCL.*([Tt]imed? ?out|timing out|was aborted)",
    re.DOTALL,
)


def lead(execution: Execution, team: Team) -> Ending:
    """Run the job as the first of its processes.

    What another has failed of is the failure: the first only sees that somebody no longer answers.
    """
    attempt = execution.attempt
    forget_reports(attempt)
    kept = {str(step): there for step, there in execution.kept().items()}
    team.tell({"attempt": str(attempt.path), "kept": kept})

    def give_up(failure: Failure) -> None:
        attempt.end(EXIT_FAILED, failure)
        os._exit(finish(EXIT_FAILED))  # what it hangs in cannot be interrupted

    over = watch_others(attempt, give_up)
    ending = execution.run()
    over.set()
    if ending.word == "done":
        return ending
    reported = reported_failure(attempt) or _of_another(ending.failure)
    return Ending("failed", reported, ending.trace) if reported is not None else ending


def _of_another(failure: Failure | None) -> Failure | None:
    """What this process failed of, where that is another's end of which nobody left word: it was killed."""
    if failure is None or failure.kind != "error" or not _GONE.search(failure.message):
        return None
    return Failure("killed", f"another of the job's processes is gone: {failure.message}")


def follow(plan: Plan, job: Job, store: Store, root: Path, stop: StopFlag, team: Team) -> int:
    """Run the job as another than the first of its processes; gives the exit code."""
    order = team.order()
    if "leave" in order:
        return int(order["leave"])
    attempt = Attempt(Path(order["attempt"]))
    told = {int(step): there for step, there in order["kept"].items()}
    ending = Follower(plan, job, store, root, attempt, _say_nothing, stop, _never, told).run()
    if ending.failure is not None:
        report_failure(attempt, team.rank, ending.failure)
        with suppress(OSError):
            text = f"{job.id}: process {team.rank} failed ({ending.failure.kind}): {ending.failure.message}"
            print(ending.trace + text, file=sys.stderr, flush=True)
        return EXIT_FAILED
    if ending.word == "done":
        return 0
    return stop.exit_code if stop() else EXIT_RESUMES


@dataclass
class Follower(Execution):
    """An execution that leaves recording and publishing to the first process."""

    told: Mapping[int, bool] = field(default_factory=dict)  # as the first process saw it: kept step -> there

    def run(self) -> Ending:
        try:
            with self.stop.during():
                self._stage()
            return Ending("done")
        except (Stopped, Interrupted, KeyboardInterrupt):
            return Ending("stopped")
        except (Exception, SystemExit) as error:
            return Ending("failed", classify(error), traceback.format_exc())

    def kept(self) -> dict[int, bool]:
        return dict(self.told)

    def _publish(
        self,
        write: Callable[[Path], None],
        *,
        step: int | None = None,
        metrics: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> None:
        """Nothing: the first process does."""

    def _emit(self, event: str, **fields: Any) -> None:
        """Nothing: the first process does."""


def _say_nothing(_text: str) -> None:
    return


def _never() -> bool:
    return False
