"""What several commands take, and how it is read."""

from __future__ import annotations

import argparse
from typing import Protocol


class Command(Protocol):
    """Adds a command of a name and a sentence about it."""

    def __call__(self, name: str, text: str, /) -> argparse.ArgumentParser: ...


def add_spec_file(parser: argparse.ArgumentParser) -> None:
    """SPEC."""
    parser.add_argument(
        "spec",
        metavar="SPEC",
        nargs="?",
        default="experiment.yaml",
        help="the spec (default: experiment.yaml)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_spec(parser: argparse.ArgumentParser, *, json: bool = False) -> None:
    """SPEC and --profile; with `json`, --json."""
    add_spec_file(parser)
    parser.add_argument(
        "--profile",
        metavar="NAME",
        default="local",
        help="profile that says where the plan will run (default: local)",
    )
    if json:
        add_json(parser)


def add_out(parser: argparse.ArgumentParser) -> None:
    """Where a plan is written."""
    parser.add_argument("-o", "--out", metavar="PLAN", help="plan folder (default: `plan` beside the spec)")


def add_plan(parser: argparse.ArgumentParser, *, json: bool = False) -> None:
    """PLAN; with `json`, --json."""
    parser.add_argument("plan", metavar="PLAN", nargs="?", default="plan", help="plan folder (default: plan)")
    if json:
        add_json(parser)


def count(text: str) -> int:
    """A whole number. Raises ArgumentTypeError, like the others."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, not {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, not {text!r}")
    return value


def seconds(text: str) -> float:
    """A span of time between frames."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 3600:  # also what is not a number
        raise argparse.ArgumentTypeError(f"expected seconds, from 0.1 to 3600, not {text!r}")
    return value
