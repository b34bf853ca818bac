"""Whether a folder is what lm-evaluation-harness found of a model, as an `lm_eval` job leaves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

_MEAN = "mean"


def counted_metrics(
    units: Sequence[Mapping[str, Any]], config: Mapping[str, Any], path: Path
) -> tuple[dict[str, float], str]:
    """The numbers that the problems give, by name; and what is wrong with them, "" for nothing."""
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for unit in units:
        by_task.setdefault(unit["task"], []).append(unit["values"])
    if sorted(by_task) != list(config["tasks"]):
        return {}, f"{path} is about {', '.join(sorted(by_task))}; planned: {', '.join(config['tasks'])}"
    if len({unit["unit"] for unit in units}) != len(units):
        return {}, f"{path} numbers a unit twice"
    found = {}
    for task, values in by_task.items():
        for name in values[0]:
            each = [value.get(name) for value in values]
            if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in each):
                return {}, f"{path}: `{name}` is not a number for every problem of {task}"
            found[f"{task}/{name}"] = fmean(value for value in each if value is not None)
    if lacking := [name for name in config["mean"] if name not in found]:
        return {}, f"{path} lacks {lacking[0]}, which `mean` is over"
    mean = {_MEAN: fmean(found[name] for name in config["mean"])} if config["mean"] else {}
    return {**found, **mean}, ""
