"""Checks of recipes and their stages."""

from __future__ import annotations

from collections.abc import Mapping as JsonMap
from pathlib import PurePosixPath
from typing import Any

from exc.spec.args import check_args
from exc.spec.check_merge import check_merge
from exc.spec.check_paired import check_paired, place_of_length
from exc.spec.check_references import check_cycles, check_reference, references_of, stage_names
from exc.spec.check_tasks import POOL
from exc.spec.context import Context
from exc.spec.diagnostics import Label
from exc.spec.nodes import Mapping, Path, plain
from exc.spec.paired import PAIRED_KINDS, SIDES, Paired
from exc.spec.recipes import Command, OnTask, Stage
from exc.spec.training import Lora

TRAINED = ("sft", "grpo", "rloo", "dpo", "kto")  # whose `args` are TRL's
DEFAULT_SPLIT = "train"


def check_recipes(ctx: Context) -> None:
    for recipe in ctx.names("recipes"):
        _check_names(ctx, recipe)
        for index in ctx.indices("recipes", recipe):
            path: Path = ("recipes", recipe, index)
            for reference in references_of(ctx, (recipe, index)):
                check_reference(ctx, reference, in_recipe=True)
            for kind in TRAINED:
                check_split(ctx, (*path, kind), DEFAULT_SPLIT)
                _check_args(ctx, (*path, kind), kind)
            for paired in PAIRED_KINDS:
                for side, kind in SIDES.items():
                    check_split(ctx, (*path, paired, side), DEFAULT_SPLIT)
                    _check_args(ctx, (*path, paired, side), kind)
    for path, stage in ctx.models(Stage):
        if isinstance(stage.body, OnTask) and stage.body.lora is not None:
            at = (*path, stage.kind)
            _check_lora(ctx, at, stage.body.lora, stage.body.args, (*at, "args"))
        elif isinstance(stage.body, Paired) and stage.body.lora is not None:
            at = (*path, stage.kind)
            _check_lora(ctx, at, stage.body.lora, stage.body.rl.args, (*at, "rl", "args"))
        if stage.merge is not None:
            check_merge(ctx, path, stage, stage.merge)
        if stage.command is not None:
            _check_command(ctx, path, stage.command)
    check_paired(ctx)
    check_cycles(ctx)


def _check_names(ctx: Context, recipe: str) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(stage_names(ctx, recipe)):
        if name in first and name:
            label = Label(ctx.span("recipes", recipe, first[name], "name"), "first given here")
            ctx.diagnostics.error(
                "duplicate-key",
                f"the recipe `{recipe}` has two stages `{name}`",
                ctx.span("recipes", recipe, index, "name"),
                labels=[label],
            )
        first.setdefault(name, index)


def check_split(ctx: Context, path: Path, default: str) -> None:
    """The `task` and `split` of whatever stands at `path`."""
    task = ctx.refer("tasks", (*path, "task"))
    if task is None or ctx.node("tasks", task, "splits") is None:
        return
    written = ctx.text(*path, "split")
    splits = [name for name in ctx.names("tasks", task, "splits") if name != POOL]
    if (written or default) in splits:
        return
    if written is not None:
        ctx.unknown("split", written, (*path, "split"), splits, owner=task)
    elif ctx.node(*path, "split") is None:
        ctx.error(
            "unknown-reference",
            f"the task `{task}` has no split `{default}`, which is read by default",
            (*path, "task"),
            "`split: NAME` with one of " + ", ".join(f"`{name}`" for name in splits),
        )


def _check_args(ctx: Context, path: Path, kind: str) -> None:
    node = ctx.node(*path, "args")
    given = plain(node) if isinstance(node, Mapping) else None
    if not isinstance(given, dict):
        return
    for problem in check_args(kind, given):
        where = (*path, "args", problem.field)
        length = place_of_length(str(path[3]), problem) if path[3] in PAIRED_KINDS else None
        hint = length or problem.hint
        ctx.error(problem.code, problem.message, where, problem.expected, hint, key=not problem.on_value)


def _check_lora(ctx: Context, path: Path, lora: Lora, args: JsonMap[str, Any], at_args: Path) -> None:
    if args.get("sync_ref_model") is True:
        message = "with adapters the reference is the model without them, which does not move"
        where = (*at_args, "sync_ref_model")
        ctx.error("bad-value", message, where, "`lora` or `sync_ref_model`", key=True)
    if lora.target_modules == ():
        ctx.error(
            "bad-value", "no layer gets an adapter", (*path, "lora", "target_modules"), "names of layers"
        )
    elif "lm_head" in lora.target_modules:
        message = (
            "trainers compute with the output layer's own weights: an adapter on it would never be trained"
        )
        ctx.error("bad-value", message, (*path, "lora", "target_modules"), "other layers")


def _check_command(ctx: Context, path: Path, command: Command) -> None:
    if not command.run.strip():
        ctx.error("bad-value", "`run` is empty", (*path, "command", "run"), "a shell line")
    leaves = PurePosixPath(command.leaves)
    if leaves.is_absolute() or ".." in leaves.parts or not command.leaves.strip() or "\0" in command.leaves:
        ctx.error(
            "bad-value",
            f"`{command.leaves}` does not lie in the output",
            (*path, "command", "leaves"),
            "a sub-folder",
        )
