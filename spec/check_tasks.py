"""Checks of data sources and tasks."""

from __future__ import annotations

import re
from string import Formatter

from exc.spec.base import is_target
from exc.spec.check_measures import check_generator
from exc.spec.context import Context
from exc.spec.data import PYTHON_VERIFIER, Column, Data, Rewards, Task
from exc.spec.diagnostics import did_you_mean, one_of
from exc.spec.nodes import Path

VERIFIERS = ("numeric", "math", "exact", "reasoning_gym")
POOL = "fewshot"  # what the pool of exemplars is called among the splits of a task
DERIVED = ("data", "samples", "reasoning_gym")  # kinds of data whose rows are read from no file
# A line break or tab that stayed as it was written, unlike `\\nabla` or `\\theta`.
_BREAK = re.compile(r"\\[nt](?![a-z])")
# Settings of a data source that only one kind reads.
_ONLY = {"args": "python", "files": "python", "split": "text"}


def check_tasks(ctx: Context) -> None:
    for path, data in ctx.models(Data):
        for setting, kind in _ONLY.items():
            if setting in ctx.names(*path) and data.kind != kind:
                message = f"`{setting}` belongs to a `{kind}` source, and this is a `{data.kind}` one"
                ctx.error("bad-value", message, (*path, setting), key=True)
        if data.reasoning_gym is not None:
            check_generator(ctx, (*path, "reasoning_gym"), data.reasoning_gym)
        if data.kind not in DERIVED:
            _check_paths(ctx, path, data)
    for name in ctx.names("tasks"):
        for split in ctx.names("tasks", name, "splits"):
            ctx.refer("data", ("tasks", name, "splits", split, "data"))
        ctx.refer("data", ("tasks", name, POOL, "data"))
    for path, task in ctx.models(Task):
        _check_task(ctx, path, task)


def _check_paths(ctx: Context, path: Path, data: Data) -> None:
    patterns = data.files if data.python is not None else getattr(data, data.kind)
    key = "files" if data.python is not None else data.kind
    if data.python is None and not patterns:
        ctx.error("bad-value", f"`{key}` names no files", (*path, key), "at least one", key=True)
    for index, pattern in enumerate(patterns):
        if not pattern or "\0" in pattern:
            ctx.error("bad-value", f"item {index + 1} of `{key}` is no path", (*path, key, index))


def _check_task(ctx: Context, path: Path, task: Task) -> None:
    if not task.splits:
        ctx.error("bad-value", "a task has at least one split", (*path, "splits"), key=True)
    if POOL in task.splits:
        message = f"`{POOL}` as a split would be taken for the pool of exemplars"
        ctx.error("reserved-name", message, (*path, "splits", POOL), "another name", key=True)
    _check_prompt(ctx, path, task.prompt)
    _check_verifier(ctx, path, task.verifier)
    _check_rewards(ctx, (*path, "rewards"), task.rewards)
    _check_breaks(ctx, (*path, "prompt"), task.prompt)
    for index, stop in enumerate(task.stop):
        _check_breaks(ctx, (*path, "stop", index), stop)
        if not stop:
            ctx.error(
                "bad-value", "an empty stop string ends every completion at once", (*path, "stop", index)
            )
    for split in task.splits:
        _check_columns(ctx, (*path, "splits", split, "columns"), task.splits[split].columns)
    if task.fewshot is not None:
        _check_columns(ctx, (*path, POOL, "columns"), task.fewshot.columns)


def _check_prompt(ctx: Context, path: Path, template: str) -> None:
    path = (*path, "prompt")
    doubled = "write literal braces twice: `{{` and `}}`"
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        ctx.error("bad-value", f"the prompt's braces do not match: {error}", path, "`{field}`", doubled)
        return
    for name, spec, conversion in fields:
        shown = (
            "{" + str(name) + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
        )
        if spec or conversion or not str(name).isidentifier():
            ctx.error("bad-value", f"`{shown}` in the prompt names no field", path, "`{field}`", doubled)
            return
    if not fields:
        message = "the prompt reads no field, so every problem would be asked the same"
        ctx.error("bad-value", message, path, "`{field}` somewhere, such as `{question}`")


def _check_breaks(ctx: Context, path: Path, text: str) -> None:
    """Warn of `\\n` that YAML left as two characters, as it does outside double quotes."""
    if (found := _BREAK.search(text)) is not None:
        message = f"`{found[0]}` is two characters here, a backslash and a letter"
        hint = "in double quotes it is the character that is meant"
        ctx.diagnostics.warning("literal-escape", message, ctx.span(*path), hint=hint)


def _check_rewards(ctx: Context, path: Path, rewards: Rewards) -> None:
    """What pays a wrong answer more than a right one teaches the wrong thing; what pays nothing, nothing."""
    if rewards.correct < rewards.format:
        message = f"a right answer earns {rewards.correct:g}, and a wrong one {rewards.format:g}"
        ctx.error("bad-value", message, (*path, "format"), f"at most {rewards.correct:g}")
    elif rewards.correct == rewards.format == 0:
        ctx.error("bad-value", "no answer earns anything", (*path, "correct"), "a number other than 0")


def _check_verifier(ctx: Context, path: Path, verifier: str) -> None:
    path = (*path, "verifier")
    if verifier in VERIFIERS:
        return
    expected = one_of([*VERIFIERS, "python:module:function"])
    if not verifier.startswith(PYTHON_VERIFIER):
        hint = did_you_mean(verifier, VERIFIERS)
        if hint is None and ":" in verifier:
            hint = f"did you mean `{PYTHON_VERIFIER}{verifier}`?"
        ctx.error("bad-choice", f"there is no verifier `{verifier}`", path, expected, hint)
    elif not is_target(verifier.removeprefix(PYTHON_VERIFIER)):
        ctx.error("bad-value", f"`{verifier}` names no Python callable", path, "`python:module:function`")


def _check_columns(ctx: Context, path: Path, columns: dict[str, Column]) -> None:
    for name, column in columns.items():
        if column.regex is None:
            continue
        where = (*path, name, "regex")
        try:
            groups = re.compile(column.regex).groups
        except (re.error, OverflowError, RecursionError) as error:
            ctx.error("bad-value", f"this regular expression cannot be read: {error}", where)
            continue
        if groups == 0:
            message = "the regular expression has no group, and its first group is the value"
            ctx.error("bad-value", message, where, hint="put the part that is wanted in `(...)`")
