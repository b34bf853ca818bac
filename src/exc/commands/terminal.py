"""What commands print, and where: results to stdout, diagnostics and errors to stderr."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from exc.spec.diagnostics import Diagnostic
from exc.spec.render import render_json, render_text

if TYPE_CHECKING:
    from exc.pipeline import Compiled


def wants_color(stream: TextIO) -> bool:
    """Whether to colour: a terminal that can, and a user who did not object (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def show_diagnostics(compiled: Compiled) -> None:
    """Every finding that the spec does not accept, with its source lines."""
    findings = unaccepted(compiled)
    if findings:
        width = min(120, shutil.get_terminal_size((100, 24)).columns)
        text = render_text(findings, compiled.sources, color=wants_color(sys.stderr), width=width)
        print(text, file=sys.stderr)


def unaccepted(compiled: Compiled) -> list[Diagnostic]:
    """Errors, and warnings whose code is not under the spec's `accept`."""
    accepted = compiled.experiment.spec.accept if compiled.experiment is not None else {}
    return [d for d in compiled.diagnostics.sorted() if d.severity == "error" or d.code not in accepted]


def diagnostics_json(compiled: Compiled) -> list[dict[str, object]]:
    return render_json(unaccepted(compiled))


def print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def fail(message: str, code: int = 1) -> int:
    """An error in one line (or a few) on stderr; gives the exit code."""
    prefix = "\x1b[1;31merror\x1b[0m" if wants_color(sys.stderr) else "error"
    print(f"{prefix}: {message}", file=sys.stderr)
    return code
