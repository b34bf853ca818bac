"""Checks of stages with two sides: what each side may say, and what of it is read."""

from __future__ import annotations

import math

from exc.spec.args import ArgProblem, frozen_defaults
from exc.spec.cells import text_of
from exc.spec.context import Context
from exc.spec.nodes import Path
from exc.spec.paired import SIDES, Combined, Interleave, Paired, Parallel
from exc.spec.recipes import Stage

# Fields that say how the one model is computed, which both sides train. What `rl` says holds for both.
OF_THE_MODEL = (
    *("bf16", "fp16", "tf32", "activation_checkpointing", "activation_checkpointing_kwargs"),
    *("gradient_checkpointing", "gradient_checkpointing_kwargs", "use_liger_kernel", "liger_kernel_config"),
    *("torch_compile", "torch_compile_backend", "torch_compile_mode"),
)
# Fields of the optimizer, which in a `combined` stage is rl's.
OF_THE_OPTIMIZER = (
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio"),
    *("weight_decay", "max_grad_norm", "adam_beta1", "adam_beta2", "adam_epsilon"),
    *("optim", "optim_args", "optim_target_modules"),
)
_LEAVE_OUT = "`{field}: null` leaves out what `like` copies"


def check_paired(ctx: Context) -> None:
    for path, stage in ctx.models(Stage):
        body = stage.body
        if not isinstance(body, Paired):
            continue
        at = (*path, stage.kind)
        if not isinstance(body, Interleave):
            _check_weights(ctx, (*at, "weights"), body)
        if isinstance(body, Parallel):
            _check_length(ctx, at, body)
        if body.rl.updates_per_rollout != 1:
            name = f"`{path[1]}.{stage.name}`"
            message = f"{name} makes one optimizer step on each rollout: its sides move together"
            where = (*at, "rl", "updates_per_rollout")
            hint = "where `like` copies another number, write `updates_per_rollout: 1` beside it"
            ctx.error("bad-value", message, where, "1", hint)
        _check_shared(ctx, at, body)
        _check_optimizers(ctx, at, stage.kind, body)


def place_of_length(kind: str, problem: ArgProblem) -> str | None:
    """What to write in place of a field of `args` that says how long a side trains; None for other fields."""
    if problem.field not in ("max_steps", "num_train_epochs", "rollouts"):
        return None
    return f"write `{'rounds' if kind == 'interleave' else 'max_steps'}` beside `rl` and `sft`"


def _check_weights(ctx: Context, path: Path, body: Parallel | Combined) -> None:
    if min(body.weights) < 0:
        ctx.error("bad-value", "a weight is below 0", path, "two numbers from 0", key=True)
    elif isinstance(body, Combined) and not any(body.weights):
        ctx.error("bad-value", "the weights are all 0", path, key=True)
    elif isinstance(body, Parallel) and not math.isclose(sum(body.weights), 1.0, abs_tol=1e-9):
        message = f"the weights of a mean must sum to 1, and these sum to {sum(body.weights):g}"
        ctx.error("bad-value", message, path, "such as [0.5, 0.5]: rl, sft", key=True)


def _check_length(ctx: Context, path: Path, body: Parallel) -> None:
    """The last step is published, so it must be one that ends in a mean."""
    if body.max_steps % body.sync_every == 0:
        return
    below = body.max_steps // body.sync_every * body.sync_every
    near = f"{below} or {below + body.sync_every}" if below else str(body.sync_every)
    message = f"`max_steps` {body.max_steps} is no multiple of `sync_every` {body.sync_every}"
    message += ": the last step is no mean"
    ctx.error("between-means", message, (*path, "max_steps"), near)


def _check_shared(ctx: Context, path: Path, body: Paired) -> None:
    rl, sft = ({**frozen_defaults(kind), **getattr(body, side).args} for side, kind in SIDES.items())
    for field in OF_THE_MODEL:
        if field not in rl or field not in sft or rl[field] == sft[field]:
            continue
        side = "sft" if field in body.sft.args else "rl"
        message = f"`{field}` is a setting of the model, which both sides train: {text_of(rl[field])} in `rl`"
        message += f" and {text_of(sft[field])} in `sft`"
        ctx.error("bad-value", message, (*path, side, "args", field), "the same in both", key=True)
    if rl.get("fp16") is True:
        message = "a stage with two sides has no scaler of gradients for each, which fp16 needs"
        ctx.error("bad-value", message, (*path, "rl", "args", "fp16"), "`bf16: true`, or neither", key=True)
    if body.sft.args.get("neftune_noise_alpha") is not None:
        message = "noise on the embeddings is switched on for a whole trainer, and `sft` is none here"
        hint = _LEAVE_OUT.format(field="neftune_noise_alpha")
        ctx.error("bad-value", message, (*path, "sft", "args", "neftune_noise_alpha"), hint=hint, key=True)


def _check_optimizers(ctx: Context, path: Path, kind: str, body: Paired) -> None:
    for side in SIDES:
        optim = getattr(body, side).args.get("optim")
        if isinstance(optim, str) and ("lomo" in optim or "layerwise" in optim):
            message = f"`{optim}` moves the weights while gradients are taken"
            message += ", and the other side needs them as they were"
            ctx.error("bad-value", message, (*path, side, "args", "optim"), "such as `adamw_torch`")
    if not isinstance(body, Combined):
        return
    for field in OF_THE_OPTIMIZER:
        if field in body.sft.args:
            message = f"a {kind} stage has one optimizer, that of `rl`: `{field}` of `sft` would not be read"
            hint = _LEAVE_OUT.format(field=field)
            ctx.error("bad-value", message, (*path, "sft", "args", field), hint=hint, key=True)
