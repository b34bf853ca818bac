"""Who submits plans to a store now: submits/<uuid>.json, kept fresh by its writer as a lease is."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.attempts import utc_now
from exc.runtime.files import names, write_json
from exc.runtime.lease import HEARTBEAT_S, STALE_S
from exc.runtime.owner import Owner, owner_from_json, this_process
from exc.runtime.store import Store

FOLDER = "submits"


@dataclass(frozen=True, slots=True)
class Submitter:
    """A process that runs a plan now."""

    owner: Owner
    experiment: str
    began: str  # UTC, ISO 8601
    cpus: int  # slots that it gives to jobs
    gpus: int
    log: str  # the file with its output, for one in the background; else empty

    def text(self) -> str:
        """`process 17 on box submits it, in the background`."""
        where = ", in the background" if self.log else ""
        return f"process {self.owner.pid} on {self.owner.host} submits it{where}"

    def to_json(self) -> dict[str, Any]:
        return {
            "host": self.owner.host,
            "pid": self.owner.pid,
            "began": self.began,
            "cpus": self.cpus,
            "gpus": self.gpus,
            "log": self.log or None,
        }


class Submitting:
    """While it is entered, others see that this process submits an experiment."""

    def __init__(self, store: Store, experiment: str, *, cpus: int, gpus: int, log: str = "") -> None:
        self._folder = store.root / FOLDER
        self._path = self._folder / f"{uuid.uuid4().hex}.json"
        self._record = {"experiment": experiment, "cpus": cpus, "gpus": gpus, "log": log}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="submitting", daemon=True)

    def __enter__(self) -> Submitting:
        self._folder.mkdir(parents=True, exist_ok=True)
        _sweep(self._folder)
        write_json(self._path, {**self._record, "began": utc_now(), **this_process().to_json()})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # who reads it sees that this process is gone
            self._path.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            with suppress(OSError):  # a file system that hiccups; the next beat may pass
                os.utime(self._path)


def submitters(store: Store, experiment: str) -> list[Submitter]:
    """The processes that submit an experiment to a store now, the oldest first."""
    found = []
    for name in names(store.root / FOLDER):
        if name.endswith(".json") and not name.startswith("."):
            submitter = _read(store.root / FOLDER / name)
            if submitter is not None and submitter.experiment == experiment:
                found.append(submitter)
    return sorted(found, key=lambda one: one.began)


def _read(path: Path) -> Submitter | None:
    """The submitter of a record, if it still lives."""
    try:
        age_s = time.time() - path.stat().st_mtime
        data = json.loads(path.read_bytes())
        owner = owner_from_json(data)
        if owner is None:
            return None
        alive = owner.alive()
        if not (age_s < STALE_S if alive is None else alive):
            return None
        return Submitter(
            owner,
            str(data["experiment"]),
            str(data["began"]),
            int(data["cpus"]),
            int(data["gpus"]),
            str(data["log"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sweep(folder: Path) -> None:
    """Forget those that were killed."""
    for name in names(folder):
        path = folder / name
        if name.endswith(".json") and not name.startswith(".") and _read(path) is None:
            with suppress(OSError):
                path.unlink()
