"""Data sources, verifiers and prompts as job configs; and the jobs that read a task's rows once for all."""

from __future__ import annotations

from collections.abc import Iterable
from string import Formatter
from typing import Any

from exc.compiler.build import Output
from exc.compiler.facts import FileFact
from exc.compiler.reader import Reader
from exc.compiler.world import World
from exc.spec.data import PYTHON_VERIFIER, Column, Split, Task
from exc.spec.harness import GYM_VERSION

# How long a call of a verifier may take, in seconds, of those that could hang.
DEFAULT_TIMEOUT_S = {"python": 60, "math": 10, "reasoning_gym": 10}
METADATA = "metadata"  # the column by which reasoning-gym scores an answer
DEMONSTRATIONS = "demonstrations"
PAIR = ("chosen", "rejected")
LABELLED = ("completion", "label")
# Columns -> what the job that reads them is called.
_JUDGED: dict[tuple[str, ...], str] = {PAIR: "pairs", LABELLED: "labelled"}
FEWSHOT = "fewshot"  # what the job of a task's exemplar pool is called


def source_config(world: World, name: str) -> dict[str, Any]:
    """A data source as the runtime reads it: files, or a callable, with digests."""
    data = world.spec.data[name]
    if data.python is not None:
        code = world.facts.code[data.python]
        files = file_configs(world, data.files)
        return {
            "name": name,
            "kind": "python",
            "files": files,
            "target": data.python,
            "args": data.args,
            "code": code,
        }
    if (made := data.reasoning_gym) is not None:
        return {
            "name": name,
            "kind": "reasoning_gym",
            "files": [],
            "generator": made.name,
            "size": made.size,
            "seed": made.seed,
            "config": made.config,
            "version": GYM_VERSION,
        }
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


def judging_config(world: World, task: Task) -> dict[str, Any]:
    """A task's verifier, and for one that could hang how long a call may take, in seconds."""
    verifier = verifier_config(world, task)
    default = DEFAULT_TIMEOUT_S.get(verifier["kind"])
    if default is None:
        return {"verifier": verifier}
    return {"verifier": verifier, "verifier_timeout": task.verifier_timeout or default}


def rewards_config(task: Task) -> dict[str, Any]:
    """What completions earn; where an answer must stand only if it matters."""
    return task.rewards.model_dump(exclude=set() if task.rewards.form != "any" else {"form"})


def prompt_fields(template: str) -> list[str]:
    """The names a prompt template reads, in order of first use."""
    names = (name for _, name, _, _ in Formatter().parse(template) if name)
    return list(dict.fromkeys(names))


def rows_output(
    world: World,
    task_name: str,
    split_name: str,
    *,
    demonstrations: bool = False,
    judged: tuple[str, ...] = (),
    reader: Reader | None = None,
) -> Output:
    """The job that reads a task's split: what its prompt reads, its answer, and the declared columns.

    `reader` is the stage that reads it, which data sampled from a branch's own model depends on.

    Demonstrations that are not declared are read for those alone who ask, in a job of its own: whether some
    recipe trains on them must not change what others read. So are `judged` completions, PAIR or LABELLED,
    which need no answer.
    """
    task = world.spec.tasks[task_name]
    split = task.splits[split_name]
    if judged:
        job_id = f"tasks/{task_name}/{split_name}.{_JUDGED[judged]}"
        return _rows(world, job_id, task_name, split, ("splits", split_name), judged, reader)
    apart = demonstrations and DEMONSTRATIONS not in split.columns
    job_id = f"tasks/{task_name}/{split_name}{f'.{DEMONSTRATIONS}' if apart else ''}"
    more = (DEMONSTRATIONS,) if apart else ()
    return _rows(world, job_id, task_name, split, ("splits", split_name), more, reader)


def fewshot_output(world: World, task_name: str, *, reader: Reader | None = None) -> Output:
    """The job that reads a task's pool of exemplars."""
    split = world.spec.tasks[task_name].fewshot
    assert split is not None
    return _rows(world, f"tasks/{task_name}.{FEWSHOT}", task_name, split, (FEWSHOT,), (), reader)


def _rows(
    world: World,
    job_id: str,
    task_name: str,
    split: Split,
    path: tuple[str, ...],
    more: tuple[str, ...],
    reader: Reader | None,
) -> Output:
    # Data that is sampled from a model of a task is sampled on rows: the two need each other.
    from exc.compiler.derived import placed, read_data

    job_id = placed(world, split.data, reader, job_id)
    key = ("rows", job_id)
    if key not in world.memo:
        data, inputs = read_data(world, split.data, reader)
        config = {
            "task": task_name,
            "split": path[-1],
            "source": data,
            "columns": _columns(world.spec.tasks[task_name], split, more),
            "limit": split.limit,
        }
        source = world.line("tasks", task_name, *path)
        draft = world.jobs.add("rows", job_id, "rows", config, inputs, source=source)
        world.memo[key] = world.jobs.final(draft)
    output: Output = world.memo[key]
    return output


def _columns(task: Task, split: Split, more: tuple[str, ...]) -> dict[str, Any]:
    own = (METADATA,) if task.verifier == "reasoning_gym" else ()
    names = [*prompt_fields(task.prompt), *(() if more in _JUDGED else ("answer", *own)), *more]
    names.extend(name for name in split.columns if name not in names)
    declared = {name: split.columns.get(name) or Column(column=name) for name in names}
    return {name: {"column": column.column, "regex": column.regex} for name, column in declared.items()}
