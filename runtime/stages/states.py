"""Resume states: whole or absent.

A state is a folder `step-N`. It is written under another name, digested and synced, given its COMPLETE
marker, and only then renamed, so that a process killed at any moment leaves either a whole state or none.
A folder without a marker is never chosen; one whose files are not what its marker says is an error, because
Trainer would silently restart an optimizer whose file is missing.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.files import digest_file, sync

MARKER = "COMPLETE"
WEIGHTS = "model.safetensors"
PROGRESS = "progress.json"
# What a training run cannot go on without; the random states are one file a process.
REQUIRED = (WEIGHTS, "optimizer.pt", "scheduler.pt", "trainer_state.json", PROGRESS)
_FORMAT = 1
_CHUNK = 1 << 20  # bytes; a disk with less than this left is full


@dataclass(frozen=True, slots=True)
class State:
    """A complete resume state, after `step` steps of its job's own unit."""

    folder: Path
    step: int


def find_state(folders: Iterable[Path], limit: int) -> State | None:
    """Return the newest complete state at or before step `limit`, its files verified; None if there is none.

    Each folder is a state itself or holds `step-N` folders. Raises JobFailed("disk") if it is damaged.
    """
    states = [state for folder in folders for state in _states_in(folder) if state.step <= limit]
    if not states:
        return None
    # The first of equals is taken: what stands earlier in `folders` is nearer.
    newest = max(states, key=lambda state: state.step)
    verify_state(newest)
    return newest


def _states_in(folder: Path) -> list[State]:
    candidates = [folder, *sorted(folder.glob("step-*"))] if folder.is_dir() else []
    return [State(path, _read_marker(path)["step"]) for path in candidates if (path / MARKER).is_file()]


def verify_state(state: State) -> None:
    """Check every file of a state against its marker, and that none is lacking."""
    files = _read_marker(state.folder)["files"]
    for name in REQUIRED:
        if name not in files:
            raise _damaged(state, f"{name} was never written")
    if not any(name.startswith("rng_state") for name in files):
        raise _damaged(state, "the states of the random generators were never written")
    for name, expected in files.items():
        path = state.folder / name
        if not path.is_file():
            raise _damaged(state, f"{name} is missing")
        if path.stat().st_size != expected["bytes"] or digest_file(path) != expected["sha256"]:
            raise _damaged(state, f"{name} is not what was written")


def write_state(work: Path, step: int, fill: Callable[[Path], None], finish: bool) -> State:
    """Write the state of `step`; `fill(folder)` puts the files there.

    With several processes each calls this with the same arguments and fills its part; `finish` is true in the
    one that completes it, after `fill` has returned everywhere. Raises JobFailed("disk") if the disk is full.
    """
    final = work / f"step-{step}"
    staging = work / f".tmp-step-{step}"
    try:
        staging.mkdir(parents=True, exist_ok=True)
        fill(staging)
        if finish:
            _complete(staging, step)
            if final.exists():
                _discard(final)
            staging.rename(final)
            sync(work)
    except Exception as error:
        # torch and safetensors report a full disk in errors of their own, without a number.
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT) or shutil.disk_usage(work).free < _CHUNK:
            raise JobFailed("disk", f"no space left to save step {step} in {work}: {error}") from error
        raise
    return State(final, step)


def _complete(folder: Path, step: int) -> None:
    files: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        sync(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": digest_file(path)}
    marker = folder / MARKER
    text = json.dumps({"format": _FORMAT, "step": step, "files": files}, indent=1, sort_keys=True) + "\n"
    marker.write_text(text, encoding="utf-8")
    sync(marker)
    sync(folder)


def remove_leftovers(work: Path) -> None:
    """Delete what a killed process left half-written or half-deleted."""
    for path in work.glob(".tmp-*"):
        shutil.rmtree(path, ignore_errors=True)


def remove_older(work: Path, newest: State) -> None:
    """Delete the states before `newest`; later ones belong to a longer run and stay."""
    for state in _states_in(work):
        if state.step < newest.step:
            _discard(state.folder)


def copy_state(state: State, folder: Path) -> None:
    """Put the files of a complete state into a new folder, as hard links where the file system has them."""
    folder.mkdir()
    for path in sorted(state.folder.iterdir()):
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copy2(path, folder / path.name)


def _discard(folder: Path) -> None:
    # Renamed first: a folder that is half deleted must not look like a state.
    doomed = folder.with_name(f".tmp-old-{folder.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _read_marker(folder: Path) -> Any:
    return json.loads((folder / MARKER).read_text(encoding="utf-8"))


def _damaged(state: State, what: str) -> JobFailed:
    return JobFailed(
        "disk", f"the resume state {state.folder} is damaged: {what}; remove that folder to go on without it"
    )
