"""One call of sbatch, by submitit, so that it is made once though its answer may be lost."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from exc.runtime.files import names
from exc.runtime.slurm.parsing import Entry
from exc.runtime.slurm.records import Ledger, Record
from exc.runtime.slurm.scheduler import (
    Busy,
    NoSlurm,
    Refused,
    Scheduler,
    SlurmError,
    plainly,
    reading,
)

PATIENCE_S = 300.0  # with a scheduler that does not answer
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_TIMEOUTS = 1_000_000  # submitit counts signals as time-outs, and would end a job after so many
_PICKLE = "_submitted.pkl"


class Patience:
    """Waits between tries, each about twice as long as the one before, so that many do not ask at once."""

    def __init__(self, patience_s: float | None = None) -> None:
        self._until = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
        self._wait_s = _FIRST_WAIT_S

    def wait(self) -> bool:
        """Wait before the next try; False if there have been enough."""
        wait_s = self._wait_s * random.uniform(0.5, 1.5)
        if time.monotonic() + wait_s > self._until:
            return False
        time.sleep(wait_s)
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
        return True


def enqueue(
    ledger: Ledger,
    scheduler: Scheduler,
    record: Record,
    options: Mapping[str, str | bool],
    function: Any,
    say: Callable[[str], None],
) -> Record:
    """Queue what an intent says; gives the record with the job id.

    Raises Full or Refused, and then nothing was queued; Busy where the scheduler does not answer for minutes,
    and then the record stays as it is, for the next submit to look for.
    """
    ledger.write(record)
    patience = Patience()
    while True:
        try:
            slurm_id = sbatch(ledger.runs(record.key), function, options)
            break
        except Busy as error:
            if not patience.wait():
                raise
            say(f"the scheduler is busy ({error}); trying again")
            if (found := _look_for(record, scheduler)) is not None:
                slurm_id = found
                break
        except SlurmError as error:
            ledger.close(record, f"not queued: {error}")
            raise
    return accepted(ledger, record, slurm_id, function)


def accepted(ledger: Ledger, record: Record, slurm_id: str, function: Any) -> Record:
    """Lay ready what each element of a call will look for, and note its job id."""
    record = replace(record, slurm_id=slurm_id)
    # First: a record with an id is not looked at again, and without one this is done once more.
    lay_ready(ledger.runs(record.key), [record.ref(index) for index in record.elements], function)
    return ledger.write(record)


def job_id_of(name: str, entries: Iterable[Entry]) -> str:
    """The job id of a call, by its job's name; empty if no entry has it."""
    return next((entry.ref.partition("_")[0] for entry in entries if entry.name == name), "")


def _look_for(record: Record, scheduler: Scheduler) -> str | None:
    """The job id of a call that may have been accepted, though its answer was lost."""
    try:
        return job_id_of(record.name, scheduler.queue().values()) or None
    except Busy:
        return None


def sbatch(folder: Path, function: Any, options: Mapping[str, str | bool]) -> str:
    """Have submitit queue a function; gives the job id. Raises SlurmError."""
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    folder.mkdir(parents=True, exist_ok=True)
    array = {"output": f"{folder}/%A_%a_0_log.out"} if "array" in options else {}
    try:
        # The shell becomes Python, so that a signal to the batch shell reaches it and nothing is left behind.
        python = f"exec {shlex.quote(sys.executable)} -P"
        executor = submitit.SlurmExecutor(folder, max_num_timeout=_TIMEOUTS, python=python)
    except RuntimeError as error:
        raise NoSlurm(str(error)) from None
    executor.update_parameters(
        time=None,
        wckey=None,
        use_srun=False,
        stderr_to_stdout=True,
        additional_parameters={"job_name": "exc", **options, **array},
    )
    with plainly(), contextlib.redirect_stderr(io.StringIO()):
        try:
            return str(executor.submit(function).job_id)
        except FailedJobError as error:
            raise reading(str(error)) from None
        except FailedSubmissionError as error:  # it was accepted, as far as one can tell
            raise Busy(str(error)) from None
        except FileNotFoundError:
            raise NoSlurm("`sbatch` is not on this machine") from None
        except OSError as error:
            raise Refused(f"`sbatch` cannot be run: {error.strerror or error}") from error


def lay_ready(folder: Path, refs: Iterable[str], function: Any) -> None:
    """Put what submitit loads at the start of each element where it looks for it."""
    from submitit.helpers import DelayedSubmission

    source, link = folder / ".element.pkl", folder / ".link"
    delayed = DelayedSubmission(function)
    delayed.set_timeout(0, _TIMEOUTS)
    delayed.dump(source)
    for ref in refs:
        link.unlink(missing_ok=True)
        os.link(source, link)
        link.replace(folder / f"{ref}{_PICKLE}")


def tidy(folder: Path) -> None:
    """Remove what no element of a call needs any more; what they printed stays."""
    for name in names(folder):
        if name.endswith(".pkl"):
            (folder / name).unlink(missing_ok=True)
