"""`exc submit`: do what a plan still needs."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from exc.compiler.plan import Plan
from exc.runtime.backends.slots import usable_cpus
from exc.runtime.outputs import Present, link_results
from exc.runtime.progress import TerminalReporter
from exc.runtime.ready import needed_jobs
from exc.runtime.store import Store
from exc.runtime.wording import plural

EXIT_ENVIRONMENT = 3


def submit(plan: Plan, plan_folder: Path, store: Store, *, console: Console, slots: int | None = None) -> int:
    """Run what a plan still needs, in the foreground; gives the exit code.

    0 all done, 1 a job failed, 3 this machine is at fault, 130 interrupted. `slots` are CPU slots; left
    out, the profile says, else all CPUs that this process may use.
    """
    present = Present(plan, store)
    for job in plan.jobs:
        if present.done(job):
            link_results(plan, job, store)
    if not needed_jobs(plan, present):
        console.print(
            f"{plan.experiment}: nothing to do, all {plural(len(plan.jobs), 'job')} done", highlight=False
        )
        return 0
    from exc.runtime.backends.local import run_local

    cpus = int(slots or plan.profile.get("slots") or usable_cpus())
    reporter = TerminalReporter(console, plan_folder, cpus)
    try:
        store.sweep()
        return run_local(plan, plan_folder, store, reporter, cpus).exit_code
    except OSError as error:
        reporter.close()
        said = f"error: {error.filename or store.root}: {error.strerror or error}"
        console.print(said, style="red", highlight=False, markup=False, soft_wrap=True)
        return EXIT_ENVIRONMENT
    finally:
        reporter.close()
