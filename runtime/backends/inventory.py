"""Which GPUs this machine has, by the names that CUDA_VISIBLE_DEVICES takes; found without torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from exc.runtime.files import names

_ASK_S = 20.0  # nvidia-smi takes seconds where no driver is held in memory


def usable_gpus() -> tuple[str, ...]:
    """The GPUs that jobs may be given: what CUDA_VISIBLE_DEVICES says here, else all of the machine."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return _installed() if named is None else _listed(named)


def choose_gpus(number: int | None) -> tuple[str, ...]:
    """The first so many of the usable GPUs; where a person knows of more than can be seen, by number."""
    if number == 0:
        return ()
    found = usable_gpus()
    if number is None:
        return found
    return found[:number] if number <= len(found) else tuple(map(str, range(number)))


def _listed(named: str) -> tuple[str, ...]:
    """Indices, UUIDs or names of MIG slices; as CUDA reads it, the list ends at the first -1."""
    found: list[str] = []
    for name in (part.strip() for part in named.split(",")):
        if name == "-1":
            break
        if name:
            found.append(name)
    return tuple(found)


@cache
def _installed() -> tuple[str, ...]:
    if shutil.which("nvidia-smi"):
        try:
            done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_ASK_S)
        except (OSError, subprocess.TimeoutExpired):
            pass
        else:
            if done.returncode == 0:
                return gpus_in(done.stdout.splitlines())
    found = [match[1] for name in names(Path("/dev")) if (match := re.fullmatch(r"nvidia(\d+)", name))]
    return tuple(sorted(found, key=int))


def gpus_in(lines: Sequence[str]) -> tuple[str, ...]:
    """What `nvidia-smi -L` lists: the GPUs by index, those that are cut into MIG slices as their slices."""
    found: dict[str, list[str]] = {}
    index = ""
    for line in lines:
        if head := re.match(r"GPU (\d+):", line):
            index = head[1]
            found[index] = []
        elif index and (part := re.search(r"\(UUID:\s*(MIG-[^)\s]+)\)", line)):
            found[index].append(part[1])
    return tuple(name for index, slices in found.items() for name in slices or [index])
