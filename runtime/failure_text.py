"""A failed job as a person reads it: class, cause, spec line, the end of its log, the command to go on."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure
from exc.runtime.wording import cure, here
from exc.spec.words import cut, listed, plural

_MAX_BLOCKED_NAMED = 3
_LOG_LINES_SHOWN = 5
_LOG_LINE_SHOWN = 300  # characters, where the width does not say less
_INDENT = "  "
_WARNING = re.compile(r"Warning: |^\s*warnings\.warn\(")  # what libraries say among themselves


def width_of(console: Console) -> int | None:
    """Columns to fit in; None for a file or a program, which cuts lines itself or not at all."""
    return console.width if console.is_terminal else None


def failure_block(
    job_id: str,
    failure: Failure,
    attempt: Attempt,
    plan: Plan,
    plan_folder: Path,
    blocked: Sequence[Job],
    width: int | None = None,
    *,
    with_log: bool = False,
) -> Text:
    """What to say of a failed job. With `width`, only paths and commands, to be copied, are longer."""
    text = Text(no_wrap=True)
    text.append("failed", "bold red").append(f" {job_id} ", "bold").append(f"({failure.kind})")
    for line in failure.message.splitlines():
        text.append(_folded(line, width))
    if source := plan.job(job_id).source:
        text.append(f"\n{_INDENT}spec: {_source(source[0], plan, plan_folder)}", "dim")
    if blocked:
        text.append(_folded(_holds_up(blocked), width))
    text.append(f"\n{_INDENT}log: {here(attempt.log)}", "dim")
    for line in _end_of_log(job_id, failure, attempt) if with_log else ():
        text.append(f"\n{_INDENT}| {_cut(line, width)}", "dim")
    advice, command = cure(failure.kind, plan, plan_folder)
    if width is None or len(_INDENT) + len(advice) + 2 + len(command) <= width:
        text.append(f"\n{_INDENT}{advice}: ", "dim")
    else:
        text.append(_folded(f"{advice}:", width), "dim").append(f"\n{_INDENT * 2}")
    return text.append(command, "bold")


def _source(place: str, plan: Plan, plan_folder: Path) -> str:
    """A place `file:line:column`, whose file is told from the spec's folder, as it is found from here."""
    file, *rest = place.split(":")
    return ":".join([here(plan_folder / plan.root / file), *rest])


def _holds_up(blocked: Sequence[Job]) -> str:
    named = listed((other.id for other in blocked), _MAX_BLOCKED_NAMED)
    return f"holds up {plural(len(blocked), 'job')}: {named}"


def _end_of_log(job_id: str, failure: Failure, attempt: Attempt) -> list[str]:
    """The last lines of the log that the message does not say already."""
    lines = attempt.read().get("failure", {}).get("log_lines") or []
    said = {f"{job_id}: failed ({failure.kind}): {failure.message}".splitlines()[0]}
    said.update(failure.message.splitlines())
    told = [line for line in lines if line not in said and not _WARNING.search(line)]
    return told[-_LOG_LINES_SHOWN:]


def _folded(line: str, width: int | None) -> str:
    """A line under a failure, folded where it is too long; what follows is set in further."""
    if width is None:
        return f"\n{_INDENT}{line}"
    # A word is never cut: it may be a path.
    folded = textwrap.wrap(
        line,
        max(20, width - len(_INDENT)),
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "".join(f"\n{_INDENT}{part}" for part in folded or [""])


def _cut(line: str, width: int | None) -> str:
    most = _LOG_LINE_SHOWN if width is None else max(20, width - len(_INDENT) - 2)
    return cut(line, most)
