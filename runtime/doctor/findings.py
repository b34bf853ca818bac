"""What a check came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Word = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `todo` is what to do about it, a sentence; "" where nothing is to be done."""

    check: str
    word: Word
    said: str
    todo: str = ""


def ok(check: str, said: str) -> Finding:
    return Finding(check, "ok", said)


def warning(check: str, said: str, todo: str) -> Finding:
    return Finding(check, "warning", said, todo)


def failure(check: str, said: str, todo: str) -> Finding:
    return Finding(check, "failure", said, todo)
