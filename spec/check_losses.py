"""Checks of losses: whether the name of one stands for all that it consists of."""

from __future__ import annotations

from exc.spec.args import check_args, frozen_defaults
from exc.spec.cells import text_of
from exc.spec.context import Context
from exc.spec.diagnostics import Span
from exc.spec.nodes import Path
from exc.spec.paired import Paired
from exc.spec.presets import LOSSES, missing_of
from exc.spec.recipes import Grpo, Stage
from exc.spec.words import listed

_MOST = 4


def check_losses(ctx: Context) -> None:
    reported: set[Span] = set()  # of a stage that others copy, the loss is written once
    for path, stage in ctx.models(Stage):
        body = stage.body
        if isinstance(body, Grpo):
            _check(ctx, (*path, "grpo"), body.loss, body.args, reported)
        elif isinstance(body, Paired):
            _check(ctx, (*path, stage.kind, "rl"), body.rl.loss, body.rl.args, reported)


def _check(ctx: Context, path: Path, loss: str | None, args: dict[str, object], reported: set[Span]) -> None:
    if check_args("grpo", args):
        return  # what is wrong with them is reported
    missing = missing_of(loss, args, frozen_defaults("grpo"))
    if not missing:
        return
    where = (*path, "loss") if loss is not None else (*path, "args", "loss_type")
    span = ctx.span(*where, key=True)
    if span in reported:
        return
    reported.add(span)
    name = loss or next(
        name for name, each in LOSSES.items() if each.fields["loss_type"] == args["loss_type"]
    )
    wanted = listed(
        [
            f"`{field}: {text_of(should)}` (here {text_of(value)})"
            for field, (value, should) in missing.items()
        ],
        _MOST,
    )
    said = f"`loss: {loss}`" if loss is not None else f"`loss_type: {args['loss_type']}`"
    message = f"{said} is not all of {name} ({LOSSES[name].source}), which has {wanted}"
    hint = f"write `loss: {name}` beside `args`, which sets all of it"
    if loss is not None:
        hint = "leave these out of `args`"
    hint += ", or say why: `accept: {partial-loss: REASON}`"
    ctx.diagnostics.warning("partial-loss", message, span, hint=hint)
