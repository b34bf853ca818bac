"""Evaluations as PLAN.md lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.plan import Plan
from exc.spec.words import plural

_MEASURING = ("score", "bits_per_byte", "lm_eval")  # kinds of jobs that measure a model


def evaluation_row(plan: Plan, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What an evaluation measures, of what, and of how many models."""
    cells = [cell["job"] for cell in plan.report["cells"] if cell["evaluation"] == name]
    models: int | str = len(cells)
    shown = {plan.job(job).id for job in cells}
    others = sum(
        job.kind in _MEASURING and job.id.endswith(f".{name}.{job.kind}") and job.id not in shown
        for job in plan.jobs
    )
    models = f"{models}, and {others} to choose from" if others else models
    if facts["kind"] == "bits_per_byte":
        of, what = facts["data"], "bits per byte of held-out text"
    elif facts["kind"] == "lm_eval":
        of, what = f"lm-evaluation-harness {facts['harness']}", _harness(facts)
    elif facts["kind"] == "contamination":
        of, what = f"{facts['task']}, {facts['split']}", _sought(plan, name, facts)
        models = "-"
    else:
        of, what = f"{facts['task']}, {facts['split']}", _sampled(facts)
    return {"name": name, "of": of, "what": what, "models": models}


def _sampled(facts: Mapping[str, Any]) -> str:
    shots = facts["num_fewshot"]
    what = (
        f"{', '.join(facts['metrics'])} from {facts['num_samples']} samples "
        f"at temperature {facts['temperature']:g}, top_p {facts['top_p']:g}, "
        f"at most {facts['max_new_tokens']} new tokens; "
        f"{shots['base']}-shot base, {shots['trained']}-shot trained"
    )
    return what + _limited(facts)


def _harness(facts: Mapping[str, Any]) -> str:
    what = ", ".join(name for name in facts["metrics"] if name != "mean")
    if facts["mean"]:
        what += f"; `mean` over {plural(len(facts['mean']), 'task')}"
    shots = facts["num_fewshot"]
    if shots is not None:
        what += f"; {shots['base']}-shot base, {shots['trained']}-shot trained"
    return what + _limited(facts)


def _sought(plan: Plan, name: str, facts: Mapping[str, Any]) -> str:
    sources = [f"`{entry['data']}`" for entry in plan.report["contamination"] if entry["evaluation"] == name]
    where = ", ".join(sources) or "nothing, for nothing is trained on"
    return (
        f"problems that share {plural(facts['ngram'], 'word')} in a row with rows of {where}{_limited(facts)}"
    )


def _limited(facts: Mapping[str, Any]) -> str:
    return f"; the first {facts['limit']:,} problems" if facts["limit"] is not None else ""
