"""The commands about a run of a plan: submit; watch, logs and cancel; status, results and report."""

from __future__ import annotations

import argparse

from exc.cli_arguments import Command, add_plan, count, positive, seconds

WATCH_EPILOG = """\
It only reads, and stops nothing: leave it with `q` or Ctrl-C. It ends by itself when all is done, or when the
submit that it has been watching is over; if nobody is submitting yet, it waits for one.

exit codes: 0 you left it, or all is done; 1 it ended, or showed one frame, with a job failed or not done.
"""
SUBMIT_EPILOG = """\
Where it runs is said by the plan: `exc compile --profile NAME` chooses.
"""
CANCEL_EPILOG = """\
Running jobs save their state and stop, whoever started them and wherever they run. The next `exc submit` of a
plan that has them withdraws every such request, and they continue from there. Jobs that read from them are
not run either; jobs that they read go on.

exit codes: 0 requested; 1 there was nothing to cancel, or no such job.
"""


def add_run_commands(command: Command) -> None:
    """Add them to the command line's parser."""
    submit = command("submit", "run what a plan still needs; can be run again at any time")
    add_plan(submit)
    submit.epilog = SUBMIT_EPILOG
    submit.add_argument(
        "--gpus",
        type=count,
        metavar="N",
        help="GPUs of this machine to use (default: what the profile says, else all)",
    )
    submit.add_argument(
        "--slots",
        type=positive,
        metavar="N",
        help="CPU slots of this machine (default: what the profile says, else all)",
    )
    submit.add_argument(
        "--detach", action="store_true", help="continue in the background; return once the first jobs run"
    )
    _add_follow_commands(command)
    add_plan(command("status", "say where a plan stands, what failed and why"), json=True)
    results = command("results", "list every score, with the job that it came from")
    add_plan(results, json=True)
    results.add_argument("--csv", action="store_true", help="print comma-separated values")
    report = command("report", "draw the report from the plan and its store")
    add_plan(report)
    report.add_argument(
        "-o", "--out", metavar="FOLDER", help="where to write it (default: `report` beside the spec)"
    )


def _add_follow_commands(command: Command) -> None:
    """`watch`, `logs` and `cancel`: what is asked of a run that goes on, or went on."""
    watch = command("watch", "watch a plan run, from any machine that sees the store")
    watch.formatter_class = argparse.RawDescriptionHelpFormatter
    watch.epilog = WATCH_EPILOG
    add_plan(watch, json=True)
    watch.add_argument(
        "--interval", type=seconds, default=1.0, metavar="S", help="seconds between frames (default: 1)"
    )
    watch.add_argument(
        "--once", action="store_true", help="show one frame and end, as where the output is not a terminal"
    )
    watch.add_argument(
        "--keep", action="store_true", help="stay open when all is done or the submit has ended"
    )
    logs = command("logs", "show the log of a job's newest attempt")
    logs.add_argument("job", metavar="JOB-ID", help="an id, an alias, a unique start of one, or a pattern")
    add_plan(logs)
    logs.add_argument("--attempt", type=positive, metavar="N", help="which attempt (default: the newest)")
    logs.add_argument("--follow", "-f", action="store_true", help="keep printing until the attempt ends")
    logs.add_argument("--tail", "-n", type=count, metavar="N", help="print only the last N lines")
    logs.add_argument(
        "--events", action="store_true", help="print what it reported of its progress instead of its log"
    )
    logs.add_argument("--path", action="store_true", help="print only the path of the file")
    cancel = command("cancel", "save and stop jobs, until the next `exc submit`")
    cancel.formatter_class = argparse.RawDescriptionHelpFormatter
    cancel.epilog = CANCEL_EPILOG
    cancel.add_argument(
        "job", metavar="JOB-ID", nargs="?", help="an id, an alias, the start of one, or a pattern"
    )
    which = cancel.add_mutually_exclusive_group()
    which.add_argument("--recipe", metavar="NAME", help="the jobs of a recipe that nothing else needs")
    which.add_argument("--trunk", metavar="NAME", help="the jobs of a trunk that nothing else needs")
    which.add_argument("--all", action="store_true", help="every job, which also ends the submit")
    add_plan(cancel, json=True)
