"""RLOO, KTO and every way of merging, from spec to results, each tried at its smallest first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.project import Project

pytestmark = pytest.mark.ci

SPEC = """\
extends: own-samples.yaml
version: 1
experiment: trainers
data:
  judged: {jsonl: judged.jsonl}
tasks: {sums: {splits: {judged: {data: judged, columns: {question: problem}}}}}
trunks: {mini: {checkpoints: [60]}}
recipes:
  rloo:
    - rl:
        rloo: {task: sums, num_generations: 4, prompts_per_rollout: 2, updates_per_rollout: 2, rollouts: 4,
               keep: [2], args: {learning_rate: 1.0e-3, max_completion_length: 6}}
  kto:
    - kto:
        kto: {task: sums, split: judged, batch_size: 4, max_steps: 4, keep: [2],
              args: {learning_rate: 1.0e-3, max_length: 32}}
  kto-pairs:
    - kto: {kto: {like: kto.kto, split: pairs, unpair: true, batch_size: 2, max_steps: 2}}
  dapo:
    - rl:
        grpo: {task: sums, num_generations: 4, prompts_per_rollout: 2, rollouts: 2, loss: dapo,
               args: {learning_rate: 1.0e-3, max_completion_length: 6}}
  arc:
    - arc: {merge: {method: slerp, of: [rloo, kto], t: 0.5}}
  ties:
    - ties: {merge: {method: ties, of: [rloo, kto, {recipe: kto, step: 2}], base: base, density: 0.5}}
  half:
    - half: {merge: {method: task_arithmetic, of: [kto], base: base, weights: [0.5]}}
  mean:
    - mean: {merge: {of: [kto, base]}}
evaluations:
  sums: {pass_at_k: {task: sums, k: [1], num_samples: 4, max_new_tokens: 6}}
report: {contrasts: [{a: rloo, b: base}, {a: ties, b: kto}]}
"""
PROFILES = """\
local:
  slots: 2
  resources:
    - {on: {kind: rloo}, micro_batch_size: 2, smoke: true}
    - {on: {kind: kto}, micro_batch_size: 2, smoke: true}
"""


def tensors(made: Project, job_id: str) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(made.artifact(made.plan.job(job_id).artifacts()[-1]) / "model" / "model.safetensors")


def test_other_trainers_and_merges_run_from_spec_to_results(tmp_path: Path) -> None:
    import torch

    made = Project.new(tmp_path / "trainers")
    (made.folder / "experiment.yaml").write_text(SPEC, encoding="utf-8")
    (made.folder / "profiles.yaml").write_text(PROFILES, encoding="utf-8")
    rows = [json.loads(line) for line in (made.folder / "train.jsonl").read_text().splitlines()]
    judged = [
        {"problem": row["problem"], "completion": text, "label": text == row["answer"]}
        for row in rows[:8]
        for text in (row["answer"], "0")
    ]
    lines = "".join(json.dumps(line) + "\n" for line in judged)
    (made.folder / "judged.jsonl").write_text(lines, encoding="utf-8")

    checked = made.ok("check")
    assert "warning" not in checked, checked
    made.ok("compile")
    made.ok("submit")
    assert set(made.states().values()) == {"done"}
    jobs = made.plan.jobs
    assert {job.config["of"] for job in jobs if job.kind == "smoke"} == {"rloo", "kto"}
    dapo = next(job for job in jobs if job.id.endswith("dapo/r0/rl"))
    assert dapo.config["args"]["epsilon_high"] == 0.28

    base, kto, half, mean = (
        tensors(made, name)
        for name in (
            "mini/pretrain/60",
            *(f"mini/60/{n}" for n in ("kto/r0/kto", "half/r0/half", "mean/r0/mean")),
        )
    )
    assert any(not torch.equal(base[name], kto[name]) for name in base)
    for name in base:
        assert torch.allclose(half[name], mean[name], atol=1e-7)
        assert torch.allclose(half[name], (base[name] + kto[name]) / 2, atol=1e-7)
    made.ok("report")
    page = (made.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "ties" in page
    made.ok("export", "mini/60/ties/r0/ties", "-o", "out")
    text = (made.folder / "out" / "README.md").read_text(encoding="utf-8")
    assert "ties merge" in text
    assert "KTO" in text
    assert "RLOO" in text
