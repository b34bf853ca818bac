"""One writer per computation, on a shared file system, without a server.

A lease is a folder of generations `<n>.json`; the highest one is in force until its holder releases it or
is gone. To take a lease over, link the next generation into the folder: `link` succeeds for one taker only.
The highest generation is never deleted, only older ones, and a taker whose generation is not the highest
after linking was late and steps back. So no order of events gives two holders.

A holder touches its generation every few seconds. A holder on this machine is gone when its process is; one
elsewhere when it has not touched the file for STALE_S.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.files import names, write_json
from exc.runtime.owner import Owner, owner_from_json, this_process

FOLDER = ".lease"
HEARTBEAT_S = 5.0
STALE_S = 90.0
_STOP = ".stop"  # <n>.stop: a request to the holder of generation n alone, so that nobody has to take it back


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease now. `owner` is None if its record cannot be read."""

    generation: int
    owner: Owner | None
    label: str


class Lease:
    """A held lease; keeps itself alive from a thread until it is released."""

    def __init__(self, folder: Path, generation: int, label: str) -> None:
        self._folder = folder
        self._generation = generation
        self._label = label
        self._ended = threading.Event()
        self.lost = False  # true once another process has taken the lease over
        self.asked = False  # true once someone asked the holder to stop
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def must_stop(self) -> bool:
        """Whether the holder may not go on, or was asked not to."""
        return self.lost or self.asked

    def release(self) -> None:
        """Let the next one have it. Harmless when called twice or after the lease was lost."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        if not self.lost and _highest(self._folder) == self._generation:
            write_json(self._folder / f"{self._generation}.json", {"released": True, "label": self._label})

    def _beat(self) -> None:
        path = self._folder / f"{self._generation}.json"
        while not self._ended.wait(HEARTBEAT_S):
            try:
                os.utime(path)
                self.lost = _highest(self._folder) != self._generation
                self.asked = self.asked or (self._folder / f"{self._generation}{_STOP}").exists()
            except FileNotFoundError:
                self.lost = True
            except OSError:
                continue  # a file system that hiccups; the next beat may pass
            if self.lost:
                return


def acquire(work: Path, label: str) -> Lease | Holder:
    """Take the lease on a work folder, or say who holds it. Never waits.

    `label` is what others read about the holder, such as the job's id.
    """
    folder = work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / f".{uuid.uuid4().hex}"
    write_json(mine, {**this_process().to_json(), "label": label})
    try:
        # The file just written tells the file server's clock, which may not be this machine's.
        now = mine.stat().st_mtime
        while True:
            top = _highest(folder)
            held = _in_force(folder, top, now)
            if held is not None:
                return held
            if _link(mine, folder / f"{top + 1}.json") and _highest(folder) == top + 1:
                break
        _drop_older(folder, top + 1)
        return Lease(folder, top + 1, label)
    finally:
        mine.unlink(missing_ok=True)


def holder(work: Path) -> Holder | None:
    """Who holds the lease of a work folder now; None if it is free or its holder is gone."""
    folder = work / FOLDER
    return _in_force(folder, _highest(folder), time.time())


def ask_to_stop(work: Path, held: Holder) -> None:
    """Ask the holder of a lease, on whatever machine, to stop; it sees that within a few seconds."""
    (work / FOLDER / f"{held.generation}{_STOP}").touch()


def _in_force(folder: Path, generation: int, now: float) -> Holder | None:
    """The holder of a generation, if it has neither released it nor gone."""
    path = folder / f"{generation}.json"
    try:
        age_s = now - path.stat().st_mtime
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        data: Any = json.loads(text)
    except ValueError:
        data = {}
    if data.get("released"):
        return None
    owner = owner_from_json(data)
    alive = owner.alive() if owner else None
    if alive is None:
        alive = age_s < STALE_S
    return Holder(generation, owner, str(data.get("label", ""))) if alive else None


def _highest(folder: Path) -> int:
    """The highest generation in a lease folder, 0 if there is none."""
    return max(_generations(folder), default=0)


def _generations(folder: Path) -> list[int]:
    stems = [name.removesuffix(".json") for name in names(folder)]
    return [int(stem) for stem in stems if stem.isdigit()]


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    return True


def _drop_older(folder: Path, generation: int) -> None:
    for older in _generations(folder):
        if older < generation:
            (folder / f"{older}.json").unlink(missing_ok=True)
            (folder / f"{older}{_STOP}").unlink(missing_ok=True)
