"""JSON lines with the same bytes for the same values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def dump_line(value: Mapping[str, Any]) -> bytes:
    """Encode one object as a line, newline included.

    Raises TypeError or ValueError for what JSON or UTF-8 cannot hold: a date, NaN, half a surrogate pair.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def write_jsonl(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write one object a line."""
    with path.open("wb") as file:
        file.writelines(dump_line(value) for value in values)


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that `write_jsonl` wrote."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)
