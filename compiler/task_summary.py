"""Tasks as PLAN.md lists them: what models are asked, who judges the answers, and what these earn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from exc.compiler.plan import SMOKE, Job, Plan
from exc.spec.paired import SIDES

_ROWS = "rows"  # the role, and the kind of the job, by which a task's problems are read


def task_summary(plan: Plan) -> list[dict[str, Any]]:
    """Every task that some job asks, with its lines; what jobs say of it is the same in all of them."""
    said: dict[str, dict[str, Any]] = {}
    for job in plan.jobs:
        for task, config in _asking(plan, job):
            said.setdefault(task, {}).update(config)
    return [{"name": name, "lines": [*_lines(facts), *_splits(plan, name)]} for name, facts in said.items()]


def _asking(plan: Plan, job: Job) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(task, config) of a job that reads the problems of a task; of one with two sides, that of each."""
    for need in job.needs if job.kind != SMOKE else ():  # which says what its class says
        role, _, side = need.role.partition(":")
        read = plan.job(need.job)
        if role == _ROWS and read.kind == _ROWS:
            yield read.config["task"], job.config[side] if side in SIDES else job.config


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    if "prompt" in facts:
        yield f"prompt: `{json.dumps(facts['prompt'], ensure_ascii=False)}`"
    if facts.get("stop"):
        yield f"stops at: {', '.join(f'`{json.dumps(text, ensure_ascii=False)}`' for text in facts['stop'])}"
    if "verifier" in facts:
        yield f"judged by: {facts['verifier'].get('target', facts['verifier']['kind'])}"
    if "rewards" in facts:
        earned = dict(facts["rewards"])
        form = f", in the form {earned.pop('form')}" if "form" in earned else ""
        yield f"RL pays: {earned['correct']:g} if right, {earned['format']:g} for a wrong answer{form}"


def _splits(plan: Plan, task: str) -> Iterator[str]:
    """A line for each of the task's splits that is read, and for its exemplars."""
    found: dict[tuple[str, str, int | None], dict[str, None]] = {}
    for job in plan.jobs:
        if job.kind == _ROWS and job.config["task"] == task:
            config = job.config
            place = (config["split"], config["source"]["name"], config["limit"])
            found.setdefault(place, {}).update(dict.fromkeys(map(_field, config["columns"].items())))
    for (split, source, limit), fields in found.items():
        first = f", the first {limit:,} rows" if limit else ""
        yield f"{split}: from `{source}`{first}: {', '.join(fields)}"


def _field(item: tuple[str, Mapping[str, Any]]) -> str:
    name, column = item
    origin = f" <- {column['column']}" if column["column"] != name else ""
    return f"{name}{origin}" + (f" by `{column['regex']}`" if column["regex"] else "")
