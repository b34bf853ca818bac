"""Checks of evaluations that look for problems in training data, and of generators of problems."""

from __future__ import annotations

from string import Formatter

from exc.spec.context import Context
from exc.spec.data import ReasoningGym, Task
from exc.spec.diagnostics import did_you_mean, one_of
from exc.spec.harness import GYM_VERSION, generators
from exc.spec.measures import Contamination
from exc.spec.nodes import Path

_OF_MODELS = ("at", "step", "replicates")  # what a selector says of models, and data has not


def check_sought(ctx: Context, path: Path, spec: Contamination) -> None:
    """What is looked for must be fields of the task's rows, and where, what trunks and recipes train on."""
    for key in _OF_MODELS:
        if key in ctx.names(*path, "on"):
            message = f"`{key}` selects models, and this looks at what all of them are trained on"
            ctx.error("bad-value", message, (*path, "on", key), "`trunks` or `recipes`", key=True)
    tasks = {place[1]: task for place, task in ctx.models(Task)}
    task = tasks.get(spec.task)
    if task is None or spec.split not in task.splits:
        return
    known = _fields(task, spec.split)
    for index, name in enumerate(spec.fields or ()):
        if name not in known:
            message = f"rows of `{spec.task}` have no field `{name}`"
            where = (*path, "contamination", "fields", index)
            ctx.error("unknown-reference", message, where, one_of(known), did_you_mean(name, known))


def check_generator(ctx: Context, path: Path, spec: ReasoningGym) -> None:
    """The generator and the names of its settings; whether their values fit, it says itself."""
    known = generators()
    if spec.name not in known:
        message = f"reasoning-gym {GYM_VERSION} has no generator `{spec.name}`"
        ctx.error("unknown-generator", message, (*path, "name"), hint=did_you_mean(spec.name, known))
        return
    for key in spec.config:
        if key not in known[spec.name]:
            own = {"size", "seed"} & {key}
            hint = f"`{key}` stands beside `config`" if own else did_you_mean(key, known[spec.name])
            message = f"`{spec.name}` of reasoning-gym has no setting `{key}`"
            where = (*path, "config", key)
            ctx.error("unknown-generator", message, where, one_of(known[spec.name]), hint, key=True)


def _fields(task: Task, split: str) -> list[str]:
    try:
        asked = [name for _, name, _, _ in Formatter().parse(task.prompt) if name]
    except ValueError:  # braces that do not match, which is reported
        asked = []
    return list(dict.fromkeys([*asked, "answer", *task.splits[split].columns]))
