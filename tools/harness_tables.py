"""Write the tables of what lm-evaluation-harness and reasoning-gym know, for a compiler that imports neither.

    python tools/harness_tables.py             rewrite the tables of the installed versions
    python tools/harness_tables.py --print     print both instead, a line each

spec/tables/lm_eval-VERSION.json has the tasks and the groups by what they measure: `acc|acc_norm` -> names.
A metric behind a filter is `metric,filter`, as in results. Tags stand for their tasks and measure nothing.
spec/tables/reasoning_gym-VERSION.json has the generators, each with the fields of its configuration.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

TABLES = Path(__file__).parent.parent / "spec" / "tables"
_OWNED = frozenset({"size", "seed"})  # what a data source says beside `config`
_UNNAMED = "none"  # the filter of a task that declares none


def lm_eval_table() -> dict[str, Any]:
    """Every name of the installed harness."""
    from lm_eval.tasks import TaskManager

    tasks: dict[str, list[str]] = defaultdict(list)
    groups: dict[str, list[str]] = defaultdict(list)
    tags: list[str] = []
    for name, entry in sorted(TaskManager().task_index.items()):
        kind, config = entry.kind.name, entry.cfg or {}
        if kind == "TAG":
            tags.append(name)
        elif kind == "GROUP":
            groups["|".join(group_metrics(config))].append(name)
        else:
            tasks["|".join(task_metrics(config) if kind == "TASK" else [])].append(name)
    return {"version": version("lm_eval"), "tasks": dict(tasks), "groups": dict(groups), "tags": tags}


def task_metrics(config: dict[str, Any]) -> list[str]:
    """What a task gives, under the names that results have."""
    from lm_eval.api.registry import DEFAULT_METRIC_REGISTRY

    output = config.get("output_type", "generate_until")
    listed = config.get("metric_list") or [{"metric": name} for name in DEFAULT_METRIC_REGISTRY[output]]
    names = [_plain(entry["metric"]) for entry in listed]
    filters = [entry["name"] for entry in config.get("filter_list") or ()] or [_UNNAMED]
    return [name if own == _UNNAMED else f"{name},{own}" for own in filters for name in names]


def group_metrics(config: dict[str, Any]) -> list[str]:
    listed = config.get("aggregate_metric_list") or ()
    names = []
    for entry in [listed] if isinstance(listed, dict) else listed:
        filters = entry.get("filter_list") or [_UNNAMED]
        for own in [filters] if isinstance(filters, str) else filters:
            name = _plain(entry["metric"])
            names.append(name if own == _UNNAMED else f"{name},{own}")
    return names


def _plain(metric: Any) -> str:
    """The name of a metric; that of a function, which stands there with its path."""
    return str(metric).rpartition(".")[2] if "/" in str(metric) else str(metric)


def reasoning_gym_table() -> dict[str, Any]:
    """Every generator of the installed reasoning-gym."""
    import reasoning_gym.factory as factory

    generators = {
        name: sorted(field.name for field in dataclasses.fields(config) if field.name not in _OWNED)
        for name, (_, config) in sorted(factory.DATASETS.items())
    }
    return {"version": version("reasoning_gym"), "generators": generators}


def main() -> None:
    tables = {"lm_eval": lm_eval_table(), "reasoning_gym": reasoning_gym_table()}
    if "--print" in sys.argv[1:]:
        for table in tables.values():
            sys.stdout.buffer.write(orjson.dumps(table) + b"\n")
        return
    for name, table in tables.items():
        path = TABLES / f"{name}-{table['version']}.json"
        path.write_bytes(orjson.dumps(table) + b"\n")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
