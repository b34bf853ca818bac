"""`exc watch`, `logs`, `cancel`: what is asked of a run from outside, while it goes on or afterwards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exc.commands.terminal import fail, print_json
from exc.compiler.plan import Plan, PlanError, read_plan
from exc.runtime.places import find_store
from exc.runtime.store import Store, StoreError
from exc.runtime.wording import here, plan_command
from exc.spec.words import listed, plural

if TYPE_CHECKING:
    from exc.runtime.cancel import Cancelled
    from exc.runtime.logs import Found

_MOST_NAMED = 5


def watch(args: argparse.Namespace) -> int:
    """A live view; one frame with --once, --json or where there is no terminal."""
    from exc.commands.console import Output
    from exc.runtime.watch import Watch
    from exc.runtime.watch_live import watch_live, watch_once

    try:
        plan, folder, store = _open(args)
        watched = Watch(plan, store)
        if args.json:
            frame = watched.look()
            print_json(frame.to_json())
            return frame.exit_code
        console = Output()
        if args.once or not (console.is_terminal and sys.stdin.isatty()):
            return watch_once(watched, folder, console)
        return watch_live(watched, folder, console, interval_s=args.interval, keep=args.keep)
    except (PlanError, StoreError) as error:
        return fail(str(error))


def logs(args: argparse.Namespace) -> int:
    """A job's log, or its events; which attempt that is goes to stderr."""
    from exc.runtime.logs import NoLog, find_log
    from exc.runtime.selecting import find_one

    try:
        plan, _, store = _open(args)
        found = find_log(plan, store, find_one(plan, args.job), args.attempt)
    except (PlanError, StoreError, NoLog) as error:
        return fail(str(error))
    except LookupError as error:
        return fail(str(error.args[0]))
    file = found.attempt.events if args.events else found.attempt.log
    if args.path:
        print(file)
        return 0
    print(f"{found.text}\n{here(file)}", file=sys.stderr, flush=True)
    try:
        _show_events(args, found, store) if args.events else _show_log(args, found, store)
    except KeyboardInterrupt:
        if not args.follow:
            raise
    return 0


def _show_log(args: argparse.Namespace, found: Found, store: Store) -> None:
    from exc.runtime.logs import chunks, follow, running, tail

    offset = 0
    if args.tail is not None:
        text, offset = tail(found.attempt.log, args.tail)
        _write(text)
    if args.follow:
        follow(found.attempt.log, offset, lambda: running(found.job, store, found.attempt), _write)
    elif args.tail is None:
        for chunk in chunks(found.attempt.log):
            sys.stdout.write(chunk)


def _show_events(args: argparse.Namespace, found: Found, store: Store) -> None:
    import time

    from exc.runtime.events import EventTail
    from exc.runtime.logs import LOOK_S, event_line, running

    events = EventTail(found.attempt.events)
    first = events.read()
    for event in first if args.tail is None else first[len(first) - min(args.tail, len(first)) :]:
        _write(event_line(event) + "\n")
    more = args.follow
    while more:
        more = running(found.job, store, found.attempt)
        for event in events.read():
            _write(event_line(event) + "\n")
        if more:
            time.sleep(LOOK_S)


def _write(text: str) -> None:
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()


def cancel(args: argparse.Namespace) -> int:
    """Ask for jobs to be saved and stopped."""
    from exc.runtime.cancel import Wish
    from exc.runtime.cancel import cancel as ask

    wholes = [args.recipe, args.trunk, args.all]
    if any(wholes) and args.job is not None:
        if args.plan != "plan":
            return fail("name a job, or --recipe, --trunk or --all, not both", 2)
        # The only name given is the plan's: `exc cancel --all PLAN`.
        args.plan, args.job = args.job, None
    if not any(wholes) and args.job is None:
        return fail("say which: a JOB-ID, --recipe NAME, --trunk NAME or --all", 2)
    try:
        plan, folder, store = _open(args)
        done = ask(plan, store, Wish(args.job or "", args.recipe or "", args.trunk or ""))
    except (PlanError, StoreError) as error:
        return fail(str(error))
    except LookupError as error:
        return fail(str(error.args[0]))
    if args.json:
        print_json(done.to_json())
    else:
        _tell(done, plan, folder, store)
    return 0 if done.anything else 1


def _tell(done: Cancelled, plan: Plan, folder: Path, store: Store) -> None:
    from exc.runtime.submitters import submitters

    if not done.anything:
        why = "none of it is still to be run" + (f", {done.finished} done" if done.finished else "")
        if done.spared:
            why = "other jobs need all that is left of it"
        print(f"nothing to cancel: {why}")
    for job_id, held in done.stopping.items():
        where = f"process {held.owner.pid} on {held.owner.host}" if held.owner else "a process somewhere"
        print(f"stopping {job_id}: {where} saves what it has")
    _list("not to be started", done.unstarted)
    _list("failed before, not to be tried again", done.failed)
    _list("waiting for what was cancelled", done.blocked)
    for job_id, reader in list(done.spared.items())[:_MOST_NAMED]:
        print(f"kept {job_id}: {reader} needs it")
    if len(done.spared) > _MOST_NAMED:
        print(f"and {len(done.spared) - _MOST_NAMED} more that others need")
    _list("taken out of SLURM's queue", done.taken.refs, "element")
    if done.taken.problem:
        print(f"the scheduler does not answer ({done.taken.problem}): they find the request when they start")
    if done.anything:
        for one in submitters(store, plan.experiment):
            print(f"{one.text()} and has been told")
        print("what is done, and what running jobs saved, is kept")
        print(f"to go on, with all that was cancelled: {plan_command('submit', folder)}")


def _list(what: str, names: Sequence[str], noun: str = "job") -> None:
    if names:
        print(f"{what}, {plural(len(names), noun)}: {listed(names, _MOST_NAMED)}")


def _open(args: argparse.Namespace) -> tuple[Plan, Path, Store]:
    folder = Path(args.plan).absolute()
    plan = read_plan(Path(args.plan))
    return plan, folder, find_store(plan, folder)
