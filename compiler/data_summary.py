"""Data that jobs make, for PLAN.md: what is done to which rows, and whose samples are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.diff import shown
from exc.compiler.plan import Job, Plan
from exc.spec.words import listed, plural


def data_summary(plan: Plan) -> list[dict[str, Any]]:
    """One entry for each data source that jobs make, and for each step of it."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in plan.jobs:
        if job.kind in ("rate", "derive"):
            groups.setdefault((job.config["data"], job.kind), []).append(job)
    return [
        {
            "name": name,
            "of": _sampled(plan, jobs) if kind == "rate" else f"`{jobs[0].config['source']['name']}`",
            "what": _rated(jobs[0].config) if kind == "rate" else _derived(jobs[0].config),
            "jobs": len(jobs),
        }
        for (name, kind), jobs in groups.items()
    ]


def _sampled(plan: Plan, jobs: list[Job]) -> str:
    """Whose samples, and on which rows."""
    models: dict[str, None] = {}
    rows: dict[str, None] = {}
    for job in jobs:
        needs = {need.role: need.job for need in job.needs}
        drawn = {need.role: need.job for need in plan.job(needs["samples:0"]).needs}
        models[f"`{drawn['model']}`"] = None
        rows[f"`{drawn['rows']}`"] = None
    return f"{listed(models, 3)} on {listed(rows, 3)}"


def _rated(config: Mapping[str, Any]) -> str:
    return f"{plural(config['num_samples'], 'sample')} of each problem, judged"


def _derived(config: Mapping[str, Any]) -> str:
    parts = [f"where {column} {_condition(condition)}" for column, condition in config["where"].items()]
    if config["group_by"] is not None:
        parts.append(f"grouped by {config['group_by']}")
    if config["drop"]:
        parts.append(f"without the first {config['drop']:,}")
    if config["take"] is not None:
        parts.append(f"the first {config['take']:,}")
    if config["pairs"] is not None:
        parts.append(f"up to {plural(config['pairs']['per_problem'], 'pair')} of each problem")
    return ", ".join(parts) or "as they are"


def _condition(condition: Mapping[str, Any]) -> str:
    words = {"is": "is", "not": "is not", "min": "is at least", "max": "is at most"}
    parts = [
        f"{words[word]} {' or '.join(map(shown, value)) if isinstance(value, list) else shown(value)}"
        for word, value in condition.items()
    ]
    return " and ".join(parts)
