"""Completion scripts for shells, made from the parser; and the values that they ask for while a person types.

Commands and options stand in the script, so that completing them starts nothing. Job ids, codes and names are
asked of `exc completion --values`, which reads one file and imports next to nothing.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# What an argument's metavar stands for. A kind in VALUES is asked for; `files` and `folders` are the shell's.
KINDS = {
    "JOB-ID": "jobs", "JOB-ID PATH [PLAN]": "jobs", "JOB-ID [PLAN]": "jobs", "RECIPE": "recipes",
    "CODE": "codes", "NAME": "profiles", "TEMPLATE": "templates", "SHELL": "shells",
    "SPEC": "files", "FILE": "files", "FILE.csv": "files",
    "PLAN": "folders", "PLAN2": "folders", "FOLDER": "folders", "PATH": "folders", "PLAN|STORE": "folders",
}  # fmt: skip


FLAGS = {"--recipe": "recipes", "--trunk": "trunks"}  # of several options with one metavar


@dataclass(frozen=True)
class Option:
    """An option of a command; `kind` is what its value is, "" for a switch."""

    flags: tuple[str, ...]
    help: str
    kind: str


@dataclass(frozen=True)
class Command:
    """A command, its options, and the kinds of its arguments in order."""

    name: str
    help: str
    options: tuple[Option, ...]
    arguments: tuple[str, ...]


def commands() -> list[Command]:
    """Every command of the parser, in its order."""
    from exc import cli

    parser = cli.make_parser()
    [subparsers] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}
    return [_command(name, helps[name], sub) for name, sub in subparsers.choices.items() if name in helps]


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    options = [
        Option(tuple(action.option_strings), action.help or "", "" if action.nargs == 0 else _kind(action))
        for action in shown
        if action.option_strings
    ]
    arguments = [_kind(action) for action in shown if not action.option_strings]
    return Command(name, text, tuple(options), tuple(arguments))


def _kind(action: argparse.Action) -> str:
    if (flag := next(iter(action.option_strings), "")) in FLAGS:
        return FLAGS[flag]
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    return KINDS.get(metavar, "none")


def values(kind: str) -> Iterable[str]:
    """What may stand where a value of that kind is asked for, here and now; nothing where nobody knows."""
    find = VALUES.get(kind)
    try:
        return find() if find is not None else ()
    except (OSError, ValueError, KeyError, TypeError):
        return ()  # a person types: a broken plan is reported by the command itself


def _jobs() -> list[str]:
    import orjson

    return [job["id"] for job in orjson.loads(Path("plan/plan.json").read_bytes())["jobs"]]


def _recipes() -> list[str]:
    return _keys(Path("experiment.yaml"), "recipes")


def _trunks() -> list[str]:
    return _keys(Path("experiment.yaml"), "trunks")


def _profiles() -> list[str]:
    path = Path("profiles.yaml")
    own = re.findall(r"^([\w-]+):", path.read_text(encoding="utf-8"), re.MULTILINE) if path.is_file() else []
    return list(dict.fromkeys(["local", *own]))


def _keys(path: Path, section: str) -> list[str]:
    """The names in a section, by their indentation: a spec that is being written need not be valid."""
    found = re.search(
        rf"^{section}:[^\n]*\n((?:(?:[ #][^\n]*)?\n)*)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    lines = re.findall(r"^( +)([\w-]+):", found[1], re.MULTILINE) if found is not None else []
    least = min((len(indent) for indent, _ in lines), default=0)
    return [name for indent, name in lines if len(indent) == least]


def _codes() -> list[str]:
    from exc.spec.codes import CODES

    return list(CODES)


def _templates() -> list[str]:
    from exc.commands.setup import templates

    return list(templates())


def _shells() -> tuple[str, ...]:
    from exc.cli_setup import SHELLS

    return SHELLS


VALUES: dict[str, Callable[[], Iterable[str]]] = {
    "jobs": _jobs,
    "recipes": _recipes,
    "trunks": _trunks,
    "profiles": _profiles,
    "codes": _codes,
    "templates": _templates,
    "shells": _shells,
}


def script(shell: str) -> str:
    """The completion script of a shell."""
    from exc.commands import completion_scripts

    writers = {
        "bash": completion_scripts.bash,
        "zsh": completion_scripts.zsh,
        "fish": completion_scripts.fish,
    }
    return writers[shell](commands())
