"""Who wrote this: a process, named so that another process can tell whether it still lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one machine. `boot` also holds the pid namespace: pids compare only within one."""

    host: str
    boot: str
    pid: int
    started: int  # clock ticks after boot; tells a process from a later one with its pid

    def alive(self) -> bool | None:
        """Tell whether the process still runs; None if it ran where this process cannot look."""
        if self.boot != _boot():
            return None
        return _start_ticks(self.pid) == self.started

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def this_process() -> Owner:
    """Name the calling process. Not cached: a forked child is another process."""
    pid = os.getpid()
    return Owner(socket.gethostname(), _boot(), pid, _start_ticks(pid) or 0)


def owner_from_json(data: Mapping[str, Any]) -> Owner | None:
    """Read an owner out of a record; None if the record does not name one."""
    try:
        return Owner(str(data["host"]), str(data["boot"]), int(data["pid"]), int(data["started"]))
    except (KeyError, TypeError, ValueError):
        return None


@cache
def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _start_ticks(pid: int) -> int | None:
    """Start time of a running process in clock ticks after boot; None if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command name, in parentheses, may itself hold spaces and parentheses.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
