"""Checks of trunks: mixtures, learning rates, models."""

from __future__ import annotations

from exc.spec.architectures import check_model
from exc.spec.base import MAX_SEED
from exc.spec.context import Context
from exc.spec.nodes import Mapping, Path, plain
from exc.spec.places import span_node
from exc.spec.recipes import Stage
from exc.spec.trunks import Pretrain, Trunk
from exc.spec.units import format_tokens

# Every byte, so that any text survives the round trip, and two special tokens.
SMALLEST_VOCABULARY = 258


def check_trunks(ctx: Context) -> None:
    """Check all pre-training: that of trunks, and that which is a stage."""
    stages = [
        ("recipes", recipe, i) for recipe in ctx.names("recipes") for i in ctx.indices("recipes", recipe)
    ]
    for owner in (*(("trunks", name) for name in ctx.names("trunks")), *stages):
        path: Path = (*owner, "pretrain")
        for source in ctx.names(*path, "data"):
            ctx.refer("data", (*path, "data", source), key=True)
        if owner[0] == "trunks" and ctx.node(*owner, "from") is None:
            _check_model(ctx, path)
    for trunk_path, trunk in ctx.models(Trunk):
        if trunk.pretrain is not None:
            _check_pretrain(ctx, (*trunk_path, "pretrain"), trunk.pretrain)
    for stage_path, stage in ctx.models(Stage):
        if stage.pretrain is not None:
            _check_pretrain(ctx, (*stage_path, "pretrain"), stage.pretrain)


def _check_model(ctx: Context, path: Path) -> None:
    node = span_node(ctx.root, (*path, "model"))
    length = ctx.node(*path, "sequence_length")
    steps = plain(length) if length is not None else None
    given = plain(node) if isinstance(node, Mapping) else None
    if not isinstance(given, dict):
        return
    for problem in check_model(given, steps if type(steps) is int else None):
        where = (*path, "model", problem.field) if problem.field else (*path, "model")
        is_key = not (problem.on_value and problem.field)
        ctx.error(problem.code, problem.message, where, problem.expected, problem.hint, key=is_key)


def _check_pretrain(ctx: Context, path: Path, pretrain: Pretrain) -> None:
    given = ctx.node(*path, "data")
    if isinstance(given, Mapping) and all(plain(weight) == 0 for weight in given.entries.values()):
        ctx.error("bad-value", "the mixture has no sources", (*path, "data"), "at least one", key=True)
    if pretrain.tokens == 0:
        ctx.error("bad-value", "a run has at least one token", (*path, "tokens"))
    elif pretrain.total_steps:
        _check_schedule(ctx, path, pretrain)
    if pretrain.seed is not None and not 0 <= pretrain.seed <= MAX_SEED:
        ctx.error(
            "bad-value", f"`seed` is {pretrain.seed}", (*path, "seed"), f"a whole number from 0 to {MAX_SEED}"
        )
    for index, beta in enumerate(pretrain.optimizer.betas):
        if not 0 <= beta < 1:
            where = (*path, "optimizer", "betas", index)
            ctx.error("bad-value", f"a beta is {beta:g}", where, "a number from 0 to below 1")
    bpe = pretrain.tokenizer.bpe if pretrain.tokenizer is not None else None
    if bpe is not None and bpe.vocab_size < SMALLEST_VOCABULARY:
        where = (*path, "tokenizer", "bpe", "vocab_size")
        message = "256 bytes and 2 special tokens do not fit into this vocabulary"
        ctx.error("bad-value", message, where, f"at least {SMALLEST_VOCABULARY}")
    size = (pretrain.model or {}).get("vocab_size")
    if bpe is not None and type(size) is int and 0 < size < bpe.vocab_size:
        message = f"`vocab_size` {size} of the model is less than the tokenizer's {bpe.vocab_size}"
        hint = "left out, it is the tokenizer's"
        ctx.error("bad-value", message, (*path, "model", "vocab_size"), f"at least {bpe.vocab_size}", hint)


def _check_schedule(ctx: Context, path: Path, pretrain: Pretrain) -> None:
    schedule, where = pretrain.schedule, (*path, "schedule")
    total = format_tokens(pretrain.tokens)
    if schedule.shape == "wsd" and schedule.decay is None:
        if ctx.node(*where, "decay") is not None:
            return  # which is at fault, and reported
        hint = "it says how many tokens at the end the rate falls over"
        ctx.diagnostics.error(
            "missing-key",
            "a `wsd` schedule lacks `decay`",
            ctx.owner(*where),
            expected="a number of tokens",
            hint=hint,
        )
    elif schedule.shape != "wsd" and schedule.decay is not None:
        message = f"`decay` belongs to `wsd`; `{schedule.shape}` falls over the whole run"
        if schedule.shape == "constant":
            message = "`decay` belongs to `wsd`; `constant` never falls"
        ctx.error("bad-value", message, (*where, "decay"), key=True)
    elif pretrain.continues.schedule == "continue":
        return  # its lengths are not of this run alone, and are checked where the runs before it are known
    elif schedule.warmup > pretrain.tokens:
        ctx.error(
            "bad-value", "the warmup is longer than the run", (*where, "warmup"), f"at most {total} tokens"
        )
    elif (schedule.decay or 0) > pretrain.tokens:
        ctx.error(
            "bad-value", "the decay is longer than the run", (*where, "decay"), f"at most {total} tokens"
        )
    elif schedule.warmup + (schedule.decay or 0) > pretrain.tokens:
        message = f"warmup and decay together are longer than the run of {total} tokens"
        ctx.error("bad-value", message, (*where, "decay"))
