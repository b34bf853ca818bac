"""Checks of what is branched, repeated, measured, compared and accepted."""

from __future__ import annotations

from exc.spec.args import trl_fields
from exc.spec.base import MAX_SEED
from exc.spec.check_measures import check_sought
from exc.spec.check_recipes import check_split
from exc.spec.check_references import check_reference, stage_names
from exc.spec.check_sampling import check_sampling
from exc.spec.codes import CODES
from exc.spec.context import Context
from exc.spec.diagnostics import did_you_mean, nearest
from exc.spec.expected import keys_of
from exc.spec.experiment import BitsPerByte, Contrast, Evaluation, PassAtK, Replicates
from exc.spec.measures import LmEval
from exc.spec.nodes import Path, Scalar, plain
from exc.spec.paired import Combined, Interleave, Parallel
from exc.spec.recipes import Command, Dpo, Grpo, Kto, Merge, Rloo, Sft
from exc.spec.trunks import Pretrain

# The findings that are warnings: what `accept` can silence.
WARNINGS = (
    *("best-of-seeds", "empty-selection", "few-replicates", "latex-escape", "literal-escape", "mid-decay"),
    *("no-stop", "other-snapshot", "partial-loss", "selected-on-test", "train-on-test", "uneven-contrast"),
    *("uneven-mixture", "unlike-lengths", "unlike-protocols", "unused"),
)

MAX_REPLICATES = 10_000  # far above any study, far below what a plan could hold


def check_selection(ctx: Context) -> None:
    for index in ctx.indices("branches"):
        _check_listed(ctx, ("branches", index), ())
    for index in ctx.indices("replicates"):
        _check_listed(ctx, ("replicates", index, "on"), ())
    for name in ctx.names("evaluations"):
        path: Path = ("evaluations", name)
        _check_listed(ctx, (*path, "on"), ("base",))
        check_split(ctx, (*path, "pass_at_k"), "test")
        check_split(ctx, (*path, "contamination"), "test")
        ctx.refer("data", (*path, "bits_per_byte", "data"))
    for where, entry in ctx.models(Replicates):
        _check_replicates(ctx, where, entry)
    for where, evaluation in ctx.models(Evaluation):
        if evaluation.pass_at_k is not None:
            _check_pass_at_k(ctx, (*where, "pass_at_k"), evaluation.pass_at_k)
        if evaluation.contamination is not None:
            check_sought(ctx, where, evaluation.contamination)
    _check_report(ctx)
    _check_accept(ctx)


def _check_listed(ctx: Context, path: Path, extra: tuple[str, ...]) -> None:
    """The names in a selector."""
    for section in ("trunks", "recipes"):
        for index in ctx.indices(*path, section):
            ctx.refer(section, (*path, section, index), extra if section == "recipes" else ())


def _check_replicates(ctx: Context, path: Path, entry: Replicates) -> None:
    if not {"num", "seeds"} & set(ctx.names(*path)):
        message = "this says neither how many replicates nor which seeds"
        ctx.diagnostics.error("missing-key", message, ctx.owner(*path), expected="`num` or `seeds`")
        return
    if entry.num is not None and entry.num > MAX_REPLICATES:
        ctx.error(
            "bad-value",
            f"{entry.num:,} replicates are asked for",
            (*path, "num"),
            f"at most {MAX_REPLICATES:,}",
        )
    if entry.seeds is None:
        return
    where = (*path, "seeds")
    if not entry.seeds:
        ctx.error("bad-value", "`seeds` is empty", where, "one seed per replicate", key=True)
    elif entry.num is not None and entry.num != len(entry.seeds):
        message = f"{len(entry.seeds)} seeds for {entry.num} replicates"
        ctx.error("bad-value", message, where, f"{entry.num} seeds", "`num` can be left out", key=True)
    for index, seed in enumerate(entry.seeds):
        if seed in entry.seeds[:index]:
            message = f"the seed {seed} is given twice: equal replicates are one"
            ctx.error("bad-value", message, (*where, index))
        elif not 0 <= seed <= MAX_SEED:
            ctx.error(
                "bad-value", f"a seed is {seed}", (*where, index), f"a whole number from 0 to {MAX_SEED}"
            )


def _check_pass_at_k(ctx: Context, path: Path, spec: PassAtK) -> None:
    for index, k in enumerate(spec.k):
        if k > spec.num_samples:
            message = f"pass@{k} cannot be estimated from {spec.num_samples} samples"
            ctx.error("k-above-samples", message, (*path, "k", index), f"at most {spec.num_samples}")
        elif k in spec.k[:index]:
            ctx.error("bad-value", f"the k {k} is given twice", (*path, "k", index))
    check_sampling(ctx, path, spec)


def _check_report(ctx: Context) -> None:
    for index in ctx.indices("report", "contrasts"):
        for side in ("a", "b"):
            path: Path = ("report", "contrasts", index, side)
            check_reference(ctx, path, in_recipe=False)
            _check_measured(ctx, path)
    for index in ctx.indices("report", "figures"):
        _check_listed(ctx, ("report", "figures", index, "on"), ("base",))
    for path, contrast in ctx.models(Contrast):
        if contrast.a == contrast.b:
            ctx.error(
                "bad-value", "this compares a model with itself", (*path, "b"), "another model", key=True
            )
        for place, name in enumerate(contrast.varies):
            if name not in _settings():
                near = did_you_mean(name, _settings())
                message = f"no evaluation and no stage has a setting `{name}`"
                ctx.error("unknown-reference", message, (*path, "varies", place), hint=near)
    node = ctx.node("report", "confidence")
    if isinstance(node, Scalar) and node.value in (0, 1) and not isinstance(node.value, bool):
        ctx.error(
            "bad-value",
            f"`confidence` is {node.raw}",
            ("report", "confidence"),
            "a number between 0 and 1, such as 0.95",
        )


def _check_measured(ctx: Context, path: Path) -> None:
    """Of a recipe, only what its last stage leaves is measured, and so can be compared."""
    recipe, stage = ctx.text(*path, "recipe"), ctx.text(*path, "stage")
    names = stage_names(ctx, recipe) if recipe is not None else []
    if stage in names[:-1]:
        message = f"`{recipe}.{stage}` is not the recipe's last stage, and only that is measured"
        hint = "a recipe that ends with it shares its job, and is measured"
        ctx.error("bad-value", message, (*path, "stage"), f"`{names[-1]}`, or no `stage`", hint)


def _settings() -> list[str]:
    """What two models of a contrast may differ in: settings of evaluations, of stages, and of `args`."""
    measured = (PassAtK, BitsPerByte, LmEval)
    trained = (Sft, Grpo, Rloo, Dpo, Kto, Parallel, Combined, Interleave)
    models = (*measured, *trained, Merge, Command, Pretrain)
    own = [key for model in models for key in keys_of(model) if key != "args"]
    fields = (field for kind in ("sft", "grpo", "rloo", "dpo", "kto") for field in trl_fields(kind))
    return list(dict.fromkeys([*own, *fields]))


def _check_accept(ctx: Context) -> None:
    for code in ctx.names("accept"):
        path = ("accept", code)
        if code in WARNINGS:
            node = ctx.node(*path)
            if node is not None and isinstance(text := plain(node), str) and not text.strip():
                ctx.error(
                    "bad-value",
                    f"the reason to accept `{code}` is empty",
                    path,
                    "a reason, which the report prints",
                )
        elif code in CODES:
            ctx.error("bad-value", f"`{code}` is an error, which cannot be accepted", path, key=True)
        else:
            expected = "one of " + ", ".join(f"`{warning}`" for warning in WARNINGS)
            near = did_you_mean(code, WARNINGS) if nearest(code, WARNINGS) else None
            ctx.error("bad-choice", f"there is no finding `{code}`", path, expected, near, key=True)
