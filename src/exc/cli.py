"""The command line: its commands, and how mistakes end. Imports nothing heavy until it is needed."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from exc import __version__
from exc.cli_run import add_run_commands
from exc.cli_setup import add_setup_commands
from exc.cli_spec import add_reading_commands, add_spec_commands
from exc.cli_store import add_store_commands

EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 3, 130

DESCRIPTION = """\
Compile an experiment spec into a plan of jobs, run it, and report it.

  exc compile && exc submit && exc report     in a folder that holds experiment.yaml
"""
EPILOG = """\
exit codes: 0 done; 1 the spec, the plan or a job is at fault; 2 wrong usage; 3 the environment is at fault;
130 interrupted; everything that was finished is kept.
"""


def _formatter(prog: str) -> argparse.HelpFormatter:
    """As written, with a column wide enough for the longest command, whose indent argparse forgets."""
    formatter = argparse.RawDescriptionHelpFormatter(prog, max_help_position=18)
    formatter._action_max_length = 14
    return formatter


def make_parser() -> argparse.ArgumentParser:
    """Everything that can be asked for."""
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

    add_spec_commands(command)
    add_run_commands(command)
    add_store_commands(command)
    add_reading_commands(command)
    add_setup_commands(command)
    return parser


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
    "doctor": "exc.commands.doctor:doctor",
}
LONG = {"report", "watch", "logs"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit code."""
    try:
        try:
            return _run(make_parser().parse_args(argv))
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
