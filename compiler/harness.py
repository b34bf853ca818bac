"""Evaluations by lm-evaluation-harness: which numbers they give, and the config of their jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.facts import Facts
from exc.spec.harness import HARNESS_VERSION, Metrics, harness, headline, is_share
from exc.spec.measures import LmEval

MEAN = "mean"
# Drawn once for all: which exemplars a task takes may not differ between models that are compared.
SEED = 1234


def own_tasks(facts: Facts, spec: LmEval) -> Mapping[str, Metrics]:
    """The tasks and groups of the folder that an evaluation includes."""
    folder = facts.harness.get(spec.include or "")
    return folder.tasks if folder is not None else {}


def metrics_of_task(facts: Facts, spec: LmEval, name: str) -> Metrics | None:
    """What a task or group gives, as results name it; None of a name that nothing has."""
    own = own_tasks(facts, spec)
    return own[name] if name in own else harness().metrics(name)


def headlines(facts: Facts, spec: LmEval) -> dict[str, str]:
    """Task -> the metric that stands for it, of those that have one, in the order of the spec."""
    found = {}
    for name in dict.fromkeys(spec.tasks):
        metric = spec.metrics.get(name) or headline(metrics_of_task(facts, spec, name) or ())
        if metric is not None:
            found[name] = metric
    return found


def averaged(facts: Facts, spec: LmEval) -> list[str]:
    """The tasks that `mean` is over; none where it would be over one task, and nobody asks for it."""
    if spec.mean is not None:
        return list(dict.fromkeys(spec.mean))
    shares = [name for name, metric in headlines(facts, spec).items() if is_share(metric)]
    return shares if len(shares) > 1 else []


def metric_names(facts: Facts, spec: LmEval) -> list[str]:
    """The numbers of an evaluation that stand for its tasks: `hellaswag/acc_norm`, and `mean` behind them."""
    names = [f"{task}/{metric}" for task, metric in headlines(facts, spec).items()]
    return [*names, MEAN] if averaged(facts, spec) else names


def harness_config(facts: Facts, spec: LmEval, num_fewshot: int | None) -> dict[str, Any]:
    """The config of a job; in which order the spec names tasks changes nothing."""
    heads = headlines(facts, spec)
    folder = facts.harness.get(spec.include or "")
    files = folder.files if folder is not None else ()
    return {
        "harness": HARNESS_VERSION,
        "tasks": sorted(heads),
        "own": sorted(name for name in heads if folder is not None and name in folder.whole),
        "mean": sorted(f"{name}/{heads[name]}" for name in averaged(facts, spec)),
        "limit": spec.limit,
        "num_fewshot": num_fewshot,
        "seed": SEED,
        "include": spec.include,
        "files": [{"path": file.path, "bytes": file.bytes, "sha256": file.sha256} for file in files],
    }


def harness_facts(facts: Facts, spec: LmEval) -> dict[str, Any]:
    """What the report says of an evaluation."""
    return {
        "kind": "lm_eval",
        "harness": HARNESS_VERSION,
        "tasks": list(headlines(facts, spec)),
        "mean": [f"{name}/{headlines(facts, spec)[name]}" for name in averaged(facts, spec)],
        "limit": spec.limit,
        "num_fewshot": spec.num_fewshot.model_dump() if spec.num_fewshot is not None else None,
        "metrics": metric_names(facts, spec),
    }
