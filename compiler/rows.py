"""Data sources, verifiers and prompts as job configs; and the jobs that read a task's rows once for all."""

from __future__ import annotations

from collections.abc import Iterable
from string import Formatter
from typing import Any

from exc.compiler.build import Output
from exc.compiler.facts import FileFact
from exc.compiler.world import World
from exc.spec.data import Column, Split, Task

PYTHON_VERIFIER = "python:"
FEWSHOT = "fewshot"  # the name of the exemplar pool among a task's splits


def source_config(world: World, name: str) -> dict[str, Any]:
    """A data source as the runtime reads it: files with digests, or a callable with the digest of its code."""
    data = world.spec.data[name]
    if data.python is not None:
        code = world.facts.code[data.python]
        return {"name": name, "kind": "python", "files": [], "target": data.python, "args": data.args, "code": code}
    patterns: tuple[str, ...] = getattr(data, data.kind)
    out: dict[str, Any] = {"name": name, "kind": data.kind, "files": file_configs(world, patterns)}
    if data.kind == "text":
        out["split"] = data.split
    return out


def file_configs(world: World, patterns: Iterable[str]) -> list[dict[str, Any]]:
    """Files with digests, in the order written and without repeats."""
    files: dict[str, FileFact] = {}
    for pattern in patterns:
        for fact in world.facts.files[pattern]:
            files.setdefault(fact.path, fact)
    return [{"path": fact.path, "bytes": fact.bytes, "sha256": fact.sha256} for fact in files.values()]


def verifier_config(world: World, task: Task) -> dict[str, Any]:
    if not task.verifier.startswith(PYTHON_VERIFIER):
        return {"kind": task.verifier}
    target = task.verifier.removeprefix(PYTHON_VERIFIER)
    return {"kind": "python", "target": target, "code": world.facts.code[target]}


def prompt_fields(template: str) -> list[str]:
    """The names a prompt template reads, in order of first use."""
    names = (name for _, name, _, _ in Formatter().parse(template) if name)
    return list(dict.fromkeys(names))


def rows_output(world: World, task_name: str, split_name: str) -> Output:
    """The job that reads a task's split, with every column that anything in the experiment needs of it."""
    key = ("rows", task_name, split_name)
    if key not in world.memo:
        task = world.spec.tasks[task_name]
        split = task.fewshot if split_name == FEWSHOT else task.splits[split_name]
        assert split is not None
        config = {
            "task": task_name,
            "split": split_name,
            "source": source_config(world, split.data),
            "columns": _columns(world, task_name, split_name, task, split),
            "limit": split.limit,
        }
        path = ("fewshot",) if split_name == FEWSHOT else ("splits", split_name)
        source = world.line("tasks", task_name, *path)
        draft = world.jobs.add("rows", f"tasks/{task_name}/{split_name}", "rows", config, {}, source=source)
        world.memo[key] = world.jobs.final(draft)
    output: Output = world.memo[key]
    return output


def _columns(world: World, task_name: str, split_name: str, task: Task, split: Split) -> dict[str, Any]:
    names = [*prompt_fields(task.prompt), "answer"]
    if "demonstrations" in split.columns or (task_name, split_name) in _demonstrated(world):
        names.append("demonstrations")
    names.extend(name for name in split.columns if name not in names)
    declared = {name: split.columns.get(name) or Column(column=name) for name in names}
    return {name: {"column": column.column, "regex": column.regex} for name, column in declared.items()}


def _demonstrated(world: World) -> set[tuple[str, str]]:
    """The splits whose demonstrations some SFT stage trains on."""
    key = ("demonstrated",)
    if key not in world.memo:
        stages = (stage for stages in world.spec.recipes.values() for stage in stages)
        world.memo[key] = {(stage.sft.task, stage.sft.split) for stage in stages if stage.sft is not None}
    found: set[tuple[str, str]] = world.memo[key]
    return found
