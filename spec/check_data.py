"""Checks of data that is made from other data, or sampled from a model: names, conditions, numbers."""

from __future__ import annotations

from exc.spec.check_recipes import check_split
from exc.spec.check_references import check_reference
from exc.spec.check_sampling import check_sampling
from exc.spec.context import Context
from exc.spec.data import RATED, Condition, Data, Samples
from exc.spec.nodes import Path
from exc.spec.numbers import MAX_INT


def check_data(ctx: Context) -> None:
    for name in ctx.names("data"):
        path: Path = ("data", name)
        ctx.refer("data", (*path, "data"))
        check_split(ctx, (*path, "samples"), "train")
        check_reference(ctx, (*path, "samples", "from"), in_recipe=True)
    for path, data in ctx.models(Data):
        for column, condition in data.where.items():
            _check_condition(ctx, (*path, "where", column), condition)
        if data.samples is not None:
            _check_samples(ctx, (*path, "samples"), data.samples)


def _check_condition(ctx: Context, path: Path, condition: Condition) -> None:
    lists = {"is": condition.is_, "not": condition.not_}
    if not ctx.names(*path):
        expected = "a value, a list of values, or any of `is`, `not`, `min`, `max`"
        ctx.error("bad-value", f"nothing is asked of `{path[-1]}`", path, expected, key=True)
    for key, values in lists.items():
        if values is None:
            continue
        if not values:
            ctx.error("bad-value", "no value is given", (*path, key), "at least one")
        for index, value in enumerate(values):
            if isinstance(value, int) and abs(value) > MAX_INT:
                ctx.error("bad-value", "this number is too large to be compared", (*path, key, index))
    if condition.is_ is not None and condition.not_ is not None:
        both = [value for value in condition.is_ if repr(value) in map(repr, condition.not_)]
        if both:
            message = f"`{both[0]}` is both asked for and ruled out"
            ctx.error("bad-value", message, (*path, "not"), key=True)
    if condition.min is not None and condition.max is not None and condition.min > condition.max:
        message = f"no number is at least {condition.min:g} and at most {condition.max:g}"
        ctx.error("bad-value", message, (*path, "max"), f"at least {condition.min:g}")


def _check_samples(ctx: Context, path: Path, samples: Samples) -> None:
    check_sampling(ctx, path, samples)
    split: Path = ("tasks", samples.task, "splits", samples.split, "columns")
    for name in ctx.names(*split):
        if name in RATED and name != "demonstrations":
            message = f"`{path[1]}` has a column `{name}` of its own beside the fields of this split"
            ctx.error("reserved-name", message, (*split, name), "another name", key=True)
