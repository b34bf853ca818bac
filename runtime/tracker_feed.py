"""The process beside a training job that reads its events and passes them on to trackers.

`python -m exc.runtime.tracker_feed ATTEMPT-FOLDER`, started by `trackers.start`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from exc.runtime.attempts import Attempt
from exc.runtime.events import Event, EventTail
from exc.runtime.files import write_json
from exc.runtime.lease import Lease, acquire
from exc.runtime.owner import owner_from_json
from exc.runtime.tracker_kinds import open_tracker
from exc.runtime.trackers import FOLDER, SETUP, RunSetup, Tracker, say

SENT = "sent.json"  # tracker -> the last step that it has been given
_LOOK_S = 1.0
_NICE = 10
_ENDS = frozenset({"done", "stopped", "failed"})
_NO_MEASURES = frozenset({"time", "event", "step", "total", "resumed"})
_OWN = {"wandb": ""}  # it makes a folder of its name itself


def main(arguments: list[str] | None = None) -> int:
    """Feed trackers until the job has ended and all is sent."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    os.nice(_NICE)
    attempt = Attempt(Path(folder))
    setup = json.loads((attempt.path / SETUP).read_bytes())
    place = Path(setup["store"]) / FOLDER / "runs" / setup["run_id"]
    place.mkdir(parents=True, exist_ok=True)
    while not isinstance(lease := acquire(place, setup["name"]), Lease):
        time.sleep(_LOOK_S)  # an earlier attempt's process is still at it
    try:
        Feed(attempt, setup, place).run()
    finally:
        lease.release()
    return 0


class Feed:
    """Events on one side, trackers on the other."""

    def __init__(self, attempt: Attempt, setup: Mapping[str, Any], place: Path) -> None:
        self._attempt, self._setup, self._place = attempt, setup, place
        self._owner = owner_from_json(setup["owner"])
        self._sent: dict[str, int] = _read_sent(place)
        self._trackers: dict[str, Tracker] = {}
        for settings in setup["trackers"]:
            self._guard(settings["name"], partial(self._open, settings))

    def run(self) -> None:
        for tail in self._older():
            self._pass_on(tail.read())
        tail = EventTail(self._attempt.events)
        more = True
        while more and self._trackers:
            gone = self._owner is None or self._owner.alive() is False
            events = tail.read()  # after the look at the owner: nothing comes once it is gone
            self._pass_on(events)
            more = not gone and not any(event["event"] in _ENDS for event in events)
            if more:
                time.sleep(_LOOK_S)
        for name, tracker in list(self._trackers.items()):
            self._guard(name, tracker.finish)

    def _open(self, settings: Mapping[str, Any]) -> None:
        name = str(settings["name"])
        folder = settings.get("folder")
        root = Path(self._setup["store"]) / FOLDER / _OWN.get(name, name)
        self._trackers[name] = open_tracker(
            RunSetup(
                self._setup["run_id"],
                self._setup["name"],
                settings.get("project") or self._setup["experiment"],
                self._setup["config"],
                tuple(self._setup["tags"]),
                settings,
                Path(self._setup["root"], Path(folder).expanduser()) if folder else root,
            )
        )

    def _older(self) -> Iterator[EventTail]:
        """What earlier attempts reported, in case that nobody came to send it."""
        number = int(self._attempt.path.name)
        for earlier in range(1, number):
            yield EventTail(Attempt(self._attempt.path.with_name(str(earlier))).events)

    def _pass_on(self, events: list[Event]) -> None:
        sent = dict(self._sent)
        for event in events:
            step = event.get("step")
            if event["event"] != "progress" or not isinstance(step, int) or not (values := measures(event)):
                continue
            for name, tracker in list(self._trackers.items()):
                if step > self._sent.get(name, -1):
                    self._guard(name, partial(tracker.log, step, values, float(event.get("time", 0))))
                    self._sent[name] = step
        if sent != self._sent:
            write_json(self._place / SENT, self._sent)

    def _guard(self, name: str, act: Callable[[], None]) -> None:
        """Do something with a tracker; one that raises is said once, and left out from then on."""
        try:
            act()
        except BaseException as error:  # a library that exits counts as one that fails
            self._trackers.pop(name, None)
            if isinstance(error, ModuleNotFoundError):
                why = f"{error.name} is not installed here"
            else:
                why = f"{type(error).__name__}: {error}"
            say(self._attempt, f"tracker {name} is left out: {why}; training goes on")


def measures(event: Event) -> dict[str, float]:
    """The numbers that a progress event reports, by name."""
    return {
        name: float(value)
        for name, value in event.items()
        if name not in _NO_MEASURES and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _read_sent(place: Path) -> dict[str, int]:
    try:
        data = json.loads((place / SENT).read_bytes())
        return {str(name): int(step) for name, step in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


if __name__ == "__main__":
    sys.exit(main())
