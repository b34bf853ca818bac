"""Stage `fetch`: models and data that others made, brought into the store: from the hub, or from a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from exc.runtime.context import JobContext, JobFailed, Stopped
from exc.runtime.failures import class_in_words, unexplained
from exc.runtime.files import digest_file
from exc.runtime.stages.derive import encode_record
from exc.runtime.stages.model_folder import BadModel, read_config, read_tensors
from exc.runtime.stages.sources import ROWS_FILE, read_source

_POLL_S = 0.2
# A job runs without the hub; the process that asks it is the one exception.
_ONLINE = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def run(ctx: JobContext) -> None:
    """Publish a model's files under `model`, its tokenizer's, or a data set's rows. Nothing is fetched twice.

    Raises JobFailed("config") for what is no model or was never locked, JobFailed("data") for files that are
    not what was planned, JobFailed("node") where the hub cannot be reached, and JobFailed("disk") or
    JobFailed("out-of-memory") where that is what kept the files from coming.
    """
    ctx.work.mkdir(parents=True, exist_ok=True)
    folder = ctx.work / "fetched"
    hub: Mapping[str, Any] | None = ctx.config.get("hub")
    if hub is None:
        _copy(ctx, folder)
    else:
        _download(ctx, hub, folder)
        for file in hub["files"]:
            _check(folder / file["name"], file)
    if hub is not None and "part" in hub:
        _publish_rows(ctx, hub, folder)
    elif hub is not None and "only" in hub:
        ctx.publish(lambda out: _move(folder, out / hub["only"]))
    else:
        _publish_model(ctx, folder)


def _publish_rows(ctx: JobContext, hub: Mapping[str, Any], folder: Path) -> None:
    """Publish the rows of Parquet files as other data that jobs make: a JSON object a line."""
    files = [{"path": file["name"]} for file in hub["files"]]  # which were checked as they came
    records = read_source({"name": hub["repo"], "kind": "parquet", "files": files}, folder)
    scratch, count = ctx.work / ROWS_FILE, 0
    with scratch.open("wb") as out:
        for record in records:
            out.write(encode_record(record))
            count += 1
            if count % 1000 == 0 and ctx.should_stop():
                raise Stopped
    if count == 0:
        raise JobFailed("data", f"{hub['repo']} has no rows in {hub['part']}")

    def write(out: Path) -> None:
        shutil.move(scratch, out / ROWS_FILE)

    ctx.publish(write, metrics={"rows_out": float(count)})
    shutil.rmtree(folder)


def _publish_model(ctx: JobContext, folder: Path) -> None:
    try:
        read_config(folder)
        tensors = read_tensors(folder)
    except BadModel as error:
        raise JobFailed("config", f"what was fetched is no model: {error}") from error
    parameters = sum(_size(shape) for _, shape in tensors.values())

    ctx.publish(lambda out: _move(folder, out / "model"), metrics={"num_parameters": float(parameters)})


def _move(folder: Path, target: Path) -> None:
    shutil.move(folder, target)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _copy(ctx: JobContext, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in ctx.config["files"]:
        source = ctx.root / file["path"]
        shutil.copyfile(source, folder / source.name)
        _check(folder / source.name, file)


def _download(ctx: JobContext, hub: Mapping[str, Any], folder: Path) -> None:
    """Have a process of its own fetch the files, and end it when the job is to stop."""
    if hub["commit"] is None:
        raise JobFailed("config", f"{hub['repo']} was never locked; run `exc lock` and `exc compile`")
    names = [file["name"] for file in hub["files"]]
    kind = "dataset" if "part" in hub else "model"
    command = [sys.executable, "-m", "exc.runtime.stages.download", str(os.getpid()), kind, hub["repo"]]
    environment = {**os.environ, **_ONLINE}
    process = subprocess.Popen(
        [*command, hub["commit"], str(folder), *names], env=environment, stderr=subprocess.PIPE, text=True
    )
    total = sum(file["bytes"] for file in hub["files"])
    errors = None
    try:
        while errors is None:
            if ctx.should_stop():
                raise Stopped
            with suppress(subprocess.TimeoutExpired):
                errors = process.communicate(timeout=_POLL_S)[1]
    finally:
        if errors is None:
            process.kill()
            process.communicate()
    if process.returncode:
        if ctx.should_stop():
            raise Stopped  # what its whole process group was asked, too
        said = (errors or "").strip() or unexplained(process.returncode, None).message
        reason = said.rsplit("\n", 1)[-1]
        raise JobFailed(class_in_words(reason) or "node", f"{hub['repo']} could not be fetched: {reason}")
    ctx.emit("progress", step=total, total=total)


def _check(path: Path, file: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise JobFailed("data", f"{path.name} did not come with the model")
    if path.stat().st_size != file["bytes"] or (file["sha256"] and digest_file(path) != file["sha256"]):
        path.unlink()  # or it would be taken for fetched
        raise JobFailed("data", f"{path.name} is not the file that was planned: its content differs")
