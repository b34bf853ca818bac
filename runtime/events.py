"""events.jsonl: what a job says while it runs. Stages append; status, submit and report only read."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]

_END_OF_TIME_S = 1e11  # in the year 5138: what lies behind it was never written by a clock


class EventWriter:
    """Appends events to a file, each by one write, so that a reader sees at most a torn last line.

    What a full disk does not take is not told: no job fails of that alone.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self._torn = False  # the last write was cut off
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def emit(self, event: str, **fields: Any) -> Event:
        """Append one event with the time now (unix seconds); gives what was written.

        A number that JSON has no word for (NaN, infinities) is written as text.
        """
        data: Event = {"time": round(time.time(), 3), "event": event}
        data.update((name, _plain(value)) for name, value in fields.items())
        self._append((json.dumps(data, ensure_ascii=False) + "\n").encode())
        return data

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            line = b"\n" + line if self._torn else line
            written = os.write(self._descriptor, line)
            self._torn = written < len(line) if written else self._torn

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class EventTail:
    """Reads what was appended since the last read. Lines that are torn or no events are passed over.

    `last_bytes` is how much of what is there at first is read, by default all. A file that shrinks is read
    anew.
    """

    def __init__(self, path: Path, last_bytes: int | None = None) -> None:
        self._path = path
        self._offset = 0
        self._last_bytes = last_bytes

    def read(self) -> list[Event]:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if self._last_bytes is not None:
                    self._offset, self._last_bytes = max(0, size - self._last_bytes), None
                if size < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data.rfind(b"\n") + 1  # the rest may still be being written
        self._offset += whole
        return _parse(data[:whole])


def read_events(path: Path) -> list[Event]:
    """All whole events of a file; none if it is not there."""
    return EventTail(path).read()


def last_events(path: Path, max_bytes: int = 4096) -> list[Event]:
    """The whole events in the last `max_bytes` of a file, for a look that costs the same on any length."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            return _parse(file.read())
    except FileNotFoundError:
        return []


def _parse(data: bytes) -> list[Event]:
    events = []
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str) and _is_time(event.get("time", 0)):
            events.append(event)
    return events


def _is_time(value: Any) -> bool:
    """Whether this can be a time in unix seconds, so that no reader has to ask again."""
    return isinstance(value, int | float) and 0 <= value < _END_OF_TIME_S


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    return value.item() if hasattr(value, "item") else str(value)
