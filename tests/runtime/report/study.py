"""A study on disk whose truth is known: a plan, and a store filled with counts drawn from that truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exc.compiler.plan import Job, Need, Plan
from exc.runtime.store import Store

Floats = NDArray[np.float64]
NUM_SAMPLES = 32
TOKENS_PER_STEP = 1536


def base_chances(num: int, step: int, seed: int = 1) -> Floats:
    """Each problem's chance of being solved in one sample; a share of problems is out of reach."""
    rng = np.random.default_rng(seed)
    ease = rng.beta(0.8, 4.0, num)
    return np.where(rng.random(num) < 0.35, 0.0, ease * min(1.0, 0.35 + step / 2000))


def sharpen(chances: Floats) -> Floats:
    """Problems in reach become much likelier, those out of reach stay there, the rarest are lost."""
    return np.where(chances < 0.03, 0.0, chances**0.6)


def expand(chances: Floats) -> Floats:
    """Every problem becomes likelier, those out of reach too."""
    return np.clip(1.6 * chances + 0.02, 0.0, 1.0)


@dataclass
class Study:
    """Adds jobs, cells and artifacts one by one; `plan()` freezes what was planned so far."""

    root: Path
    num_problems: int = 200
    jobs: dict[str, Job] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    evaluations: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def job(self, job_id: str, kind: str, *needs: tuple[str, str]) -> Job:
        """Plan a job; `needs` are (role, job id)."""
        found = tuple(Need(role, other, self.jobs[other].artifact, "") for role, other in needs)
        identity = hashlib.sha256(f"{kind}:{job_id}".encode()).hexdigest()
        job = Job(
            job_id, kind, kind, identity, {}, found, source=(f"experiment.yaml:{10 + len(self.jobs)}:5",)
        )
        return self.jobs.setdefault(job_id, job)

    def publish(
        self,
        job: Job,
        files: Mapping[str, list[dict[str, Any]]] | None = None,
        metrics: Mapping[str, float] | None = None,
        **record: Any,
    ) -> None:
        def write(folder: Path) -> None:
            for name, rows in (files or {}).items():
                (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

        described = {
            "job": job.id,
            "inputs": {need.role: need.artifact for need in job.needs},
            "metrics": dict(metrics or {}),
            "counts": {"flops": 2.5e12, "samples": 640, "tokens": 81920},
            "environment": {"exc": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "num_threads": 1},
            "git_commit": "3f1c5a7e9b2d4c6f8a0b1d3e5f7a9c2b4d6e8f0a",
            "host": "node-1",
            "seconds": 42.5,
            **record,
        }
        self.store.publish(job.kind, job.identity, write, lambda: described)

    def attempt(self, job: Job, **content: Any) -> None:
        """Leave the trace of one more attempt at a job."""
        folder = self.store.attempts_path(job.identity)
        number = len(list(folder.glob("*"))) + 1
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "attempt.json").write_text(
            json.dumps({"host": "node-1", "pid": 1, **content})
        )

    def logs(self, job: Job, *lines: Mapping[str, Any] | str) -> None:
        """Leave one more attempt at a job, with what it logged: progress events, or lines as they are."""
        self.attempt(job)
        folder = self.store.attempts_path(job.identity)
        texts = [
            line if isinstance(line, str) else json.dumps({"time": 1.7e9, "event": "progress", **line}) + "\n"
            for line in lines
        ]
        newest = folder / str(len(list(folder.glob("*"))))
        (newest / "events.jsonl").write_text("".join(texts))

    def cell(
        self,
        evaluation: str,
        trunk: str,
        at: int,
        recipe: str,
        model: Job,
        needs: Job,
        replicate: int = 0,
        **more: Any,
    ) -> Job:
        """Plan the job of a cell, which needs `needs`, and the cell."""
        measured = self.evaluations[evaluation]["kind"]
        kind = "score" if measured == "pass_at_k" else measured
        job = self.job(
            f"{model.id}.{evaluation}.{kind}", kind, ("samples:0" if kind == "score" else "model", needs.id)
        )
        cell = {
            "evaluation": evaluation,
            "trunk": trunk,
            "at": at,
            "tokens": at * TOKENS_PER_STEP,
            "recipe": recipe,
            "matrix": {},
            "replicate": replicate,
            "step": None,
            "final": True,
            "model": {"job": model.id, "artifact": model.artifact},
            "job": job.id,
            "artifact": job.artifact,
            "seeds": [7 + replicate],
        }
        self.cells.append({**cell, **more})
        return job

    def scores(self, job: Job, chances: Floats, seed: int, **metrics: float) -> None:
        """Publish counts drawn from the chances of each problem."""
        drawn = np.random.default_rng(seed).binomial(NUM_SAMPLES, np.clip(chances, 0, 1))
        rows = [
            {
                "problem": index,
                "num_samples": NUM_SAMPLES,
                "num_correct": int(correct),
                "num_parsed": NUM_SAMPLES,
                "distinct_answers": 3,
                "entropy": 0.5 + index / 1000,
                "majority": int(correct) / NUM_SAMPLES,
                "majority_at": {"8": int(correct) / NUM_SAMPLES},
            }
            for index, correct in enumerate(drawn)
        ]
        share = float(np.mean(drawn / NUM_SAMPLES))
        more = {"maj@32": share, "parse_rate": 0.98, "truncation_rate": 0.01, **metrics}
        self.publish(job, {"problems.jsonl": rows}, {"pass@1": share, **more})

    def bits(self, job: Job, rate: float, seed: int, num_documents: int = 60) -> None:
        """Publish documents whose bits per byte scatter about `rate`."""
        rng, noise = np.random.default_rng(5), np.random.default_rng(seed)
        num_bytes = rng.integers(200, 2000, num_documents)
        bits = num_bytes * (
            rate + 0.1 * rng.standard_normal(num_documents) + 0.01 * noise.standard_normal(num_documents)
        )
        rows = [
            {"document": index, "num_bytes": int(size), "bits": float(bit)}
            for index, (size, bit) in enumerate(zip(num_bytes, bits, strict=True))
        ]
        metrics = {"bits_per_byte": float(bits.sum() / num_bytes.sum()), "num_bytes": float(num_bytes.sum())}
        self.publish(job, {"documents.jsonl": rows}, metrics)

    def plan(self) -> Plan:
        report = {
            "title": "Sharpening and expansion on a tiny trunk",
            "evaluations": self.evaluations,
            "cells": self.cells,
            "contrasts": [],
            "figures": ["gains", "panels", "sharpening", "general"],
            "accepted": [],
            "warnings": [],
            **self.report,
        }
        jobs = tuple(self.jobs.values())
        return Plan(
            "tiny-study", 0, "..", "experiment.yaml", {"name": "local"}, jobs, report, digest="ab" * 32
        )


ARITHMETIC = {
    "kind": "pass_at_k",
    "task": "arithmetic",
    "k": [1, 8, 32],
    "num_samples": NUM_SAMPLES,
    "metrics": ["pass@1", "pass@8", "pass@32"],
    "num_fewshot": {"base": 4, "trained": 0},
}
HELD_OUT = {"kind": "bits_per_byte", "metrics": ["bits_per_byte"]}
TRANSFORMS: dict[str, Callable[[Floats], Floats]] = {
    "base": lambda chances: chances,
    "rl": sharpen,
    "sft": expand,
    "sft-rl": lambda chances: sharpen(expand(chances)),
}


def whole_study(root: Path, steps: tuple[int, ...] = (300, 600, 1200)) -> Study:
    """Base, rl (sharpens, three replicates), sft (expands), and sft-rl, which fails at the last checkpoint.

    At the last checkpoint rl's second replicate was cut off and its third was never run.
    """
    study = Study(root, evaluations={"arithmetic": ARITHMETIC, "held-out": HELD_OUT})
    rows = study.job("data/arithmetic.rows", "rows")
    study.publish(rows)
    for at in steps:
        _checkpoint(study, at, rows, last=at == steps[-1])
    study.report = {
        "contrasts": [{"a": "rl", "b": "base"}, {"a": "sft-rl", "b": "sft"}, {"a": "soup", "b": "base"}],
        "accepted": [{"code": "mid-decay", "reason": "every branch is taken inside the decay"}],
        "warnings": [
            "warning[few-replicates]: one replicate cannot show the spread of training\n"
            "  --> experiment.yaml:41:5\n   |\n41 |   sft:\n   |   ^^^ 1 replicate"
        ],
    }
    return study


def _checkpoint(study: Study, at: int, rows: Job, *, last: bool) -> None:
    trunk = study.job(f"tiny/pretrain/{at}", "pretrain")
    study.publish(trunk)
    models = {("base", 0): trunk}
    for replicate in range(3):
        models["rl", replicate] = study.job(
            f"tiny/{at}/rl/r{replicate}/rl", "grpo", ("model", trunk.id), ("rows", rows.id)
        )
    models["sft", 0] = study.job(f"tiny/{at}/sft/r0/sft", "sft", ("model", trunk.id), ("rows", rows.id))
    models["sft-rl", 0] = study.job(f"tiny/{at}/sft-rl/r0/rl", "grpo", ("model", models["sft", 0].id))
    for (recipe, replicate), model in models.items():
        gone = last and (recipe == "sft-rl" or (recipe == "rl" and replicate > 0))
        if not gone:
            study.publish(model)
        sample = study.job(f"{model.id}.arithmetic.sample", "sample", ("model", model.id))
        score = study.cell("arithmetic", "tiny", at, recipe, model, sample, replicate)
        held = study.cell("held-out", "tiny", at, recipe, model, model, replicate)
        if gone:
            continue
        study.publish(sample)
        seed = at + 17 * replicate + sum(map(ord, recipe))
        chances = TRANSFORMS[recipe](base_chances(study.num_problems, at)) * (1 - 0.05 * replicate)
        study.scores(score, chances, seed)
        cost = {"base": 0.0, "rl": 0.004, "sft": 0.09, "sft-rl": 0.1}[recipe]
        study.bits(held, 2.4 - at / 2000 + cost, seed)
    if last:
        failure = {
            "class": "out-of-memory",
            "message": "rollout needs 21 GB, the machine has 16 GB",
            "log_lines": [],
        }
        study.attempt(
            models["sft-rl", 0],
            started="2026-01-01T00:00:00Z",
            ended="2026-01-01T00:03:00Z",
            exit=1,
            failure=failure,
        )
        study.attempt(models["rl", 1], started="2026-01-01T00:00:00Z")


def matrix_study(root: Path) -> Study:
    """Base and four variants of one recipe at two checkpoints; pass@k is drawn twice, of other cells."""
    study = Study(root, num_problems=60, evaluations={"arithmetic": ARITHMETIC})
    cells = [{"lr": lr, "beta": beta} for lr in ("1e-06", "3e-06") for beta in ("0", "0.1")]
    for at in (300, 600):
        trunk = study.job(f"tiny/pretrain/{at}", "pretrain")
        study.publish(trunk)
        arms: list[tuple[str, dict[str, str], Job]] = [("base", {}, trunk)]
        for matrix in cells:
            name = "joint[" + ",".join(f"{axis}={value}" for axis, value in matrix.items()) + "]"
            arms.append((name, matrix, study.job(f"tiny/{at}/{name}/r0/rl", "grpo", ("model", trunk.id))))
        for number, (name, matrix, model) in enumerate(arms):
            sample = study.job(f"{model.id}.arithmetic.sample", "sample", ("model", model.id))
            score = study.cell("arithmetic", "tiny", at, name, model, sample, matrix=matrix)
            study.scores(score, base_chances(study.num_problems, at) ** (1 - 0.05 * number), at + number)
    first = [index for index, cell in enumerate(study.cells) if cell["at"] == 300]
    study.report = {
        "figures": [
            "gains",
            "panels",
            {
                "figure": "panels",
                "on": {"at": {"steps": [300], "include": [], "snap": "exact"}},
                "cells": first,
            },
            "sharpening",
        ]
    }
    return study
