"""Run one training job in a process of its own, and kill it with SIGKILL where it is told to.

`python -m tests.runtime.training.child JOB.json`, where the file holds make_context's arguments and `kill`:
null, or [what, n]: at the n-th `sync` of a file being saved, `save` of weights, `pass` over a micro-batch
or `publish` of a model.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exc.runtime.stages import STAGES
from tests.runtime.harness import make_context


def main(path: Path) -> None:
    job = json.loads(path.read_text(encoding="utf-8"))
    ctx, _ = make_context(
        Path(job["folder"]),
        job["kind"],
        job["config"],
        {role: Path(folder) for role, folder in job["inputs"].items()},
        kept=tuple(job["kept"]),
        root=Path(job["root"]),
        save_interval_s=job["save_interval_s"],
    )
    module, _, function = STAGES[job["kind"]].partition(":")
    stage = importlib.import_module(module)
    if job["kill"]:
        arm(*job["kill"])
    Path(job["folder"], "started").touch()
    getattr(stage, function)(ctx)


def arm(what: str, number: int) -> None:
    from transformers import Trainer

    from exc.runtime.stages import session, states, training

    place: dict[str, tuple[Any, str]] = {
        "sync": (states, "sync"),
        "save": (training, "save_weights"),
        "pass": (Trainer, "training_step"),
        "publish": (session, "write_model"),
    }
    owner, name = place[what]
    setattr(owner, name, deadly(getattr(owner, name), number))


def deadly(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return call


if __name__ == "__main__":
    main(Path(sys.argv[1]))
