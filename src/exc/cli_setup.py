"""The commands for a person's own set-up: schema, init, completion."""

from __future__ import annotations

import argparse

from exc.cli_arguments import Command, add_spec

SHELLS = ("bash", "zsh", "fish")


def add_setup_commands(command: Command) -> None:
    """Add them to the parser; `command` makes a sub-command from its name and one line of help."""
    init = command("init", "write a small study that works, to start from")
    init.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=".", help="where to write it (default: here)"
    )
    init.add_argument(
        "--template", metavar="TEMPLATE", default="quickstart", help="which study (default: quickstart)"
    )
    init.add_argument("--list", action="store_true", help="list the templates")
    schema = command("schema", "print the JSON Schema of a spec, for editors")
    schema.add_argument("-o", "--out", metavar="FILE", help="write it to a file instead")
    schema.add_argument("--profiles", action="store_true", help="print the schema of profiles.yaml instead")
    doctor = command("doctor", "check whether jobs could run where a profile says, before any is queued")
    add_spec(doctor, json=True)
    doctor.add_argument("--run", action="store_true", help="also run a short trial job on a compute node")
    completion = command("completion", "print a completion script for a shell")
    completion.add_argument(
        "shell", metavar="SHELL", nargs="?", choices=SHELLS, help=f"one of {', '.join(SHELLS)}"
    )
    # What the scripts ask for while a person types: `exc completion --values jobs`.
    completion.add_argument("--values", metavar="WHAT", help=argparse.SUPPRESS)
    completion.add_argument("--prefix", metavar="TEXT", default="", help=argparse.SUPPRESS)
