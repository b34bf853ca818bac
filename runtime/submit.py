"""`exc submit`: do what a plan still needs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from exc.compiler.plan import Plan
from exc.runtime.backends.inventory import choose_gpus
from exc.runtime.backends.slots import usable_cpus
from exc.runtime.failures import is_disk
from exc.runtime.outputs import Present, link_results
from exc.runtime.progress import TerminalReporter
from exc.runtime.ready import needed_jobs
from exc.runtime.registry import register
from exc.runtime.requests import lift
from exc.runtime.stopping import EXIT_ENVIRONMENT
from exc.runtime.store import Store
from exc.runtime.submitters import Submitting, submitters
from exc.runtime.wording import cure
from exc.spec.words import plural


def submit(
    plan: Plan,
    plan_folder: Path,
    store: Store,
    *,
    console: Console,
    slots: int | None = None,
    gpus: int | None = None,
    log: str = "",
    under_way: Callable[[], None] | None = None,
) -> int:
    """Run what a plan still needs and wait for it, or queue it on a cluster; gives the exit code.

    0 all done or queued, 1 a job failed, 3 this machine is at fault, 130 interrupted or cancelled. `slots`
    are CPU slots, `gpus` how many GPUs; left out, the profile says, else all there are. `log` is the file
    that takes the output of a submit in the background, `under_way` is called when the first jobs run.
    What was cancelled before runs again.
    """
    if gpus is None:
        gpus = plan.profile.get("gpus")
    try:
        return _submit(plan, plan_folder, store, console, slots, gpus, log, under_way)
    except OSError as error:
        said = f"error: {error.filename or store.root}: {error.strerror or error}"
        if is_disk(error):
            said += "\n" + ": ".join(cure("disk", plan, plan_folder))
        with suppress(OSError):  # the output may lie on that disk, too
            console.print(said, style="red", highlight=False, markup=False, soft_wrap=True)
        return EXIT_ENVIRONMENT


def _submit(
    plan: Plan,
    plan_folder: Path,
    store: Store,
    console: Console,
    slots: int | None,
    gpus: int | None,
    log: str,
    under_way: Callable[[], None] | None,
) -> int:
    register(plan, plan_folder, store)  # before looking, so that what is found there stays
    present = Present(plan, store)
    for job in plan.jobs:
        if present.done(job):
            link_results(plan, job, store)
    needed = needed_jobs(plan, present)
    if not needed:
        console.print(
            f"{plan.experiment}: nothing to do, all {plural(len(plan.jobs), 'job')} done", highlight=False
        )
        return 0
    if plan.profile.get("backend") == "slurm":
        from exc.runtime.slurm.submit import submit_to_slurm

        return submit_to_slurm(plan, plan_folder, store, console)
    from exc.runtime.backends.local import run_local

    cpus = int(slots or plan.profile.get("slots") or usable_cpus())
    reporter = TerminalReporter(console, plan_folder, cpus, under_way)
    try:
        store.sweep()
        _tell_of_others(plan, store, console)
        if lifted := lift(store, needed):
            said = f"{plural(len(lifted), 'job')} had been cancelled, and will run again"
            console.print(said, highlight=False, soft_wrap=True)
        devices = choose_gpus(gpus)
        with Submitting(store, plan.experiment, cpus=cpus, gpus=len(devices), log=log):
            return run_local(plan, plan_folder, store, reporter, cpus, devices).exit_code
    finally:
        reporter.close()


def _tell_of_others(plan: Plan, store: Store, console: Console) -> None:
    for other in submitters(store, plan.experiment):
        console.print(f"{other.text()} already; the two share the work", highlight=False, soft_wrap=True)
