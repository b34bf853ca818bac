"""The problems of an evaluation by lm-evaluation-harness, as the parts that its numbers are ratios of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from exc.runtime.report.statistics import Floats, Ints

UNITS = "units.jsonl"
MEAN = "mean"

Parts = Mapping[str, tuple[Floats, Floats]]


def read_harness_units(folder: Path, evaluation: Mapping[str, Any]) -> tuple[Ints, Ints, Parts]:
    """The numbers of the units and of their tasks; of each metric what stands above and below the line.

    Where a unit has none of a metric, both are zero.

    Raises ValueError with what is wrong with the file.
    """
    try:
        rows = [orjson.loads(line) for line in (folder / UNITS).read_bytes().splitlines() if line.strip()]
        ids = np.array([row["unit"] for row in rows], dtype=np.int64)
        tasks = np.unique([str(row["task"]) for row in rows], return_inverse=True)[1]
        parts = _parts(rows, evaluation)
    except OSError as error:
        raise ValueError(f"{UNITS} cannot be read ({error.strerror})") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{UNITS} is not as it was written ({error!r})") from None
    if not ids.size or np.unique(ids).size != ids.size:
        raise ValueError(f"{UNITS} is empty or names a unit twice")
    order = np.argsort(ids, kind="stable")
    ordered = {name: (above[order], below[order]) for name, (above, below) in parts.items()}
    return ids[order], tasks[order], ordered


def _parts(rows: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any]) -> Parts:
    num = Counter(row["task"] for row in rows)
    found: dict[str, tuple[Floats, Floats]] = {}
    for name in evaluation["metrics"]:
        # Every task has the same weight in the mean, however many problems it has.
        weights = {task: 1.0 / num[task] for task in num}
        wanted = evaluation["mean"] if name == MEAN else [name]
        by_task = dict(_task_and_metric(each, num) for each in wanted)
        if None in by_task or any(by_task.get(row["task"]) not in (None, *row["values"]) for row in rows):
            continue  # no mean over problems: it has no parts
        above, below = np.zeros(len(rows)), np.zeros(len(rows))
        for index, row in enumerate(rows):
            metric = by_task.get(row["task"])
            if metric is not None:
                weight = weights[row["task"]] if name == MEAN else 1.0
                above[index], below[index] = weight * float(row["values"][metric]), weight
        found[name] = (above, below)
    return found


def _task_and_metric(name: str, tasks: Mapping[str, int]) -> tuple[str | None, str]:
    """`hellaswag/acc_norm` in two; a task's name may hold a slash itself."""
    task, _, metric = name.rpartition("/")
    return (task if task in tasks else None), metric
