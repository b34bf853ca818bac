"""Checks of pre-training that starts from a model: what it needs, what it brings along, and cycles."""

from __future__ import annotations

from collections.abc import Iterator

from exc.spec.check_references import check_reference, references_of, stage_kind, stage_names
from exc.spec.context import Context
from exc.spec.cycles import cycles
from exc.spec.model_errors import is_misspelt, missing_key
from exc.spec.nodes import Mapping, Path, Scalar, plain
from exc.spec.trunks import Pretrain

INHERITED = ("model", "tokenizer")
_HOW = {
    "model": "`{architecture: ...}`, or `from` beside `pretrain`",
    "tokenizer": "`{bpe: ...}`, `{path: ...}` or `{hub: ...}`, or `from` beside `pretrain`",
}
_PRETRAIN = "pretrain"
_ABSOLUTE = "`{trunk: NAME, at: STEP}`, with `recipe` for a model made from it"

_Node = tuple[str, str, int]  # trunk, recipe, index of a stage; of the trunk itself, ("name", "", 0)


def check_starts(ctx: Context) -> None:
    for name in ctx.names("trunks"):
        path: Path = ("trunks", name)
        start = ctx.node(*path, "from")
        if start is None or plain(start) is None:
            _check_from_scratch(ctx, path)
            continue
        if ctx.text(*path, "from", "recipe") == "prev":
            message = "`prev` is the stage before, and a trunk has none"
            ctx.error("bad-value", message, (*path, "from", "recipe"), _ABSOLUTE)
        else:
            check_reference(ctx, (*path, "from"), in_recipe=False)
            _check_absolute(ctx, (*path, "from"))
        _check_inherited(ctx, (*path, _PRETRAIN))
    for recipe in ctx.names("recipes"):
        for index in ctx.indices("recipes", recipe):
            _check_inherited(ctx, ("recipes", recipe, index, _PRETRAIN))
    _check_cycles(ctx)


def _check_from_scratch(ctx: Context, path: Path) -> None:
    run = ctx.node(*path, _PRETRAIN)
    if not isinstance(run, Mapping):
        return
    for key in INHERITED:
        node = run.entries.get(key)
        lacks = node is None or plain(node) is None
        if lacks and not _is_reported(ctx, path, key) and not is_misspelt(Pretrain, (key,), run):
            ctx.diagnostics.add(missing_key(ctx.root, (*path, _PRETRAIN, key), _HOW[key]))
    if "continues" in run.entries:
        message = "a trunk from scratch has nothing to go on from"
        hint = "`from` beside `pretrain` names the model that it starts from"
        ctx.error("continues", message, (*path, _PRETRAIN, "continues"), hint=hint, key=True)


def _is_reported(ctx: Context, path: Path, key: str) -> bool:
    """Whether it is said already why a key is missing: the copy failed, or its source lacks it as well."""
    if path in ctx.validated.failed:
        return True
    source = ctx.validated.sources.get(path, ())
    is_from_scratch = source[:1] == ("trunks",) and ctx.node(*source, "from") is None
    return is_from_scratch and ctx.node(*source, _PRETRAIN, key) is None


def _check_inherited(ctx: Context, path: Path) -> None:
    """What comes with the model must not be given."""
    for key in INHERITED:
        node = ctx.node(*path, key)
        if node is not None and plain(node) is not None:
            message = f"`{key}` comes with the model that this starts from"
            ctx.error("inherited-key", message, (*path, key), hint="leave it out", key=True)


def _check_absolute(ctx: Context, path: Path) -> None:
    """A trunk has no checkpoint of its own that a reference could leave out."""
    node = ctx.node(*path)
    if not isinstance(node, Mapping):
        return
    given = [key for key, value in node.entries.items() if plain(value) is not None]
    if not given:
        return  # reported: it names no model
    lacking = [key for key in ("trunk", "at") if key not in given]
    if lacking:
        what = " and ".join(f"`{key}`" for key in lacking)
        named = f"`{ctx.text(*path, 'recipe')}`" if "recipe" in given else "this reference"
        ctx.diagnostics.error(
            "missing-key",
            f"{named} does not name one model without {what}",
            ctx.owner(*path)
            if not isinstance(node.entries.get("recipe"), Scalar)
            else ctx.span(*path, "recipe"),
            expected=_ABSOLUTE,
            hint="a trunk belongs to no checkpoint, so nothing can be left out",
        )


def _check_cycles(ctx: Context) -> None:
    """Trunks that need themselves, through the models that they start from; each cycle once."""
    starts: list[_Node] = [(trunk, "", 0) for trunk in ctx.names("trunks")]
    for cycle, _ in cycles(starts, lambda node: ((need, None) for need in _needs(ctx, node))):
        _report(ctx, cycle)


def _report(ctx: Context, cycle: list[_Node]) -> None:
    trunks = [node for node in cycle if not node[1]]
    if not trunks:
        return  # stages alone: reported where recipes are checked
    shown = " -> ".join(_shown(ctx, node) for node in cycle)
    ctx.error(
        "reference-cycle",
        f"these models need each other: {shown}",
        ("trunks", trunks[-1][0], "from"),
        key=True,
    )


def _shown(ctx: Context, node: _Node) -> str:
    trunk, recipe, index = node
    return f"{recipe}.{stage_names(ctx, recipe)[index]} on {trunk}" if recipe else f"trunk {trunk}"


def _needs(ctx: Context, node: _Node) -> Iterator[_Node]:
    """What a trunk or a stage on a trunk starts from."""
    trunk, recipe, index = node
    if not recipe:
        path: Path = ("trunks", trunk, "from")
        if isinstance(ctx.node(*path), Mapping):
            yield from _target(ctx, path, None)
        return
    paths = references_of(ctx, (recipe, index))
    starts_elsewhere = any(path[3:] == ("from",) for path in paths)
    if not starts_elsewhere and stage_kind(ctx, (recipe, index)) != "merge":
        yield _before(node)
    for path in paths:
        yield from _target(ctx, path, node)


def _before(node: _Node) -> _Node:
    trunk, recipe, index = node
    return (trunk, recipe, index - 1) if index else (trunk, "", 0)


def _target(ctx: Context, path: Path, reader: _Node | None) -> Iterator[_Node]:
    trunk = ctx.text(*path, "trunk") or (reader[0] if reader is not None else None)
    recipe = ctx.text(*path, "recipe")
    if recipe == "prev":
        if reader is not None:
            yield _before(reader)
        return
    if trunk is None or trunk not in ctx.names("trunks"):
        return
    if recipe is None or recipe == "base":
        yield (trunk, "", 0)
        return
    names = stage_names(ctx, recipe)
    stage = ctx.text(*path, "stage")
    if names and (stage is None or stage in names):
        yield (trunk, recipe, names.index(stage) if stage is not None else len(names) - 1)
