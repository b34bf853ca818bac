"""How each tracker is told of a run. Loaded by the process beside a job alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from exc.runtime.files import write_json
from exc.runtime.trackers import RunSetup, Tracker


def open_tracker(setup: RunSetup) -> Tracker:
    """Begin, or go on with, a run. Raises what the tracker raises, ModuleNotFoundError if it is not there."""
    setup.folder.mkdir(parents=True, exist_ok=True)
    return OPEN[setup.settings["name"]](setup)


class TensorBoard:
    """Event files under FOLDER/PROJECT/JOB-ID, with the config beside them; written without torch."""

    def __init__(self, setup: RunSetup) -> None:
        self._event: Any = import_module("tensorboard.compat.proto.event_pb2").Event
        self._summary: Any = import_module("tensorboard.compat.proto.summary_pb2").Summary
        writing: Any = import_module("tensorboard.summary.writer.event_file_writer")
        folder = setup.folder / setup.project / setup.name
        self._writer: Any = writing.EventFileWriter(str(folder))
        write_json(folder / "config.json", {"tags": setup.tags, "config": setup.config})

    def log(self, step: int, values: Mapping[str, float], at: float) -> None:
        named = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        summary = self._summary(value=named)
        self._writer.add_event(self._event(wall_time=at, step=step, summary=summary))

    def finish(self) -> None:
        self._writer.close()


class Wandb:
    """A W&B run; offline, under FOLDER, unless the profile or WANDB_MODE says otherwise."""

    def __init__(self, setup: RunSetup) -> None:
        os.environ["WANDB_SILENT"] = "true"
        wandb: Any = import_module("wandb")
        mode = setup.settings.get("mode") or os.environ.get("WANDB_MODE") or "offline"
        self._run: Any = wandb.init(
            project=setup.project,
            entity=setup.settings.get("entity"),
            id=setup.run_id,
            name=setup.name,
            tags=list(setup.tags),
            config=plain(setup.config),
            resume="allow",
            mode=mode,
            dir=str(setup.folder),
            # Only what the job reports: neither this process's output nor the user's repository.
            settings=wandb.Settings(console="off", disable_git=True, save_code=False, silent=True),
        )

    def log(self, step: int, values: Mapping[str, float], at: float) -> None:  # noqa: ARG002
        self._run.log(dict(values), step=step)

    def finish(self) -> None:
        self._run.finish()


class Trackio:
    """A trackio run in the local data base under FOLDER; `trackio show` draws it."""

    def __init__(self, setup: RunSetup) -> None:
        os.environ["TRACKIO_DIR"] = str(setup.folder)
        self._trackio: Any = import_module("trackio")
        self._trackio.init(
            project=setup.project,
            # trackio knows a run by its name alone.
            name=f"{setup.name} {setup.run_id[:8]}",
            group=next(iter(setup.tags), None),
            config={**plain(setup.config), "tags": list(setup.tags)},
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, values: Mapping[str, float], at: float) -> None:  # noqa: ARG002
        self._trackio.log(dict(values), step=step)

    def finish(self) -> None:
        self._trackio.finish()


OPEN: dict[str, Callable[[RunSetup], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": Wandb,
}


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as trackers take it: plain JSON."""
    data: dict[str, Any] = json.loads(json.dumps(dict(config), default=str))
    return data
