"""Checks of a merge: each method has its own parameters and its own number of models."""

from __future__ import annotations

from exc.spec.context import Context
from exc.spec.nodes import Path, plain
from exc.spec.recipes import Merge, Stage
from exc.spec.words import listed, plural

# Method -> the parameters that it takes, and those of them that it cannot do without.
PARAMETERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "linear": (frozenset({"weights", "normalize"}), frozenset()),
    "slerp": (frozenset({"t"}), frozenset({"t"})),
    "ties": (frozenset({"base", "weights", "density", "normalize"}), frozenset({"base", "density"})),
    "task_arithmetic": (frozenset({"base", "weights", "normalize"}), frozenset({"base", "weights"})),
}
_EXPECTED = {
    "t": "a number from 0, the first model, to 1, the second",
    "base": "the model that differences are taken from, such as `base`",
    "density": "the share of each difference that is kept, such as 0.2",
    "weights": "how much of each difference is added, such as [0.5, 0.5]",
}
_NOTHING = 1e-8  # a sum of weights below which mergekit divides by 1
# Method -> the least and the most models (None: any number).
_NUM_MODELS: dict[str, tuple[int, int | None]] = {
    "linear": (2, None),
    "slerp": (2, 2),
    "ties": (2, None),
    "task_arithmetic": (1, None),
}


def check_merge(ctx: Context, path: Path, stage: Stage, merge: Merge) -> None:
    """Report what a merge cannot be: its models, its parameters, its weights."""
    if stage.from_ is not None:
        message = "a merge starts from what `of` lists, not `from`"
        ctx.error(
            "bad-value",
            message,
            (*path, "from"),
            hint="name it under `of` if it belongs to the merge",
            key=True,
        )
    path = (*path, "merge")
    if ctx.text(*path, "method") not in (None, merge.method):
        return  # nobody knows which method was meant; that is reported
    _check_models(ctx, path, merge)
    _check_parameters(ctx, path, merge)
    _check_lists(ctx, path, merge)


def _check_models(ctx: Context, path: Path, merge: Merge) -> None:
    least, most = _NUM_MODELS[merge.method]
    num = len(merge.of)
    if num < least or (most is not None and num > most):
        expected = "two models" if most is not None else "two models or more"
        message = f"`of` lists {plural(num, 'model')} for {merge.method}"
        ctx.error("bad-value", message, (*path, "of"), expected, key=True)
    for index, model in enumerate(merge.of):
        where = (*path, "of", index)
        if model in merge.of[:index]:
            has_replicates = model.recipe not in (None, "base", "prev") and model.replicate is None
            numbered = f"of several replicates each has a number: `{{recipe: {model.recipe}, replicate: 1}}`"
            hint = numbered if has_replicates else None
            message = f"`{model}` is merged with itself"
            ctx.error("bad-value", message, where, "another model", hint, key=True)
        elif model == merge.base:
            ctx.error("bad-value", f"`{model}` is the base, from which it does not differ", where, key=True)


def _check_parameters(ctx: Context, path: Path, merge: Merge) -> None:
    taken, needed = PARAMETERS[merge.method]
    for name in ("base", "weights", "t", "density", "normalize"):
        node = ctx.node(*path, name)
        is_given = node is not None and plain(node) is not None
        if is_given and name not in taken:
            others = [method for method, (theirs, _) in PARAMETERS.items() if name in theirs]
            message = f"{merge.method} has no `{name}`"
            ctx.error(
                "bad-value", message, (*path, name), hint=f"it belongs to {listed(others, 4)}", key=True
            )
        elif not is_given and name in needed:
            where = (*path, "method") if ctx.node(*path, "method") is not None else path
            ctx.error("missing-key", f"{merge.method} needs `{name}`", where, _EXPECTED[name])


def _check_lists(ctx: Context, path: Path, merge: Merge) -> None:
    num = len(merge.of)
    for name in ("weights", "density"):
        values = getattr(merge, name)
        if isinstance(values, tuple) and len(values) != num:
            given = (
                plural(len(values), "weight")
                if name == "weights"
                else plural(len(values), "density", "densities")
            )
            message = f"{given} for {num} models"
            expected = f"{num} " + ("weights" if name == "weights" else "numbers, or one for all")
            ctx.error("bad-value", message, (*path, name), expected, key=True)
        elif isinstance(values, tuple) and not any(values):
            what = "weights" if name == "weights" else "densities"
            ctx.error("bad-value", f"the {what} are all 0", (*path, name), key=True)
    weights = merge.weights or ()
    if merge.normalize and len(weights) == num and any(weights) and abs(sum(weights)) < _NOTHING:
        message = "the weights sum to 0, by which `normalize` would divide"
        ctx.error("bad-value", message, (*path, "weights"), key=True)
    if merge.density == 0:
        ctx.error("bad-value", "`density: 0` keeps nothing", (*path, "density"), "a share above 0")
