"""Smoke runs in words, for PLAN.md: what each stands for, does and costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.plan import SMOKE, Job, Plan
from exc.spec.paired import PAIRED_KINDS, SIDES
from exc.spec.units import format_tokens
from exc.spec.words import plural


def smoke_summary(plan: Plan) -> list[dict[str, str]]:
    """One row for each smoke run, in the order of the plan."""
    return [_row(job) for job in plan.jobs if job.kind == SMOKE]


def _row(job: Job) -> dict[str, str]:
    kind, config = job.config["of"], job.config["config"]
    stands_for = ", ".join(f"{num:,} of `{cls}`" for cls, num in job.config["stands_for"].items())
    samples, tokens = _amounts(kind, config)
    return {
        "id": job.id,
        "stands_for": stands_for,
        "what": _what(kind, config),
        "samples": f"{samples:,}" if samples else "",
        "tokens": f"at most {format_tokens(tokens, digits=3)}" if tokens else "",
    }


def _what(kind: str, config: Mapping[str, Any]) -> str:
    if kind in ("grpo", "rloo"):
        rollout = f"{config['prompts_per_rollout']} x {config['num_generations']}"
        steps = plural(config["updates_per_rollout"], "optimizer step")
        return f"one rollout of {rollout}, {steps}, one save"
    if kind in PAIRED_KINDS:
        rl, sft = (_what(SIDES[side], {"updates_per_rollout": 1, **config[side]}) for side in ("rl", "sft"))
        return f"{rl.removesuffix(', one save')}; {sft}"
    if kind == "sample":
        return f"{config['block_size']} samples of each of the first {config['limit']} problems"
    return f"one optimizer step on {config['batch_size']} sequences, one save"


def _amounts(kind: str, config: Mapping[str, Any]) -> tuple[int, int]:
    """Completions, and tokens at their limit; 0 where there are none, or the length of the data decides."""
    if kind in ("grpo", "rloo"):
        samples = config["prompts_per_rollout"] * config["num_generations"]
        return samples, samples * int(config["args"].get("max_completion_length") or 0)
    if kind in PAIRED_KINDS:
        return _amounts(SIDES["rl"], config["rl"])
    if kind == "sample":
        samples = config["limit"] * config["block_size"]
        return samples, samples * config["max_new_tokens"]
    return 0, config["batch_size"] * config["sequence_length"] if kind == "pretrain" else 0
