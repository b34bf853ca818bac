"""The command line: what can be asked for, and how mistakes end. Imports nothing heavy until it is needed."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from exc import __version__
from exc.cli_setup import add_setup_commands
from exc.cli_store import add_store_commands

EXIT_FAULT, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 1, 2, 3, 130

DESCRIPTION = """\
Compile an experiment spec into a plan of jobs, run it, and report it.

  exc compile && exc submit && exc report     in a folder that holds experiment.yaml
"""
EPILOG = """\
exit codes: 0 done; 1 the spec, the plan or a job is at fault; 2 usage; 3 the environment is at fault;
130 interrupted, everything kept.
"""
WATCH_EPILOG = """\
It only reads, and stops nothing: `q` or Ctrl-C leaves. By itself it ends when all is done, or when the submit
that it has seen is over; opened where nobody submits, it waits for one.

exit codes: 0 left, or all done; 1 it ended, or showed one frame, and a job has failed or is not done.
"""
CANCEL_EPILOG = """\
Jobs that run save and stop, whoever started them and wherever; they go on from there with the next
`exc submit` of a plan that has them, which takes every such wish back. What reads from them is not run
either; what they read goes on.

exit codes: 0 asked; 1 there was nothing to cancel, or no such job.
"""


def _formatter(prog: str) -> argparse.HelpFormatter:
    """As written, with a column wide enough for the longest command, whose indent argparse forgets."""
    formatter = argparse.RawDescriptionHelpFormatter(prog, max_help_position=18)
    formatter._action_max_length = 14
    return formatter


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exc",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="version", version=f"exc {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    _spec(command("check", "check a spec and report every mistake in it"), json=True)
    compiled = command("compile", "check a spec and write its plan, to be reviewed")
    _spec(compiled, json=True)
    _out(compiled)
    compiled.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the plan folder is not up to date"
    )
    lock = command("lock", "resolve names on the hub to commits, in exc.lock beside the spec")
    lock.add_argument(
        "spec", metavar="SPEC", nargs="?", default="experiment.yaml", help="by default experiment.yaml"
    )
    lock.add_argument("--update", action="store_true", help="resolve again what is locked already")
    planned = command("plan", "say of each job whether it will run or is reused, and why")
    _spec(planned, json=True)
    _out(planned)
    diff = command("diff", "compare two plan folders, or a plan folder with its spec")
    diff.add_argument("old", metavar="PLAN")
    diff.add_argument("new", metavar="PLAN2", nargs="?", help="by default, what the spec says now")
    diff.add_argument("--json", action="store_true", help="for programs")
    submit = command("submit", "run what a plan still needs; can be run again at any time")
    _plan(submit)
    submit.add_argument(
        "--gpus",
        type=_count,
        metavar="N",
        help="GPUs to use (default: what the profile says, else all of this machine)",
    )
    submit.add_argument(
        "--slots",
        type=_positive,
        metavar="N",
        help="CPU slots (default: what the profile says, else all of this machine)",
    )
    submit.add_argument(
        "--detach", action="store_true", help="go on in the background; return when the first jobs run"
    )
    _follow(command)
    _plan(command("status", "say where a plan stands, and what failed and why"), json=True)
    results = command("results", "list every score, with the job that it came from")
    _plan(results, json=True)
    results.add_argument("--csv", action="store_true", help="as comma-separated values")
    report = command("report", "draw the report from the plan and the artifacts")
    _plan(report)
    report.add_argument("-o", "--out", metavar="FOLDER", help="by default `report` beside the spec")
    add_store_commands(command)
    show = command("show", "show a job of a plan: config, script, lineage")
    show.add_argument("job", metavar="JOB-ID")
    _plan(show, json=True)
    explain = command("explain", "explain a diagnostic code")
    explain.add_argument("code", metavar="CODE", nargs="?", help="by default, list all codes")
    add_setup_commands(command)
    return parser


def _follow(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """`watch`, `logs` and `cancel`: what is asked of a run that goes on, or went on."""
    watch = command("watch", "look on while a plan runs, from any machine that sees the store")
    watch.formatter_class = argparse.RawDescriptionHelpFormatter
    watch.epilog = WATCH_EPILOG
    _plan(watch, json=True)
    watch.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="S", help="seconds between frames (default: 1)"
    )
    watch.add_argument("--once", action="store_true", help="one frame, as wherever the output is no terminal")
    watch.add_argument("--keep", action="store_true", help="stay when all is done or the submit has ended")
    logs = command("logs", "show what a job said, in its newest attempt")
    logs.add_argument("job", metavar="JOB-ID", help="an id, an alias, a unique beginning or a pattern")
    _plan(logs)
    logs.add_argument("--attempt", type=_positive, metavar="N", help="by default the newest")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until the attempt ends")
    logs.add_argument("--tail", "-n", type=_count, metavar="N", help="only the last N lines")
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
    _plan(cancel, json=True)


def _spec(parser: argparse.ArgumentParser, *, json: bool = False) -> None:
    parser.add_argument(
        "spec", metavar="SPEC", nargs="?", default="experiment.yaml", help="by default experiment.yaml"
    )
    parser.add_argument(
        "--profile", metavar="NAME", default="local", help="where the plan will run (default: local)"
    )
    if json:
        parser.add_argument("--json", action="store_true", help="for programs")


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", metavar="PLAN", help="plan folder, by default `plan` beside the spec")


def _plan(parser: argparse.ArgumentParser, *, json: bool = False) -> None:
    parser.add_argument(
        "plan", metavar="PLAN", nargs="?", default="plan", help="plan folder, by default `plan`"
    )
    if json:
        parser.add_argument("--json", action="store_true", help="for programs")


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, not {text!r}")
    return int(text)


def _positive(text: str) -> int:
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, not {text!r}")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 3600:  # also what is not a number
        raise argparse.ArgumentTypeError(f"expected seconds, from 0.1 to 3600, not {text!r}")
    return value


# Command -> module:function. Each takes the parsed arguments and gives the exit code.
COMMANDS = {
    "check": "exc.commands.spec:check",
    "compile": "exc.commands.spec:compile_",
    "explain": "exc.commands.spec:explain",
    "lock": "exc.commands.spec:lock",
    "plan": "exc.commands.review:plan",
    "diff": "exc.commands.review:diff",
    "show": "exc.commands.review:show",
    "submit": "exc.commands.run:submit",
    "status": "exc.commands.run:status",
    "watch": "exc.commands.follow:watch",
    "logs": "exc.commands.follow:logs",
    "cancel": "exc.commands.follow:cancel",
    "results": "exc.commands.run:results",
    "report": "exc.commands.run:report",
    "adopt": "exc.commands.store:adopt",
    "export": "exc.commands.store:export",
    "gc": "exc.commands.store:gc",
    "init": "exc.commands.setup:init",
    "schema": "exc.commands.setup:schema",
    "completion": "exc.commands.setup:completion",
}
LONG = {"report", "watch", "logs"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit code."""
    try:
        try:
            return _run(_parser().parse_args(argv))
        finally:
            sys.stdout.flush()  # here, where a reader that went away is no error
    except KeyboardInterrupt:
        print("interrupted; everything that was finished is kept", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`exc results | head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(
            f"error: {error.filename or ''}: {error.strerror or error}".replace(" : ", " "), file=sys.stderr
        )
        return EXIT_ENVIRONMENT


def _run(args: argparse.Namespace) -> int:
    if args.command not in LONG:
        # What these build lives until they end; looking through it for garbage takes a third of their time.
        # `exc submit` has it looked for again once it starts to run jobs.
        gc.disable()
    module, _, function = COMMANDS[args.command].partition(":")
    return int(getattr(import_module(module), function)(args))
