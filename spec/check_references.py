"""Checks of model references, wherever they stand, and of cycles among recipes."""

from __future__ import annotations

from collections.abc import Iterator

from exc.spec.check_best import check_best
from exc.spec.context import Context
from exc.spec.cycles import cycles
from exc.spec.diagnostics import one_of
from exc.spec.nodes import Mapping, Path, Scalar, plain
from exc.spec.paired import PAIRED_KINDS
from exc.spec.recipes import STAGE_KINDS

OWN = ("base", "prev")  # models that every reader has of its own
# Kinds that keep steps before their last.
_STEPPED = ("sft", "grpo", "rloo", "dpo", "kto", *PAIRED_KINDS, "pretrain")

Place = tuple[str, int]  # a recipe and the index of a stage in it


def check_reference(ctx: Context, path: Path, *, in_recipe: bool) -> None:
    """Check one model reference; `prev` means something in a recipe alone."""
    node = ctx.node(*path)
    if not isinstance(node, Mapping):
        return
    if not any(plain(value) is not None for value in node.entries.values()):
        ctx.diagnostics.error(
            "missing-key", "this reference names no model", ctx.owner(*path), expected="`recipe` or `trunk`"
        )
        return
    ctx.refer("trunks", (*path, "trunk"))
    recipe = ctx.text(*path, "recipe")
    if recipe is None:
        hint = "write whose it is: `recipe: NAME`"
        hint += f", of this recipe `recipe: {path[1]}`" if path[0] == "recipes" else ""
        _check_unowned(ctx, path, node, "needs `recipe`", hint)
    elif recipe in OWN:
        if recipe == "prev" and not in_recipe:
            ctx.error(
                "bad-value",
                "`prev` is the stage before, and there is none here",
                (*path, "recipe"),
                "`base` or a recipe",
            )
        _check_unowned(ctx, path, node, f"does not go with `{recipe}`")
    elif ctx.known("recipes", recipe, (*path, "recipe"), OWN if in_recipe else ("base",)):
        _check_stage(ctx, path, recipe)


def _check_unowned(ctx: Context, path: Path, node: Mapping, why: str, hint: str | None = None) -> None:
    """`stage` and `step` are those of a recipe."""
    given = [key for key in ("stage", "step") if key in node.entries and plain(node.entries[key]) is not None]
    for key in given[:1] if hint is not None else given:
        ctx.error("bad-value", f"`{key}` {why}", (*path, key), hint=hint, key=True)


def _check_stage(ctx: Context, path: Path, recipe: str) -> None:
    names = stage_names(ctx, recipe)
    stage = ctx.text(*path, "stage")
    if stage is not None and stage not in names:
        rounds = [
            name for name, repeated in zip(names, _repeated(ctx, recipe), strict=True) if repeated == stage
        ]
        if rounds:
            message = f"`{stage}` is repeated in `{recipe}`, so it is {len(rounds)} stages"
            ctx.error("unknown-reference", message, (*path, "stage"), one_of(rounds))
            return
        ctx.unknown("stage", stage, (*path, "stage"), names, owner=recipe)
        return
    index = names.index(stage) if stage is not None else len(names) - 1
    step = ctx.node(*path, "step")
    if index < 0 or step is None or plain(step) in (None, "final"):
        return
    kind = stage_kind(ctx, (recipe, index))
    if kind is not None and kind not in _STEPPED:
        message = f"`{recipe}.{names[index]}` is a {kind} stage, which has no steps"
        ctx.error("bad-value", message, (*path, "step"))
        return
    check_best(ctx, path, recipe)


def stage_names(ctx: Context, recipe: str) -> list[str]:
    """The names of a recipe's stages, in order; an unreadable stage is called ""."""
    return [ctx.text("recipes", recipe, index, "name") or "" for index in ctx.indices("recipes", recipe)]


def _repeated(ctx: Context, recipe: str) -> list[str | None]:
    """For each stage of a recipe, its name without the number of a round, if it has one."""
    return [ctx.text("recipes", recipe, index, "repeats") for index in ctx.indices("recipes", recipe)]


def stage_kind(ctx: Context, place: Place) -> str | None:
    keys = ctx.names("recipes", *place)
    return next((kind for kind in STAGE_KINDS if kind in keys), None)


def references_of(ctx: Context, place: Place) -> list[Path]:
    """The paths of the model references that are written in a stage."""
    path: Path = ("recipes", *place)
    found: list[Path] = [(*path, "from")] if ctx.node(*path, "from") is not None else []
    if ctx.node(*path, "merge", "base") is not None:
        found.append((*path, "merge", "base"))
    return found + [(*path, "merge", "of", index) for index in ctx.indices(*path, "merge", "of")]


def check_cycles(ctx: Context) -> None:
    """Stages that need each other, each cycle once, at the reference that closes it."""
    starts = [(recipe, index) for recipe in ctx.names("recipes") for index in ctx.indices("recipes", recipe)]
    for cycle, path in cycles(starts, lambda place: _needs(ctx, place)):
        _report(ctx, cycle, path)


def _report(ctx: Context, cycle: list[Place], path: Path | None) -> None:
    shown = " -> ".join(f"{recipe}.{stage_names(ctx, recipe)[index]}" for recipe, index in cycle)
    where = path or ("recipes", *cycle[0], "name")
    if isinstance(ctx.node(*where), Mapping) and isinstance(ctx.node(*where, "recipe"), Scalar):
        where = (*where, "recipe")
    ctx.error("reference-cycle", f"these stages need each other: {shown}", where)


def _needs(ctx: Context, place: Place) -> Iterator[tuple[Place, Path | None]]:
    """The stages that one reads, with the reference that says so; None: it is the stage before."""
    recipe, index = place
    paths = references_of(ctx, place)
    if not any(path[3:] == ("from",) for path in paths) and stage_kind(ctx, place) != "merge" and index > 0:
        yield (recipe, index - 1), None
    for path in paths:
        name = ctx.text(*path, "recipe")
        if name == "prev" and index > 0:
            yield (recipe, index - 1), path
        elif name is not None and name not in OWN:
            names = stage_names(ctx, name)
            stage = ctx.text(*path, "stage")
            if names and (stage is None or stage in names):
                yield (name, names.index(stage) if stage is not None else len(names) - 1), path
