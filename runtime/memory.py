"""What the kernel says of processes that it killed for lack of memory: counters, read before and after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_SAID = {
    "group": "the kernel killed a process of this control group for lack of memory while it ran",
    "machine": "the kernel killed a process of this machine for lack of memory while it ran",
}


def oom_kills() -> Mapping[str, int]:
    """How many processes were killed so far, by who counts; what cannot be read is left out."""
    counts = {"group": _of_group(), "machine": _counted(Path("/proc/vmstat"))}
    return {name: count for name, count in counts.items() if count is not None}


def oom_since(before: Mapping[str, int]) -> str | None:
    """What the kernel says has happened since `before` was read; None if it says nothing."""
    now = oom_kills()
    return next((text for name, text in _SAID.items() if now.get(name, 0) > before.get(name, 0)), None)


def _of_group() -> int | None:
    """Of this process's control group and those in it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            files = [_GROUPS / path.lstrip("/") / "memory.events", _GROUPS / "memory.events"]
        elif "memory" in controllers.split(","):
            folder = _GROUPS / "memory"
            files = [folder / path.lstrip("/") / "memory.oom_control", folder / "memory.oom_control"]
        else:
            continue
        # Inside a container the group's folder may be mounted as the root.
        count = next((count for file in files if (count := _counted(file)) is not None), None)
        if count is not None:
            return count
    return None


def _counted(file: Path) -> int | None:
    """The value after `oom_kill` on a line of its own."""
    try:
        found = re.search(r"^oom_kill (\d+)$", file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None
