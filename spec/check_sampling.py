"""Checks of what is drawn from a model, for an evaluation or as data: how often, and how."""

from __future__ import annotations

from exc.spec.check_tasks import POOL
from exc.spec.context import Context
from exc.spec.nodes import Path
from exc.spec.prompting import Sampling

MAX_SAMPLES = 100_000  # far above any study, far below what a plan could hold


def check_sampling(ctx: Context, path: Path, spec: Sampling) -> None:
    """Check the numbers of the sampling at `path`, and that there is a pool where exemplars are asked for."""
    num = spec.num_samples
    if num > MAX_SAMPLES:
        message = f"{num:,} samples per problem are asked for"
        ctx.error("bad-value", message, (*path, "num_samples"), f"at most {MAX_SAMPLES:,}")
    if spec.temperature == 0 and num > 1:
        message = f"at temperature 0 all {num} samples of a problem are the same"
        ctx.error("bad-value", message, (*path, "num_samples"), "1, or a temperature above 0")
    if spec.top_p > 1:
        ctx.error("bad-value", f"`top_p` is {spec.top_p:g}", (*path, "top_p"), "a number above 0, 1 at most")
    wants_pool = spec.num_fewshot.base or spec.num_fewshot.trained
    if wants_pool and spec.task in ctx.names("tasks") and ctx.node("tasks", spec.task, POOL) is None:
        message = f"exemplars are asked for, but the task `{spec.task}` has no pool of them"
        hint = f"say where they come from: `{POOL}: {{data: NAME}}` in `tasks.{spec.task}`"
        ctx.error("missing-key", message, (*path, "num_fewshot"), hint=hint, key=True)
