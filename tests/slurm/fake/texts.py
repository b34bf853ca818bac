"""Forms that several commands read and print: times, lists of hosts and numbers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence


def stamp(when: float, absent: str) -> str:
    """A moment as 2026-01-31T23:59:59; `absent` for 0."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(when)) if when else absent


def span(seconds: float, wide: bool = False) -> str:
    """A duration as squeue has it, 1-02:03:04 or 3:04; `wide`: as sacct, 00:03:04."""
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{left:02}"
    if wide:
        return f"{hours:02}:{minutes:02}:{left:02}"
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def seconds(text: str) -> float:
    """M, M:S, H:M:S, D-H, D-H:M, D-H:M:S in seconds; 0 for no limit. Raises ValueError."""
    if text.upper() in ("UNLIMITED", "INFINITE", "-1"):
        return 0.0
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if any(part < 0 for part in parts) or len(parts) > 3:
        raise ValueError(text)
    if dash:
        hours, minutes, left = [*parts, 0, 0][:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60.0 + left
    hours, minutes, left = [(0, parts[0], 0), (0, *parts[:2]), tuple(parts[:3])][len(parts) - 1]
    return (hours * 60 + minutes) * 60.0 + left


def moment(text: str, now: float) -> float:
    """`now`, `now-2hours`, `now+60`, 2026-01-31[T23:59[:59]], HH:MM[:SS], today, midnight as a time."""
    relative = re.fullmatch(r"now(?:([+-])(\d+)([a-z]*))?", text)
    if relative:
        sign, number, unit = relative.groups()
        size = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[(unit or "")[:1]]
        return now + (int(number) * size * (-1 if sign == "-" else 1) if number else 0)
    today = time.strftime("%Y-%m-%d", time.localtime(now))
    if text in ("today", "midnight"):
        return time.mktime(time.strptime(today, "%Y-%m-%d"))
    if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
        text = f"{today}T{text}"
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return time.mktime(time.strptime(text, form))
        except ValueError:
            continue
    raise ValueError(text)


def numbers(text: str) -> list[int]:
    """`0-3,7` and `0-8:4` as numbers. Raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if not match:
            raise ValueError(text)
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or not step:
            raise ValueError(text)
        found += range(first, last + 1, step)
    return sorted(set(found))


def ranges(values: Iterable[int]) -> str:
    """The opposite: `0-3,7`."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def hosts(text: str) -> list[str]:
    """`n[1-3],m5` as names."""
    found: list[str] = []
    for match in re.finditer(r"([^,\[]+)(?:\[([^\]]+)\])?", text):
        inside = match[2]
        found += [f"{match[1]}{number}" for number in numbers(inside)] if inside else [match[1]]
    return found


def hostlist(names: Sequence[str]) -> str:
    """The opposite, for names n1, n2, ..."""
    if len(names) < 2:
        return "".join(names)
    return f"n[{ranges(int(name[1:]) for name in names)}]"
