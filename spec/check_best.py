"""Checks of references to the best step: what decides must measure it, and should not be what is reported."""

from __future__ import annotations

from exc.spec.context import Context
from exc.spec.diagnostics import did_you_mean, one_of
from exc.spec.experiment import Evaluation
from exc.spec.nodes import Path


def check_best(ctx: Context, path: Path, recipe: str) -> None:
    """Check `step: {best: ...}` of the reference at `path`, to a recipe whose stage keeps steps."""
    where: Path = (*path, "step", "best")
    if ctx.node(*where) is None:
        return
    name = ctx.refer("evaluations", (*where, "evaluation"))
    evaluations = {place[1]: found for place, found in ctx.models(Evaluation)}
    evaluation = evaluations.get(name or "")
    if name is None or evaluation is None:
        return
    if evaluation.contamination is not None:
        message = f"`{name}` looks at data, and chooses no model"
        ctx.error("bad-value", message, (*where, "evaluation"), "an evaluation of models")
        return
    metric, metrics = ctx.text(*where, "metric"), metrics_of(evaluation)
    if metrics and metric is not None and metric not in metrics:
        message = f"`{name}` has no metric `{metric}`"
        near = did_you_mean(metric, metrics)
        ctx.error("unknown-reference", message, (*where, "metric"), one_of(metrics), near)
    if not any(_is_other_view(evaluation, other) for key, other in evaluations.items() if key != name):
        message = f"the best step of `{recipe}` is chosen by `{name}`, which is also what is reported of it"
        ctx.diagnostics.warning(
            "selected-on-test",
            message,
            ctx.span(*where, key=True),
            hint="its number there is biased upwards: choose on another split than the one that is reported",
        )


def metrics_of(evaluation: Evaluation) -> list[str]:
    """What an evaluation gives, by name; nothing of one by the harness, whose folder may have more."""
    if evaluation.pass_at_k is not None:
        return [f"pass@{k}" for k in sorted(set(evaluation.pass_at_k.k))]
    return ["bits_per_byte"] if evaluation.bits_per_byte is not None else []


def _is_other_view(chosen: Evaluation, other: Evaluation) -> bool:
    """Whether another evaluation looks at the same ability on other rows."""
    if chosen.pass_at_k is not None and other.pass_at_k is not None:
        return (
            chosen.pass_at_k.task == other.pass_at_k.task and chosen.pass_at_k.split != other.pass_at_k.split
        )
    return (
        other.pass_at_k is not None
        or other.lm_eval is not None
        or (
            other.bits_per_byte is not None
            and chosen.bits_per_byte is not None
            and chosen.bits_per_byte.data != other.bits_per_byte.data
        )
    )
