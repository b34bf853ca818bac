"""Commands that are asked something, and never in vain for ever."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ANSWERS_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said. `code` is None where it could not be run, or did not end in time."""

    code: int | None
    out: str
    err: str

    @property
    def well(self) -> bool:
        return self.code == 0

    @property
    def complaint(self) -> str:
        """The last line of what it said, errors first."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else f"it ended with {self.code} and said nothing"


def ask(
    command: Sequence[str],
    *,
    timeout_s: float = ANSWERS_S,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Run a command and take in what it says. Never raises OSError."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=dict(os.environ if env is None else env),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Answer(None, "", f"`{command[0]}` did not answer within {timeout_s:g} s")
    except OSError as error:
        return Answer(None, "", f"`{command[0]}`: {error.strerror}")
    return Answer(done.returncode, done.stdout, done.stderr)


def values(text: str) -> dict[str, str]:
    """`Key=Value` or `Key = Value`, one or several a line, as scontrol prints them."""
    out: dict[str, str] = {}
    for line in text.splitlines():
        key, found, value = line.partition(" = ")
        if found:
            out[key.strip()] = value.strip()
            continue
        for word in line.split():
            key, found, value = word.partition("=")
            if found:
                out.setdefault(key, value)
    return out


def seconds(text: str) -> float | None:
    """`30 sec`, `00:05:00`, `2-00:00:00` -> seconds; None for UNLIMITED and what is no time."""
    words = text.split()
    if words and words[0].replace(".", "", 1).isdigit() and ":" not in words[0] and "-" not in words[0]:
        return float(words[0])
    days, dash, clock = text.strip().partition("-")
    if not dash:
        days, clock = "0", text.strip()
    parts = clock.split(":")
    if not all(part.isdigit() for part in [days, *parts]) or not 1 <= len(parts) <= 3:
        return None
    # With days it is hours first: D-HH[:MM[:SS]]; else [HH:]MM:SS.
    while len(parts) < 3:
        parts = [*parts, "0"] if dash else ["0", *parts]
    hours, minutes, rest = map(int, parts)
    return float(((int(days) * 24 + hours) * 60 + minutes) * 60 + rest)
