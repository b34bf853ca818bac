"""Checks of how a model is asked, which evaluations and sampled data share."""

from __future__ import annotations

from exc.spec.check_tasks import POOL
from exc.spec.context import Context
from exc.spec.nodes import Path
from exc.spec.prompting import Sampling

MAX_SAMPLES = 100_000  # far above any study, far below what a plan could hold


def check_sampling(ctx: Context, path: Path, asked: Sampling) -> None:
    if asked.num_samples > MAX_SAMPLES:
        message = f"these are {asked.num_samples} samples per problem"
        ctx.error("bad-value", message, (*path, "num_samples"), f"at most {MAX_SAMPLES}")
    if asked.temperature == 0 and asked.num_samples > 1:
        message = f"at temperature 0 all {asked.num_samples} samples of a problem are the same"
        ctx.error("bad-value", message, (*path, "num_samples"), "1, or a temperature above 0")
    if asked.top_p > 1:
        message = f"`top_p` is {asked.top_p:g}"
        ctx.error("bad-value", message, (*path, "top_p"), "a number above 0, 1 at most")
    wants_pool = asked.num_fewshot.base or asked.num_fewshot.trained
    if wants_pool and asked.task in ctx.names("tasks") and ctx.node("tasks", asked.task, POOL) is None:
        message = f"exemplars are asked for, but the task `{asked.task}` has no pool of them"
        hint = f"say where they come from: `{POOL}: {{data: NAME}}` in `tasks.{asked.task}`"
        ctx.error("missing-key", message, (*path, "num_fewshot"), hint=hint, key=True)
