"""Write docs/cli.md from the parser of the command line.

python tools/cli_reference.py          rewrite it
python tools/cli_reference.py --print  print it instead
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from exc.cli import make_parser

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"

INTRODUCTION = """\
<!-- Written by tools/cli_reference.py from the parser in src/exc/cli.py. -->

# Command line

`exc COMMAND --help` prints the same for one command. No option changes what an experiment is: that is said by
the spec alone. Commands whose output a program may want to read take `--json`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the spec, the plan or a job is at fault |
| 2 | wrong usage |
| 3 | the environment is at fault |
| 130 | interrupted; everything that was finished is kept |
"""


def page() -> str:
    """The whole page."""
    commands = next(
        action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return "\n".join([INTRODUCTION, *(_section(name, parser) for name, parser in commands.choices.items())])


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    hidden = ("help", argparse.SUPPRESS)
    shown = [action for action in parser._actions if action.dest not in hidden and action.help not in hidden]
    text = f"## exc {name}\n\n{parser.description}\n\nUsage: `{_usage(name, parser, shown)}`\n"
    if shown:
        rows = [f"| {_names(action)} | {_cell(_help(action))} |" for action in shown]
        text += "\n" + "\n".join(["| argument | meaning |", "|---|---|", *rows]) + "\n"
    if parser.epilog:
        text += f"\n{parser.epilog.strip()}\n"
    return text


def _usage(name: str, parser: argparse.ArgumentParser, shown: list[argparse.Action]) -> str:
    """By hand: how argparse writes it changes from one Python to the next."""
    if parser.usage:
        return parser.usage
    return " ".join([f"exc {name}", *_parts(parser, shown)])


def _parts(parser: argparse.ArgumentParser, shown: list[argparse.Action]) -> Iterator[str]:
    groups = [group._group_actions for group in parser._mutually_exclusive_groups]
    for action in shown:
        group = next((group for group in groups if action in group), [action])
        if action is group[0]:
            text = " | ".join(map(_invoked, group))
            yield text if action.required and len(group) == 1 else f"[{text}]"


def _invoked(action: argparse.Action) -> str:
    if not action.option_strings:
        return _value(action)
    option = max(action.option_strings, key=len)
    return option if action.nargs == 0 else f"{option} {_value(action)}"


def _value(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _names(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_cell(_value(action))}`"
    value = "" if action.nargs == 0 else f" {_cell(_value(action))}"
    return ", ".join(f"`{option}{value}`" for option in sorted(action.option_strings, key=len))


def _help(action: argparse.Action) -> str:
    text = action.help or ""
    return f"{text} (required)" if action.required and action.option_strings else text


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def main() -> None:
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
