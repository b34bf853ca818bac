"""What a command prints and ends with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Reply:
    out: str = ""
    err: str = ""
    code: int = 0
