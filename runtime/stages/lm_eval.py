"""Tasks of lm-evaluation-harness, through its API, with what it found of every problem."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.harness_model import HarnessModel, make_harness_model
from exc.runtime.stages.jsonl import write_jsonl
from exc.runtime.stages.models import forward_flops, load_model

MEAN = "mean"
_UNNAMED = "none"  # the filter of a task that declares none
_SAME = 1e-9  # a mean over problems is the harness's number, but for the order of summation


def run(ctx: JobContext) -> None:
    """Write units.jsonl, samples.jsonl and results.json, and publish every number of every task.

    units.jsonl has a line for each problem: {"unit", "task", "of", "doc", "values": {"acc": 1.0, ...}},
    numbered over all tasks in the order of their names, so that two models are compared problem by problem;
    of a group, `of` is the task in it. samples.jsonl is what the harness logs of a problem, results.json its
    versions, settings and results. Tasks that were done when a job was stopped are not asked again. Raises
    JobFailed("config") for another version of the harness, and JobFailed("data") when the rows of a task are
    not here.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars are for a terminal, not for a log
    _check_version(ctx.config["harness"])
    loaded = load_model(ctx)
    model = make_harness_model(loaded, ctx.config.get("micro_batch_size"), ctx.should_stop)
    tasks: Sequence[str] = ctx.config["tasks"]
    done: dict[str, dict[str, Any]] = {}
    for number, task in enumerate(tasks, start=1):
        done[task] = _resumed(ctx, task) or _measured(ctx, model, task)
        ctx.emit("progress", step=number, total=len(tasks), task=task)
    units = list(_units(done))
    metrics = {name: value for task in tasks for name, value in _metrics(task, done[task]["results"]).items()}
    if ctx.config["mean"]:
        metrics[MEAN] = fmean(_headline(metrics, name) for name in ctx.config["mean"])
    asked = {task: {key: value for key, value in done[task].items() if key != "samples"} for task in tasks}
    record = {"lm_eval": ctx.config["harness"], "mean_over": ctx.config["mean"], "tasks": asked}

    def write(folder: Path) -> None:
        write_jsonl(folder / "units.jsonl", units)
        write_jsonl(folder / "samples.jsonl", (s for task in tasks for s in done[task]["samples"]))
        (folder / "results.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", "utf-8")

    num_read = sum(done[task]["num_tokens"] for task in tasks)
    counts = Counts(forward_flops(loaded.num_nonembedding, num_read), len(units), num_read)
    ctx.publish(write, metrics=metrics, counts=counts)
    for task in tasks:
        _state(ctx, task).unlink(missing_ok=True)


def _check_version(wanted: str) -> None:
    try:
        found = version("lm_eval")
    except ModuleNotFoundError:
        found = "none"
    if found != wanted:
        raise JobFailed(
            "config",
            f"the plan was made for lm-evaluation-harness {wanted}, and {found} is installed here: "
            f"pip install lm-eval=={wanted}",
        )


def _headline(metrics: Mapping[str, float], name: str) -> float:
    if name not in metrics:
        raise JobFailed(
            "config", f"`mean` is over `{name}`, which the harness did not give: {', '.join(metrics)}"
        )
    return metrics[name]


def _state(ctx: JobContext, task: str) -> Path:
    return ctx.work / f"{task.replace('/', '_')}.json"


def _resumed(ctx: JobContext, task: str) -> dict[str, Any] | None:
    """What an earlier process found of a task, if it was done with it."""
    try:
        found: dict[str, Any] = json.loads(_state(ctx, task).read_bytes())
    except (OSError, ValueError):
        return None
    return found


def _measured(ctx: JobContext, model: HarnessModel, task: str) -> dict[str, Any]:
    """Ask one task; what is kept of it is written down whole before it counts."""
    model.num_tokens = 0
    found = _plain({**_ask(ctx, model, task), "num_tokens": model.num_tokens})
    path = _state(ctx, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found), "utf-8")
    part.replace(path)
    kept: dict[str, Any] = found
    return kept


def _ask(ctx: JobContext, model: HarnessModel, task: str) -> dict[str, Any]:
    from lm_eval import evaluator

    library: Any = evaluator  # its decorators hide what its functions take
    config = ctx.config
    seed = config["seed"]
    with _at_the_spec(ctx.root), _explained(task):
        found: Any = library.simple_evaluate(
            model=model.model,
            tasks=[task],
            num_fewshot=config["num_fewshot"],
            limit=config["limit"],
            task_manager=_task_manager(ctx, task),
            bootstrap_iters=0,  # intervals are the report's, over problems and replicates
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
        )
    for settings in found["configs"].values():
        settings.get("metadata", {}).pop("config_source", None)  # a path of this machine
    keep = (
        "results",
        "groups",
        "group_subtasks",
        "configs",
        "versions",
        "n-shot",
        "higher_is_better",
        "n-samples",
    )
    samples = [
        {"task": name, **sample} for name, listed in sorted(found["samples"].items()) for sample in listed
    ]
    return {**{key: found[key] for key in keep if key in found}, "samples": samples}


def _task_manager(ctx: JobContext, task: str) -> Any:
    """Knows the spec's own tasks alone where that is enough: the harness's are thousands of files."""
    from lm_eval.tasks import TaskManager

    include = ctx.config["include"]
    folder = None if include is None else str(ctx.root / include)
    return TaskManager(include_path=folder, include_defaults=task not in ctx.config["own"])


@contextmanager
def _at_the_spec(root: Path) -> Iterator[None]:
    """Paths of data in a task count from the spec's folder; the harness takes them from where it runs."""
    import datasets

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    with chdir(root):
        yield


@contextmanager
def _explained(task: str) -> Iterator[None]:
    """Say of rows that are not here how they come here; jobs reach no host."""
    from datasets.exceptions import DatasetNotFoundError

    try:
        yield
    except (DatasetNotFoundError, ConnectionError, FileNotFoundError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise JobFailed(
            "data",
            f"the rows of the task `{task}` are not on this machine, and jobs run offline: {first}\n"
            "where there is internet, with the same HF_HOME: "
            f"python -m lm_eval run --model dummy --tasks {task} --limit 1",
        ) from error


def _plain(value: Any) -> Any:
    """What JSON can hold, numbers and texts as they are."""
    return json.loads(json.dumps(value, default=str))


def _metrics(task: str, results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The numbers of a task or of a group with all that is in it: `hellaswag/acc_norm`."""
    found = {}
    for name in sorted(results, key=lambda name: (name != task, name)):
        for key, value in results[name].items():
            metric, comma, own = key.partition(",")
            if comma and not metric.endswith("_stderr") and isinstance(value, int | float):
                found[f"{name}/{metric if own == _UNNAMED else key}"] = float(value)
    return found


def _units(done: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    number = 0
    for task, found in done.items():
        merged: dict[tuple[str, int], dict[str, float]] = {}
        for sample in found["samples"]:
            values = merged.setdefault((sample["task"], sample["doc_id"]), {})
            for metric in sample["metrics"]:
                value = sample.get(metric)
                if isinstance(value, bool | int | float):
                    own = sample["filter"]
                    values[metric if own == _UNNAMED else f"{metric},{own}"] = float(value)
        means = _means(task, merged, _metrics(task, found["results"]))
        for (own_task, doc), values in sorted(merged.items()):
            counted = {name: value for name, value in values.items() if name in means}
            yield {"unit": number, "task": task, "of": own_task, "doc": doc, "values": counted}
            number += 1


def _means(
    task: str, units: Mapping[tuple[str, int], Mapping[str, float]], metrics: Mapping[str, float]
) -> set[str]:
    """The metrics of a task that are plain means over its problems, so that they can be resampled."""
    names = {name for values in units.values() for name in values}
    plain = set()
    for name in names:
        each = [values[name] for values in units.values() if name in values]
        told = metrics.get(f"{task}/{name}")
        if told is not None and len(each) == len(units) and abs(fmean(each) - told) <= _SAME:
            plain.add(name)
    return plain
