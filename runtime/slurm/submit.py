"""`exc submit` of a plan for a cluster: fetch here, queue the rest, say what was done, and return."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from exc.compiler.plan import Job, Plan
from exc.compiler.published import FETCH
from exc.runtime.lease import Holder, Lease, acquire
from exc.runtime.outputs import Present
from exc.runtime.ready import needed_jobs
from exc.runtime.requests import lift
from exc.runtime.slurm.controller import queue_controller
from exc.runtime.slurm.records import LEASE, Ledger
from exc.runtime.slurm.scheduler import Busy, Full, NoSlurm, Scheduler, SlurmError
from exc.runtime.slurm.submission import Submission, Submitted, wants_controller
from exc.runtime.stopping import EXIT_ENVIRONMENT
from exc.runtime.store import Store
from exc.runtime.wording import plan_command, submit_command
from exc.spec.words import plural

_LEASE_S = 100.0  # for another submit of this plan; by then one that was killed elsewhere is known to be gone
_LOOK_AGAIN_S = 0.5
_MOST_IDS = 6


def submit_to_slurm(plan: Plan, plan_folder: Path, store: Store, console: Console) -> int:
    """Queue what a plan still needs; gives the exit code.

    0 all that can be is queued, 1 something cannot be, 3 SLURM or this machine is at fault, 130 interrupted.
    """

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if lifted := lift(store, needed_jobs(plan, Present(plan, store))):
        say(f"{plural(len(lifted), 'job')} had been cancelled, and will run again")
    code = _fetch(plan, plan_folder, store, console)
    if code == 130:
        return code
    ledger = Ledger(store, plan.experiment)
    lease = _wait_for_lease(ledger)
    if isinstance(lease, Holder):
        who = f"process {lease.owner.pid} on {lease.owner.host}" if lease.owner else "another process"
        say(f"{who} queues this plan now; nothing was done here")
        return 0
    try:
        scheduler = Scheduler()
        submission = Submission(plan, plan_folder, store, ledger, scheduler, say)
        done = submission.run(submission.look(), _fetched_only)
        if done.trouble is None:
            try:
                queue_controller(plan, plan_folder, store, ledger, scheduler)
            except SlurmError as error:
                done.trouble = error
        return max(code, _tell(plan, plan_folder, done, say))
    except SlurmError as error:
        say(trouble_text(error, plan, plan_folder))
        return EXIT_ENVIRONMENT
    except KeyboardInterrupt:
        say("interrupted: what was queued is held, or goes on")
        say(f"to queue the rest: {submit_command(plan_folder)}")
        say(f"to take it back: {plan_command('cancel --all', plan_folder)}")
        return 130
    finally:
        lease.release()


def _fetched_only(needed: Sequence[Job]) -> set[str]:
    """Jobs that no compute node can do: what is not fetched by now cannot be read."""
    return {job.id for job in needed if job.kind == FETCH}


def _fetch(plan: Plan, plan_folder: Path, store: Store, console: Console) -> int:
    """Bring what others have published into the store, on this machine, which sees the network."""
    wanted = [job for job in needed_jobs(plan, Present(plan, store)) if job.kind == FETCH]
    if not wanted:
        return 0
    from exc.runtime.backends.local import run_local
    from exc.runtime.backends.running import Part
    from exc.runtime.backends.slots import usable_cpus
    from exc.runtime.progress import TerminalReporter

    cpus = int(plan.profile.get("slots") or usable_cpus())
    reporter = TerminalReporter(console, plan_folder, cpus)
    try:
        return run_local(plan, plan_folder, store, reporter, cpus, (), Part(wanted)).exit_code
    finally:
        reporter.close()


def _wait_for_lease(ledger: Ledger) -> Lease | Holder:
    """The right to write records, after whoever has it, if that does not take long."""
    ledger.root.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + _LEASE_S
    while isinstance(lease := acquire(ledger.root, LEASE), Holder) and time.monotonic() < until:
        time.sleep(_LOOK_AGAIN_S)
    return lease


def trouble_text(error: SlurmError, plan: Plan, plan_folder: Path) -> str:
    """What went wrong with SLURM, and what to do."""
    again = f"to go on: {submit_command(plan_folder)}"
    if isinstance(error, NoSlurm):
        return f"error: {error}\nrun this where SLURM's commands are, on a login node of the cluster"
    if isinstance(error, Busy):
        return f"error: the scheduler does not answer: {error}\nwhat is queued stays; {again}"
    if isinstance(error, Full):
        return f"error: SLURM takes no more now, and no controller: {error}\nwhen some have ended, {again}"
    name = plan.profile["name"]
    return f"error: SLURM refused: {error}\nto find out why: exc doctor --profile {name}\n{again}"


def _tell(plan: Plan, plan_folder: Path, done: Submitted, say: Callable[[str], None]) -> int:
    """Say what was queued, and what was not and why; gives the exit code."""
    made, todo = done.made, done.todo
    before = len(todo.waiting) + len(todo.running)
    if before or not made.jobs:
        running = f" ({len(todo.running)} of them in allocations that run)" if todo.running else ""
        say(f"{plan.experiment}: {plural(before, 'job')} queued already{running}, {made.jobs} queued now")
    if made.jobs:
        calls = plural(len(made.records), "sbatch call")
        ids = [record.slurm_id for record in made.records]
        named = ", ".join(ids[:_MOST_IDS]) + (f", ... {ids[-1]}" if len(ids) > _MOST_IDS else "")
        say(f"{plan.experiment}: {plural(made.jobs, 'job')} queued by {calls}: {named}")
    if todo.dead:
        gone = plural(len(todo.dead), "element")
        say(f"{gone} taken out of the queue: the plan does not need them, or they would never have run")
    if made.deferred:
        why = (
            f"SLURM takes no more now ({made.full})" if made.full else "`max_jobs` of the profile are queued"
        )
        say(f"{plural(made.deferred, 'job')} not queued yet: {why}")
        if not wants_controller(plan):
            say(f"when some have ended: {submit_command(plan_folder)}")
    if todo.left_out:
        say(f"{plural(len(todo.left_out), 'job')} not queued: what they read was not fetched")
    if done.trouble is not None:
        say(trouble_text(done.trouble, plan, plan_folder))
        return EXIT_ENVIRONMENT
    if made.jobs or before:
        say(f"to watch: {plan_command('watch', plan_folder)}")
    if made.full and not made.jobs and not before:
        return EXIT_ENVIRONMENT
    return 1 if todo.left_out else 0
