"""A short SLURM job that goes on with a plan: the next window, and again what was lost.

It runs when all that was queued has ended, and does what `exc submit` does, with two differences: what
somebody has cancelled stays so, and a failed job is tried again only as often as its profile says. It is the
last one when nothing is left to queue, or when jobs were queued twice and none has been done since.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job, Plan, PlanError, read_plan
from exc.compiler.published import FETCH
from exc.compiler.slurm_options import sbatch_options
from exc.runtime.attempts import Attempt, failure_of, last_attempt, utc_now
from exc.runtime.files import names, write_json
from exc.runtime.lease import Holder, acquire
from exc.runtime.outputs import Present
from exc.runtime.policies import retries_of
from exc.runtime.requests import Cancelled
from exc.runtime.slurm.element import Controller
from exc.runtime.slurm.records import LEASE, OUTSIDE, Ledger
from exc.runtime.slurm.sbatch import sbatch
from exc.runtime.slurm.scheduler import Scheduler, SlurmError
from exc.runtime.slurm.submission import Submission, wants_controller
from exc.runtime.stopping import EXIT_FAILED
from exc.runtime.store import Store

_FILE = "controller.json"
_RESOURCES = {"cpus": 1, "time": 900}
_MOST_AFTER = 300  # job ids that it waits for: the line that sbatch takes is not endless
_IDLE = 2  # controllers in a row that have found nothing new done


def queue_controller(
    plan: Plan,
    plan_folder: Path,
    store: Store,
    ledger: Ledger,
    scheduler: Scheduler,
    *,
    idle: int = 0,
    since: str = "",
) -> None:
    """Have a controller run when all that is queued now has ended, in place of one queued before.

    `idle`: how many before it, in a row, have found nothing new done. `since`: when a person last submitted,
    which is now if it is not given. Raises SlurmError.
    """
    after = [record.slurm_id for record in ledger.open_records() if record.slurm_id]
    if not after or not wants_controller(plan):
        return
    state = read_state(ledger)
    if before := str(state.get("slurm_id", "")):
        scheduler.cancel([before], pending=True)
    given = sbatch_options(_RESOURCES, plan.profile, controller_name(store, plan.experiment))
    options: dict[str, str | bool] = {
        (key if key == "open-mode" else key.replace("-", "_")): value or True for key, value in given.items()
    }
    options["dependency"] = ",".join(["singleton", ":".join(["afterany", *after[-_MOST_AFTER:]])])
    function = Controller(str(plan_folder.resolve()), str(store.root), plan.digest, idle)
    slurm_id = sbatch(ledger.root / "controller", function, options)
    write_state(ledger, slurm_id=slurm_id, since=since or utc_now(), done=_num_done(plan, store))


def controller_name(store: Store, experiment: str) -> str:
    """The name of the controllers of one experiment in one store: SLURM runs one of a name at a time."""
    return f"{experiment}.controller.{hashlib.sha256(str(store.root).encode()).hexdigest()[:8]}"


def run_controller(plan_folder: str, store_root: str, digest: str, idle: int) -> int:
    """What the controller does; gives its exit code."""
    try:
        plan = read_plan(Path(plan_folder))
    except PlanError as error:
        return _end(str(error), EXIT_FAILED)
    store = Store(Path(store_root))
    ledger, scheduler = Ledger(store, plan.experiment), Scheduler()
    if plan.digest != digest:
        return _end("the plan is another one since; `exc submit` goes on with it")
    state = read_state(ledger)
    idle = idle + 1 if state.get("done") == _num_done(plan, store) else 0
    if idle >= _IDLE:
        return _end("nothing new was done since the last one; `exc status` says why")
    lease = acquire(ledger.root, LEASE)
    if isinstance(lease, Holder):
        return _end("somebody submits this plan now")
    try:
        submission = Submission(plan, Path(plan_folder), store, ledger, scheduler, _say)
        done = submission.run(submission.look(), lambda needed: not_again(plan, store, needed, state))
        _say(f"{done.made.jobs} jobs queued, {done.made.deferred} left for later")
        if done.trouble is not None:
            raise done.trouble
        queue_controller(
            plan, Path(plan_folder), store, ledger, scheduler, idle=idle, since=str(state.get("since", ""))
        )
        return 0
    except SlurmError as error:
        return _end(f"SLURM: {error}", EXIT_FAILED)
    finally:
        lease.release()


def not_again(plan: Plan, store: Store, needed: Sequence[Job], state: dict[str, Any]) -> set[str]:
    """Jobs that only a person may have tried again, and those that no compute node can do."""
    cancelled = Cancelled(store)
    cancelled.look()
    return {
        job.id
        for job in needed
        if job.kind == FETCH
        or job.identity in cancelled
        or _had_enough(job, store, plan, str(state.get("since", "")))
    }


def _had_enough(job: Job, store: Store, plan: Plan, since: str) -> bool:
    """Whether it was ended by hand, or has failed more often since a person's submit than is tried again."""
    newest = last_attempt(store, job.identity)
    record = newest.read() if newest else {}
    if OUTSIDE in str(record.get("note", "")) and str(record.get("ended", "")) >= since:
        return True
    failure = failure_of(record)
    if failure is None:
        return False
    parent = store.attempts_path(job.identity)
    others = (Attempt(parent / number).failure_since(since or utc_now()) for number in names(parent))
    alike = sum(other is not None and other.kind == failure.kind for other in others)
    return alike > retries_of(failure.kind, plan.profile)


def read_state(ledger: Ledger) -> dict[str, Any]:
    """What the last submit or controller has left for the next."""
    try:
        data = json.loads((ledger.root / _FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_state(ledger: Ledger, **state: Any) -> None:
    write_json(ledger.root / _FILE, state)


def _num_done(plan: Plan, store: Store) -> int:
    present = Present(plan, store)
    return sum(present.done(job) for job in plan.jobs)


def _say(text: str) -> None:
    print(text, flush=True)


def _end(why: str, code: int = 0) -> int:
    print(f"no further controller: {why}", file=sys.stderr, flush=True)
    return code
