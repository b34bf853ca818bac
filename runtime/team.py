"""Several processes of one job: the first decides, the others do as it says.

They meet in the key-value store of torch's launcher, before anything else of torch.distributed is set up, so
that the first may wait for the job's lease as long as it takes.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from exc.runtime.attempts import Attempt, Failure, failure_of
from exc.runtime.failures import EXIT_DISK
from exc.runtime.files import write_json
from exc.runtime.relay import die_with_parent, is_gone, leave_code
from exc.runtime.stopping import EXIT_FAILED

_ORDER = "order"
_LOOK_AGAIN_S = 0.2
_GRACE_S = 10.0  # for the first process to see for itself that another has failed
_REPORT = "process-{}.json"
_KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Team:
    """This process among those of its job."""

    rank: int
    store: Any  # torch's, under a prefix of our own

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def tell(self, order: dict[str, Any]) -> None:
        """Say what is to be done; the first process says it once."""
        self.store.set(_ORDER, json.dumps(order))

    def order(self) -> dict[str, Any]:
        """What the first process says, once it does."""
        while not self.store.check([_ORDER]):
            time.sleep(_LOOK_AGAIN_S)
        order: dict[str, Any] = json.loads(self.store.get(_ORDER))
        return order


def world_size() -> int:
    """How many processes do this job together, by what their launcher has set."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def join_team() -> Team | None:
    """Meet the other processes of this job; None where there are none."""
    if world_size() == 1:
        return None
    die_with_parent()  # its launcher, which alone can tell the others
    if is_gone():  # before the kernel was asked
        raise SystemExit(EXIT_FAILED)
    # Of a process that can say no other code: the launcher kills it where another is gone, for which it would
    # wait in NCCL, or it was killed itself.
    leave_code(_KILLED)
    from torch import distributed

    torch: Any = distributed  # which exports these two without saying so
    store, rank, _ = next(torch.rendezvous("env://", timeout=timedelta(minutes=10)))
    return Team(rank, torch.PrefixStore("exc", store))


def finish(code: int) -> int:
    """The code for a process to end with, by its own.

    Of several, one that was stopped ends as if all were well, so that the launcher leaves the others alone;
    what it means is left for `exc.runtime.relay`.
    """
    if world_size() == 1:
        return code
    leave_code(code)
    return EXIT_FAILED if code in (EXIT_FAILED, EXIT_DISK) else 0


def report_failure(attempt: Attempt, rank: int, failure: Failure) -> None:
    """Leave word for the first process, which only sees that this one is gone."""
    with suppress(OSError):
        write_json(attempt.path / _REPORT.format(rank), {"failure": failure.to_json()})


def forget_reports(attempt: Attempt) -> None:
    """Remove what is left of a time before, when a scheduler had the same attempt begin anew."""
    for path in attempt.path.glob(_REPORT.format("*")):
        with suppress(OSError):
            path.unlink()


def reported_failure(attempt: Attempt) -> Failure | None:
    """What a process other than the first has failed of; the first such report."""
    for path in sorted(attempt.path.glob(_REPORT.format("*")), key=_written):
        with suppress(OSError, ValueError):
            found = failure_of(json.loads(path.read_bytes()))
            if found is not None:
                return found
    return None


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def watch_others(attempt: Attempt, end: Callable[[Failure], None]) -> threading.Event:
    """Call `end` if another process fails and this one does not come to see it, hanging in a collective.

    Set the event that is returned once this process has come to its own end.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            failure = reported_failure(attempt)
            if failure is not None:
                if not over.wait(_GRACE_S):
                    end(failure)
                return

    threading.Thread(target=watch, name="others", daemon=True).start()
    return over
