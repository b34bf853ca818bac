"""Stage `select`: of a stage's kept steps, the one that did best in an evaluation, as a model of its own."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from exc.runtime.context import JobContext, JobFailed

CHOICE = "choice.json"


def run(ctx: JobContext) -> None:
    """Choose by the metric; of steps that did equally well, the earliest."""
    metric, sign = ctx.config["metric"], 1 if ctx.config["mode"] == "max" else -1
    steps = sorted(int(role.removeprefix("model:")) for role in ctx.inputs if role.startswith("model:"))
    values = {step: _value(ctx.inputs[f"score:{step}"], metric) for step in steps}
    chosen = max(steps, key=lambda step: (sign * values[step], -step))
    choice = {"step": chosen, "metric": metric, "mode": ctx.config["mode"], "values": values}

    def write(folder: Path) -> None:
        copy_linked(ctx.inputs[f"model:{chosen}"].resolve(), folder / "model")
        (folder / CHOICE).write_text(json.dumps(choice, indent=1) + "\n", encoding="utf-8")

    ctx.publish(
        write, metrics={"step": float(chosen), metric: values[chosen], "candidates": float(len(steps))}
    )


def _value(score: Path, metric: str) -> float:
    """A metric of a score. Raises JobFailed where it has none."""
    metrics = json.loads((score / "artifact.json").read_text(encoding="utf-8"))["metrics"]
    if metric not in metrics:
        raise JobFailed("config", f"{score} has no {metric}; it has {', '.join(sorted(metrics)) or 'none'}")
    return float(metrics[metric])


def copy_linked(source: Path, target: Path) -> None:
    """Copy a folder by hard links, which take no space; by content where the file system has none."""
    try:
        shutil.copytree(source, target, copy_function=os.link)
    except (shutil.Error, OSError):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
