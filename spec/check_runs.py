"""Checks of runs whose checkpoints others published, and of those that a trainer of one's own makes."""

from __future__ import annotations

from exc.spec.base import MAX_SEED
from exc.spec.context import Context
from exc.spec.diagnostics import did_you_mean, one_of
from exc.spec.known_runs import KNOWN_RUNS
from exc.spec.ladders import PatternError, check_pattern
from exc.spec.model_errors import is_misspelt, missing_key
from exc.spec.nodes import Path, plain
from exc.spec.trunks import CommandRun, Trunk

_SOURCES = ("preset", "repo", "repos")
_SINGLE = ("revision", "step", "tokens")  # what is said of a single model


def check_runs(ctx: Context) -> None:
    for path, trunk in ctx.models(Trunk):
        if trunk.hub is not None:
            _check_source(ctx, (*path, "hub"))
        for kind in ("hub", "folder"):
            if ctx.node(*path, kind) is not None:
                _check_names(ctx, (*path, kind))
        if trunk.command is not None:
            _check_command(ctx, (*path, "command"), trunk.command)
        _check_checkpoints(ctx, path, trunk)


def _given(ctx: Context, path: Path, keys: tuple[str, ...]) -> list[str]:
    return [
        key for key in keys if (node := ctx.node(*path, key)) is not None and plain(node) not in (None, [])
    ]


def _check_source(ctx: Context, path: Path) -> None:
    """A preset, one repository, or several."""
    given = _given(ctx, path, tuple(key for key in ctx.names(*path) if key in _SOURCES))
    if not given:
        ctx.diagnostics.error(
            "missing-key", "`hub` names no model", ctx.owner(*path), expected="`repo`, `repos` or `preset`"
        )
    elif len(given) > 1:
        ctx.error("bad-value", f"`{given[0]}` and `{given[1]}` are both given", (*path, given[1]), key=True)
    elif given == ["preset"]:
        name = ctx.text(*path, "preset")
        if name is not None and name not in KNOWN_RUNS:
            ctx.error(
                "unknown-reference",
                f"there is no preset `{name}`",
                (*path, "preset"),
                one_of(KNOWN_RUNS),
                did_you_mean(name, KNOWN_RUNS),
            )
        for key in _given(ctx, path, ("pattern", "tokens_per_step", *_SINGLE)):
            hint = "leave it out, or write `repos` and `pattern` instead of `preset`"
            ctx.error("bad-value", f"`{key}` comes with the preset", (*path, key), hint=hint, key=True)
    elif given == ["repos"] and not _given(ctx, path, ("pattern",)):
        message = "nothing says how the checkpoints in several repositories are named"
        ctx.diagnostics.error("missing-key", message, ctx.owner(*path), expected="`pattern`")


def _check_names(ctx: Context, path: Path) -> None:
    """A pattern that can be followed, and nothing beside it that is said of a single model."""
    pattern = ctx.text(*path, "pattern")
    if pattern is None:
        for key in () if ctx.node(*path, "preset") is not None else _given(ctx, path, ("tokens_per_step",)):
            message = (
                f"`{key}` goes with `pattern`; for a single model, `tokens` says how many tokens it has seen"
            )
            ctx.error("bad-value", message, (*path, key), key=True)
        return
    try:
        check_pattern(pattern)
    except PatternError as error:
        expected = "such as `step{step}` or `stage1-step{step}-tokens{tokens}B`"
        hint = "the fields are {step}, {index}, {tokens} and {any}"
        ctx.error("bad-value", str(error), (*path, "pattern"), expected, hint)
    for key in _given(ctx, path, _SINGLE):
        message = f"`{key}` describes a single model, and `pattern` names many"
        ctx.error("bad-value", message, (*path, key), hint="leave it out", key=True)


def _check_command(ctx: Context, path: Path, run: CommandRun) -> None:
    for key in ("run", "resume", "convert"):
        if (text := getattr(run, key)) is not None and not text.strip():
            ctx.error("bad-value", f"`{key}` is empty", (*path, key), "a shell line")
    if run.step_tokens is not None:
        for key in _given(ctx, path, ("batch_size", "sequence_length")):
            ctx.error("bad-value", f"`tokens_per_step` and `{key}` are both given", (*path, key), key=True)
    elif run.batch_size is None or run.sequence_length is None:
        expected = "`tokens_per_step`, or `batch_size` and `sequence_length`"
        ctx.diagnostics.error(
            "missing-key", "nothing says how many tokens a step has", ctx.owner(*path), expected=expected
        )
    if run.tokens == 0:
        ctx.error("bad-value", "a run has at least one token", (*path, "tokens"))
    if run.seed is not None and not 0 <= run.seed <= MAX_SEED:
        expected = f"a whole number from 0 to {MAX_SEED}"
        ctx.error("bad-value", f"`seed` is {run.seed}", (*path, "seed"), expected)
    _check_leaves(ctx, path, run.leaves)


def _check_leaves(ctx: Context, path: Path, leaves: str) -> None:
    where, expected = (*path, "leaves"), "a folder under EXC_WORK, such as `step{step}`"
    if leaves.count("{step}") != 1 or "{" in leaves.replace("{step}", ""):
        ctx.error("bad-value", "`leaves` holds `{step}` once, and nothing else in braces", where, expected)
    elif leaves.startswith(("/", "~")) or ".." in leaves.split("/"):
        ctx.error("bad-value", f"`{leaves}` leads out of EXC_WORK", where, expected)


def _check_checkpoints(ctx: Context, path: Path, trunk: Trunk) -> None:
    """What goes with a run, what with published checkpoints, and what with a single model."""
    hub, folder = (_given(ctx, (*path, kind), ("preset", "repos", "pattern")) for kind in ("hub", "folder"))
    is_single = trunk.published is not None and not hub and not folder
    if not is_single:
        is_lacking = ctx.node(*path, "checkpoints") is None and not is_misspelt(
            Trunk, ("checkpoints",), ctx.node(*path) or ctx.root
        )
        if is_lacking and path not in ctx.validated.failed:
            ctx.diagnostics.add(missing_key(ctx.root, (*path, "checkpoints"), "a list of steps"))
    if trunk.published is None:
        return
    for key in ("from", "checkpoints") if is_single else ("from",):
        if ctx.node(*path, key) is not None:
            message = f"`{key}` goes with a run, and this model is trained already"
            kind = "hub" if trunk.hub is not None else "folder"
            hint = f"leave it out, or say in `{kind}` how the checkpoints are called: `pattern`"
            if key == "from":
                hint = "leave it out"
            ctx.error("bad-value", message, (*path, key), hint=hint, key=True)
