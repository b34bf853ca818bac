"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

BUSY = " (not idle: read the wall-clock figures with care)"
LIBRARIES = ("torch", "transformers", "trl", "accelerate", "pydantic", "pyyaml", "jinja2")


def machine() -> str:
    """CPU and accelerators, in one line."""
    cores = len(os.sched_getaffinity(0))
    parts = [f"{_cpu()}, {cores} {'core' if cores == 1 else 'cores'}"]
    parts += sorted(_gpus())
    return ", ".join(parts)


def circumstances(root: Path) -> str:
    """When, with what, and how busy the machine was before anything was started."""
    versions = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. exc {_version('exc')}{_commit(root)}, "
        f"Python {platform.python_version()}, {versions}. "
        f"{_memory_gb():.0f} GB, {platform.system()} {platform.release()}. "
        f"Load before the start: {load:.1f}{BUSY if load > 0.5 else ''}."
    )


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _gpus() -> list[str]:
    files = Path("/proc/driver/nvidia/gpus").glob("*/information")
    return [
        found[1].strip()
        for file in files
        if (found := re.search(r"^Model:\s*(.+)$", _read(file), re.MULTILINE))
    ]


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit(root: Path) -> str:
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
