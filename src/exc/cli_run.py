"""The commands about a run of a plan: submit; watch, logs and cancel; status, results and report."""

from __future__ import annotations

import argparse

from exc.cli_arguments import Command, add_plan, count, positive, seconds

WATCH_EPILOG = """\
It only reads, and stops nothing: `q` or Ctrl-C leaves. By itself it ends when all is done, or when the submit
that it has seen is over; opened where nobody submits, it waits for one.

exit codes: 0 left, or all done; 1 it ended, or showed one frame, and a job has failed or is not done.
"""
SUBMIT_EPILOG = """\
Where it runs is said by the plan: `exc compile --profile NAME` chooses.
"""
CANCEL_EPILOG = """\
Jobs that run save and stop, whoever started them and wherever; they go on from there with the next
`exc submit` of a plan that has them, which takes every such wish back. What reads from them is not run
either; what they read goes on.

exit codes: 0 asked; 1 there was nothing to cancel, or no such job.
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
        "--detach", action="store_true", help="go on in the background; return when the first jobs run"
    )
    _add_follow_commands(command)
    add_plan(command("status", "say where a plan stands, and what failed and why"), json=True)
    results = command("results", "list every score, with the job that it came from")
    add_plan(results, json=True)
    results.add_argument("--csv", action="store_true", help="as comma-separated values")
    report = command("report", "draw the report from the plan and its store")
    add_plan(report)
    report.add_argument("-o", "--out", metavar="FOLDER", help="by default `report` beside the spec")


def _add_follow_commands(command: Command) -> None:
    """`watch`, `logs` and `cancel`: what is asked of a run that goes on, or went on."""
    watch = command("watch", "look on while a plan runs, from any machine that sees the store")
    watch.formatter_class = argparse.RawDescriptionHelpFormatter
    watch.epilog = WATCH_EPILOG
    add_plan(watch, json=True)
    watch.add_argument(
        "--interval", type=seconds, default=1.0, metavar="S", help="seconds between frames (default: 1)"
    )
    watch.add_argument("--once", action="store_true", help="one frame, as wherever the output is no terminal")
    watch.add_argument("--keep", action="store_true", help="stay when all is done or the submit has ended")
    logs = command("logs", "show what a job said, in its newest attempt")
    logs.add_argument("job", metavar="JOB-ID", help="an id, an alias, a unique beginning or a pattern")
    add_plan(logs)
    logs.add_argument("--attempt", type=positive, metavar="N", help="by default the newest")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until the attempt ends")
    logs.add_argument("--tail", "-n", type=count, metavar="N", help="only the last N lines")
    logs.add_argument("--events", action="store_true", help="what it reported of its progress, not its log")
    logs.add_argument("--path", action="store_true", help="only where the file is")
    cancel = command("cancel", "have jobs saved and stopped, until the next `exc submit`")
    cancel.formatter_class = argparse.RawDescriptionHelpFormatter
    cancel.epilog = CANCEL_EPILOG
    cancel.add_argument("job", metavar="JOB-ID", nargs="?", help="an id, an alias, a beginning or a pattern")
    which = cancel.add_mutually_exclusive_group()
    which.add_argument("--recipe", metavar="NAME", help="the jobs of a recipe that no other needs")
    which.add_argument("--trunk", metavar="NAME", help="the jobs of a trunk that no other needs")
    which.add_argument("--all", action="store_true", help="every job, and so whoever submits the plan")
    add_plan(cancel, json=True)
