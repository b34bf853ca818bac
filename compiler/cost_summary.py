"""What a plan costs, for PLAN.md: totals, hours of GPUs, what sharing saves, the longest chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.estimate import COUNTED_KINDS
from exc.compiler.plan import Plan
from exc.spec.units import format_bytes, format_tokens
from exc.spec.words import listed, plural

_COSTS = (
    ("jobs", "jobs"),
    ("flops", "operations"),
    ("samples", "samples"),
    ("tokens", "tokens"),
    ("disk_bytes", "disk"),
)


def cost_summary(plan: Plan) -> dict[str, Any]:
    """The rows of the table, whether one is of GPU-hours, how many jobs cannot be counted, and the chain."""
    hours = _gpu_hours(plan)
    return {
        "cost": [*_totals(plan), *hours],
        "gpu_hours": bool(hours),
        "sizeless": _sizeless(plan),
        "bare": _bare(plan),
        "chain": _chain(plan),
    }


def _totals(plan: Plan) -> list[dict[str, str]]:
    """Totals of this plan, beside those if every name had been work of its own."""
    totals: dict[str, float] = dict.fromkeys((key for key, _ in _COSTS), 0)
    shared = dict(totals)
    for job in plan.jobs:
        for key, value in (("jobs", 1), *job.estimate.items()):
            totals[key] += value
            shared[key] += value * len(job.aliases)
    rows = []
    for key, what in _COSTS:
        planned = totals[key]
        again = (
            {job.id: job.estimate.get(key, 0.0) for job in plan.jobs} if key in ("flops", "tokens") else {}
        )
        naive = planned + shared[key] + _unsegmented(plan, again)
        saved = f"{1 - planned / naive:.0%}" if naive else "-"
        rows.append(
            {"what": what, "planned": _amount(key, planned), "naive": _amount(key, naive), "saved": saved}
        )
    return rows


def _gpu_hours(plan: Plan) -> list[dict[str, str]]:
    """The operations in hours of a GPU, of the jobs for which the profile says its speed."""
    timed = [job for job in plan.jobs if "gpu_speed" in job.resources]
    hours = {job.id: job.estimate.get("flops", 0.0) / job.resources["gpu_speed"] / 3600 for job in timed}
    planned = sum(hours.values())
    if not planned:
        return []
    repeated = _unsegmented(plan, hours) + sum(hours[job.id] * len(job.aliases) for job in timed)
    naive = planned + repeated
    saved = f"{repeated / naive:.0%}"
    return [{"what": "GPU-hours", "planned": f"{planned:,.0f}", "naive": f"{naive:,.0f}", "saved": saved}]


def _sizeless(plan: Plan) -> str:
    """The jobs whose operations would be counted, were the size of their model known; or nothing."""
    counted = (*COUNTED_KINDS, "trainer")
    num = sum(
        job.kind in counted and "tokens" in job.estimate and "flops" not in job.estimate for job in plan.jobs
    )
    return plural(num, "job") if num else ""


def _bare(plan: Plan) -> str:
    """The trunks whose embeddings are not counted: their tokenizer is fetched, and its size not known."""
    trunks: dict[str, None] = {}
    for job in plan.jobs:
        if job.kind == "pretrain" and job.config["model"] and not job.config["model"].get("vocab_size"):
            made = next(plan.job(need.job) for need in job.needs if need.role == "tokenizer")
            if made.config["algorithm"] == "hub":
                trunks[f"`{job.id.partition('/')[0]}`"] = None
    return listed(trunks, 4)


def _unsegmented(plan: Plan, costs: Mapping[str, float]) -> float:
    """What pre-training every checkpoint from the start would add: the segments before it, again."""
    jobs = {job.id: job for job in plan.jobs if job.kind == "pretrain"}
    extra = 0.0
    before: dict[str, float] = {}
    for job_id, job in jobs.items():  # topological: what a segment resumes from is already there
        resumed = [need.job for need in job.needs if need.role == "resumes"]
        prefix = before[resumed[0]] if resumed else 0.0
        before[job_id] = prefix + costs.get(job_id, 0.0)
        extra += prefix
    return extra


def _amount(key: str, value: float) -> str:
    if key in ("flops", "disk_bytes") and not value:
        return "not counted"
    if key == "disk_bytes":
        return format_bytes(int(value), digits=3)
    if key == "flops":
        return f"{value:.1e}"
    return f"{int(value):,}" if key == "jobs" else format_tokens(int(value), digits=3)


def _chain(plan: Plan) -> dict[str, Any]:
    """The chain of jobs with the most operations, jobs as the tie-break."""
    best: dict[str, tuple[float, int, str]] = {}
    for job in plan.jobs:
        heaviest = (0.0, 0, "")
        for need in job.needs:
            flops, num, _ = best[need.job]
            heaviest = max(heaviest, (flops, num, need.job))
        best[job.id] = (heaviest[0] + job.estimate.get("flops", 0), heaviest[1] + 1, heaviest[2])
    if not best:
        return {"jobs": "0 jobs", "flops": "", "path": "none"}
    path = [max(best, key=lambda job_id: best[job_id][:2])]
    while before := best[path[-1]][2]:
        path.append(before)
    total, num, _ = best[path[0]]
    steps = [f"`{job_id}`" for job_id in reversed(path)]
    shown_path = steps if len(steps) <= 6 else [*steps[:2], "...", *steps[-3:]]
    return {
        "jobs": plural(num, "job"),
        "flops": f"{total:.1e}" if total else "",
        "path": " -> ".join(shown_path),
    }
