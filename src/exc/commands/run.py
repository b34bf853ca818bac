"""`exc submit`, `status`, `results`, `report`: from the plan to results."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from exc.commands.terminal import fail, print_json
from exc.compiler.plan import Plan, PlanError, read_plan
from exc.compiler.published import unlocked
from exc.runtime.places import find_store, spec_root
from exc.runtime.store import Store, StoreError
from exc.runtime.wording import compile_command


def submit(args: argparse.Namespace) -> int:
    """Run what a plan still needs, if it is what its spec says."""
    from exc.commands.stale import why_stale
    from exc.runtime.detach import background

    folder = Path(args.plan).absolute()
    try:
        plan = read_plan(Path(args.plan))
    except PlanError as error:
        return fail(str(error))
    if plan.profile.get("backend") == "slurm" and (args.slots is not None or args.gpus is not None):
        what = "--slots" if args.slots is not None else "--gpus"
        of = f"`resources` of profile {plan.profile['name']}"
        return fail(f"{what} is about this machine; on a cluster {of} say what a job gets", 2)
    if args.detach:
        return _detach(args, folder, find_store(plan, folder))
    told = background()
    reasons = why_stale(plan, folder, args.plan)
    if reasons:
        return fail("\n".join(reasons))
    if names := unlocked(plan):
        again = f"run `exc lock` where the hub can be reached, then `{compile_command(plan, folder)}`"
        return fail(f"{args.plan}: {', '.join(names)} is not locked to a commit\n{again}")
    gc.freeze()  # the plan lives to the end; what is made from here on may not
    gc.enable()
    from exc.commands.console import Output
    from exc.runtime.submit import submit as run

    return run(
        plan,
        folder,
        find_store(plan, folder),
        console=Output(),
        slots=args.slots,
        gpus=args.gpus,
        log=told.log if told else "",
        under_way=told.under_way if told else None,
    )


def _detach(args: argparse.Namespace, folder: Path, store: Store) -> int:
    """Have the same done in the background; ends when it is under way, or with its exit code."""
    from exc.runtime.detach import start
    from exc.runtime.wording import here, plan_command

    slots = ["--slots", str(args.slots)] if args.slots else []
    slots += ["--gpus", str(args.gpus)] if args.gpus is not None else []
    started = start(["submit", args.plan, *slots], store)
    if started.code is not None:
        text = started.log.read_text(encoding="utf-8", errors="replace")
        (sys.stderr if started.code else sys.stdout).write(text)
        started.log.unlink(missing_ok=True)
        return started.code
    print(f"submitting in the background: process {started.pid}, log {here(started.log)}")
    print(f"to watch: {plan_command('watch', folder)}")
    print(f"to stop it: {plan_command('cancel --all', folder)}")
    return 0


def status(args: argparse.Namespace) -> int:
    """Where a plan stands; 1 if a job of it failed."""
    from exc.commands.console import Output
    from exc.runtime.status import print_status, status_json

    folder = Path(args.plan).absolute()
    try:
        plan = read_plan(Path(args.plan))
        if args.json:
            data = status_json(plan, find_store(plan, folder))
            print_json(data)
            return 1 if data["counts"]["failed"] else 0
        return print_status(plan, folder, find_store(plan, folder), Output())
    except (PlanError, StoreError) as error:
        return fail(str(error))


def results(args: argparse.Namespace) -> int:
    """Every score, as a table, CSV or JSON."""
    from exc.commands.console import Output
    from exc.runtime.results import result_rows, results_csv, results_table

    folder = Path(args.plan).absolute()
    try:
        plan = read_plan(Path(args.plan))
        rows = result_rows(plan, find_store(plan, folder))
    except (PlanError, StoreError) as error:
        return fail(str(error))
    if args.json:
        print_json([row.to_json() for row in rows])
    elif args.csv:
        sys.stdout.write(results_csv(rows))
    else:
        console = Output()
        for name, evaluation in plan.report["evaluations"].items():
            if evaluation["kind"] == "contamination":
                continue
            console.print(results_table(rows, name, evaluation["metrics"]))
            console.print()
        for line in _sought(plan, folder):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print("every metric, with job and artifact: exc results --csv", style="dim", highlight=False)
    return 0


def _sought(plan: Plan, folder: Path) -> list[str]:
    """Problems that stand in training data, if the plan looks for them."""
    if not plan.report.get("contamination"):
        return []
    from exc.runtime.report.contamination import found_lines

    return list(found_lines(plan, find_store(plan, folder)))


def report(args: argparse.Namespace) -> int:
    """Draw the report; what is not there yet is shown as missing, with the reason."""
    from exc.runtime.report import write_report

    folder = Path(args.plan).absolute()
    try:
        plan: Plan = read_plan(Path(args.plan))
        out = Path(args.out) if args.out else spec_root(plan, folder) / "report"
        page = write_report(plan, find_store(plan, folder).root, out)
    except (PlanError, StoreError) as error:
        return fail(str(error))
    print(f"report: {_short(page)}")
    return 0


def _short(path: Path) -> str:
    """A path as seen from here, where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
