"""A study on disk with everything that figures can draw: trunks, kept steps, sweeps, prompts, replicates."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from exc.compiler.plan import Job
from tests.runtime.report.study import ARITHMETIC, Floats, Study, base_chances, expand, sharpen

STEPS = (300, 600, 1200)
KEPT = (50, 100, 200, 400)
TASKS = ("hellaswag/acc_norm", "arc_easy/acc_norm", "piqa/acc_norm", "lambada_openai/acc")
EVALUATIONS: dict[str, Any] = {
    "test": ARITHMETIC,
    "train": {**ARITHMETIC, "split": "train"},
    "zero-shot": {**ARITHMETIC, "num_fewshot": {"base": 0, "trained": 0}},
    "one-shot": {**ARITHMETIC, "num_fewshot": {"base": 1, "trained": 0}},
    "general": {
        "kind": "lm_eval",
        "tasks": [task.partition("/")[0] for task in TASKS],
        "mean": list(TASKS),
        "metrics": [*TASKS, "mean"],
        "limit": 200,
        "num_fewshot": None,
    },
}
FIGURES: list[Any] = [
    "gains",
    {"figure": "gains", "together": True, "metrics": ["pass@8"], "against": ["base"], "evaluation": "test"},
    {"figure": "panels", "evaluation": "test"},
    "general",
    {"figure": "dynamics", "evaluation": "test", "references": ["sft"]},
    {"figure": "predictor", "x": "train/pass@32", "y": "test/pass@32"},
    {"figure": "tradeoff", "x": "test/pass@1", "y": "general/mean"},
    {"figure": "seeds", "evaluation": "test", "best": "pass@1"},
    {"figure": "efficiency", "evaluation": "test"},
    {"figure": "training", "on": {}, "cells": []},
    {"figure": "sweep", "evaluation": "test", "references": ["base"], "on": {}, "cells": []},
    {"figure": "sweep", "evaluation": "test", "axis": "sft_lr", "references": ["rl"], "on": {}, "cells": []},
    "baselines",
]


@dataclasses.dataclass
class Branch:
    """One model of the study, and the chances that its truth gives every problem."""

    study: Study
    trunk: str
    at: int
    gift: float  # of the trunk

    def chances(self, strength: float, kind: str, seed: int = 1) -> Floats:
        base = np.clip(base_chances(self.study.num_problems, self.at, seed) * self.gift, 0, 1)
        moved = {"rl": sharpen, "sft": expand}.get(kind, lambda same: same)(base)
        return base + strength * (moved - base)


def paper_study(root: Path, steps: tuple[int, ...] = STEPS, num_problems: int = 120) -> Study:
    """Two trunks; rl (replicates, kept steps), sft, sft-rl, gold, and a sweep of `joint` over sft_lr."""
    study = Study(root, num_problems=num_problems, evaluations=EVALUATIONS)
    rows = study.job("data/arithmetic.rows", "rows")
    study.publish(rows)
    for trunk, gift in (("1B-50B", 1.0), ("1B-60B", 1.8)):
        for at in steps:
            _checkpoint(Branch(study, trunk, at, gift))
    first, trunk = steps[-1], "1B-50B"
    here = [
        n
        for n, cell in enumerate(study.cells)
        if (cell["trunk"], cell["at"]) == (trunk, first) and cell["final"]
    ]
    swept = [n for n in here if study.cells[n]["recipe"].startswith("joint")]
    figures = [dict(entry) if isinstance(entry, dict) else entry for entry in FIGURES]
    for entry in figures:
        if isinstance(entry, dict) and entry["figure"] == "training":
            chosen = [n for n, cell in enumerate(study.cells) if cell["recipe"] in ("rl", "sft-rl")]
            entry |= {"on": {"recipes": ["rl", "sft-rl"]}, "cells": chosen}
        if isinstance(entry, dict) and entry["figure"] == "sweep":
            entry |= {"on": {"trunks": [trunk]}, "cells": swept if "axis" in entry else here}
        if isinstance(entry, dict) and entry["figure"] in ("dynamics", "efficiency"):
            chosen = [n for n, c in enumerate(study.cells) if (c["trunk"], c["at"]) == (trunk, first)]
            entry |= {"on": {"at": {"steps": [first]}, "trunks": [trunk]}, "cells": chosen}
    study.report = {"figures": figures}
    return study


def _checkpoint(here: Branch) -> None:
    study, at, place = here.study, here.at, f"{here.trunk}/{here.at}"
    base = study.job(f"{here.trunk}/pretrain/{at}", "pretrain")
    study.publish(base)
    for name in EVALUATIONS:
        _measure(here, name, "base", base, here.chances(0, ""))
    sft = study.job(f"{place}/sft/r0/sft", "sft", ("model", base.id))
    study.publish(sft, counts={"flops": 4e12, "samples": 20_000, "tokens": 2e6})
    for name in ("test", "general"):
        _measure(here, name, "sft", sft, here.chances(1, "sft"), cost=0.05)
    for replicate in range(3):
        _kept(here, f"{place}/rl/r{replicate}/rl", "rl", base, replicate)
    _kept(here, f"{place}/sft-rl/r0/rl", "sft-rl", sft, 0)
    for number, (rate, merge) in enumerate(
        [(r, m) for r in ("1e-07", "1e-06", "4e-05") for m in ("on", "off")]
    ):
        matrix = {"sft_lr": rate, "kl": merge}
        name = f"joint[sft_lr={rate},kl={merge}]"
        model = study.job(f"{place}/{name}/r0/joint", "parallel", ("model", base.id))
        study.publish(model)
        for evaluation in ("test", "general"):
            chances = here.chances(0.3 + 0.1 * number, "sft")
            _measure(here, evaluation, name, model, chances, matrix=matrix, cost=0.005 * number)


def _kept(here: Branch, job_id: str, recipe: str, start: Job, replicate: int) -> None:
    """A stage of RL with kept steps, each an artifact of its own."""
    study = here.study
    kept = {step: hashlib.sha256(f"{job_id}@{step}".encode()).hexdigest() for step in KEPT}
    whole = study.job(job_id, "grpo", ("model", start.id))
    job = dataclasses.replace(whole, identity=kept[KEPT[-1]], kept=kept, computation=whole.identity)
    study.jobs[job_id] = job
    rewards = [(step / KEPT[-1]) ** 0.5 * (1 - 0.06 * replicate) for step in range(1, KEPT[-1] + 1)]
    study.logs(job, *({"step": step, "reward": reward} for step, reward in enumerate(rewards, start=1)))
    for step, identity in kept.items():
        last = step == KEPT[-1]
        snapshot = dataclasses.replace(job, identity=identity, id=job_id if last else f"{job_id}@{step}")
        counts = {"flops": 2e11 * step, "samples": 64 * step, "tokens": 9000 * step}
        study.publish(snapshot, counts=counts)
        moved = here.chances((step / KEPT[-1]) ** 0.5 * (1 - 0.06 * replicate), "rl")
        if recipe == "sft-rl":
            moved = np.clip(0.6 * here.chances(1, "sft") + 0.6 * moved, 0, 1)
        more: dict[str, Any] = {} if last else {"step": step, "final": False}
        for name in ("test", "general") if last else ("test",):
            _measure(here, name, recipe, snapshot, moved, replicate, cost=-0.004, **more)


def _measure(
    here: Branch,
    name: str,
    recipe: str,
    model: Job,
    chances: Floats,
    replicate: int = 0,
    cost: float = 0.0,
    **more: Any,
) -> None:
    study = here.study
    seed = here.at + 17 * replicate + sum(map(ord, model.id + name))
    made = study.jobs[model.id.partition("@")[0]]  # of a kept step, the job that kept it
    score = study.cell(name, here.trunk, here.at, recipe, model, made, replicate, **more)
    if name == "general":
        rows, metrics = _tasks(here, cost, seed)
        study.publish(score, {"units.jsonl": rows}, metrics)
        return
    shots = {"zero-shot": 0.4, "one-shot": 0.7}.get(name, 1.0)
    study.scores(score, chances * shots, seed)


def _tasks(here: Branch, cost: float, seed: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Problems of every task, right or wrong, and the numbers that they give."""
    rng, ease = np.random.default_rng(seed), np.random.default_rng(7)
    level = 0.3 + 0.12 * np.log10(here.at * here.gift) / 3
    rows: list[dict[str, Any]] = []
    metrics = {}
    for number, name in enumerate(TASKS):
        task, _, metric = name.partition("/")
        chances = np.clip(level + 0.04 * number - cost + 0.3 * ease.standard_normal(150), 0.02, 0.98)
        right = (rng.random(150) < chances).astype(float)
        metrics[name] = float(right.mean())
        rows += [
            {"unit": len(rows) + n, "task": task, "values": {metric: value}} for n, value in enumerate(right)
        ]
    return rows, metrics | {"mean": sum(metrics.values()) / len(TASKS)}
