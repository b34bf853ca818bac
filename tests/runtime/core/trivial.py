"""Stages that take no time, and the way into a job process that knows them.

Run as a script it is `python -m exc.runtime.job` with these stages. What a job does is its config's `does`.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

from exc.compiler import identity
from exc.runtime import stages
from exc.runtime.context import Counts, JobContext, JobFailed, Stopped

KIND, STEPS_KIND = "trivial", "trivial_steps"


def register() -> None:
    """Make the kinds known to this process."""
    stages.STAGES.update({KIND: f"{__name__}:run", STEPS_KIND: f"{__name__}:run_steps"})
    fields = identity.KindIdentity(1, {"does": identity.ALWAYS}, {})
    identity.FIELDS.update({KIND: fields, STEPS_KIND: fields})  # type: ignore[attr-defined]


def run(ctx: JobContext) -> None:
    """Do what the config says, then leave a file that names the job and what it read."""
    does = ctx.config["does"]
    ctx.emit("progress", step=1, total=2, loss=0.5)
    if does == "fail":
        raise JobFailed("data", "gsm8k.jsonl row 17 has no column `question`")
    if does == "bug":
        raise ValueError("nobody thought of this")
    if does == "exit":
        sys.exit(0)
    if does == "memory":
        raise MemoryError
    if does == "wait":
        _wait(ctx)
    if does == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if does == "hang":
        time.sleep(1000)
    if does == "nothing":
        return
    ctx.publish(lambda folder: _write(ctx, folder), metrics={"value": 1.5}, counts=Counts(samples=3))


def _wait(ctx: JobContext) -> None:
    """Until someone makes the file `go` beside the spec."""
    (ctx.root / f"waiting-{ctx.job_id.replace('/', '-')}").touch()
    while not (ctx.root / "go").exists():
        if ctx.should_stop():
            raise Stopped
        time.sleep(0.01)


def _write(ctx: JobContext, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "text.txt").write_text(f"{ctx.job_id} read {sorted(ctx.inputs)}")
    if ctx.config["does"] == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if ctx.config["does"] == "die" and not (ctx.root / "died").exists():
        (ctx.root / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def run_steps(ctx: JobContext) -> None:
    """Count to the last kept step, saving after each; at `pause` wait until someone makes the file `go`."""
    state = ctx.work / "count"
    step = int(state.read_text()) if state.exists() else 0
    last = max(ctx.kept)
    if step:
        ctx.emit("progress", step=step, total=last, resumed=True)
    while step < last:
        if ctx.should_stop():
            raise Stopped
        step += 1
        state.write_text(str(step))
        ctx.emit("saved", step=step)
        time.sleep(ctx.config.get("pace_s", 0.0))
        ctx.emit("progress", step=step, total=last, loss=1 / step)
        if step in ctx.kept:
            _publish_step(ctx, step)
        if step == ctx.config.get("pause"):
            _wait(ctx)


def _publish_step(ctx: JobContext, step: int) -> None:
    def write(folder: Path) -> None:
        (folder / "count.txt").write_text(str(step))

    ctx.publish(write, step=step)


if __name__ == "__main__":
    from exc.runtime.job import main

    register()
    sys.modules["trivial"] = sys.modules["__main__"]
    stages.STAGES.update({KIND: "trivial:run", STEPS_KIND: "trivial:run_steps"})
    sys.exit(main())
