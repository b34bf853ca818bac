"""Checks of mixtures: weights that look like shares, and do not make a whole."""

from __future__ import annotations

from exc.spec.context import Context
from exc.spec.nodes import Path
from exc.spec.recipes import PretrainStage
from exc.spec.trunks import Trunk

# What shares add up to, and how far from it weights are still taken for shares of which a part was forgotten.
_WHOLES = (1.0, 100.0)
_NEAR = 0.1
_EXACT = 1e-6  # three thirds, written with some digits


def check_mixtures(ctx: Context) -> None:
    for path, trunk in ctx.models(Trunk):
        if trunk.pretrain is not None:
            _check(ctx, (*path, "pretrain", "data"), trunk.pretrain.data)
    for path, stage in ctx.models(PretrainStage):
        _check(ctx, (*path, "data"), stage.data)


def _check(ctx: Context, path: Path, weights: dict[str, float]) -> None:
    total = sum(weights.values())
    whole = next((each for each in _WHOLES if abs(total - each) <= _NEAR * each), None)
    if whole is None or len(weights) < 3 or abs(total - whole) <= _EXACT * whole:
        return
    if whole == 1 and any(weight >= 1 for weight in weights.values()):
        return
    name, weight = max(weights.items(), key=lambda item: item[1])
    message = (
        f"the weights add up to {total:g}, not {whole:g}: they are relative, so that `{name}: {weight:g}` is "
        f"{weight / total:.1%} of the tokens"
    )
    hint = "if they are shares, one is missing or wrong; if not, say so: `accept: {uneven-mixture: REASON}`"
    ctx.diagnostics.warning("uneven-mixture", message, ctx.span(*path, key=True), hint=hint)
