"""Large plans: from a spec to its plan folder, and what is done of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Command, run, spread
from benchmarks.startup import exc
from benchmarks.table import Figure, Part, figure
from exc.compiler.identity import identity_fields
from exc.compiler.plan import Plan, read_plan

# Jobs asked for -> (seconds to compile, seconds to plan when all is done).
SIZES: dict[int, tuple[float, float | None]] = {10_000: (0.3, None), 100_000: (1.5, 1.0)}
PEAK_MB = 600.0
REPEATS = 3
CHECKPOINTS, RECIPES = 50, 10
JOBS_PER_BRANCH = 3  # the stage, its samples, their score

SPEC = """\
version: 1
experiment: large
data: {{rows: {{jsonl: [rows.jsonl]}}, text: {{text: [text.txt]}}}}
tasks:
  sums: {{prompt: "{{question}}", splits: {{train: {{data: rows}}, test: {{data: rows}}}}, verifier: exact}}
trunks:
  small:
    pretrain:
      model:
        architecture: llama
        hidden_size: 64
        num_hidden_layers: 2
        num_attention_heads: 2
        intermediate_size: 128
      tokenizer: {{bpe: {{vocab_size: 300}}}}
      data: {{text: 1}}
      batch_size: 8
      sequence_length: 64
      tokens: {tokens}
      schedule: {{shape: cosine, peak: 1e-3}}
    checkpoints: {{every: 10}}
recipes:
{recipes}
replicates:
  - {{num: {replicates}}}
evaluations:
  sums: {{pass_at_k: {{task: sums, k: [1], num_samples: 16, max_new_tokens: 8}}}}
accept: {{mid-decay: "measured for its size alone"}}
"""
RECIPE = """\
  {name}:
    - s: {{sft: {{task: sums, batch_size: 8, max_steps: 10, args: {{learning_rate: {rate}}}}}}}"""


def write_large(folder: Path, jobs: int) -> None:
    """Write a spec of about so many jobs: checkpoints x recipes x replicates, each a stage and its score."""
    folder.mkdir(parents=True)
    row = {"question": "1+1=", "answer": "2", "demonstrations": ["2"]}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (folder / "text.txt").write_text("some text\n", encoding="utf-8")
    recipes = "\n".join(RECIPE.format(name=f"r{n}", rate=f"{n + 1}e-5") for n in range(RECIPES))
    replicates = max(1, round(jobs / (CHECKPOINTS * RECIPES * JOBS_PER_BRANCH)))
    text = SPEC.format(tokens=CHECKPOINTS * 10 * 8 * 64, recipes=recipes, replicates=replicates)
    (folder / "experiment.yaml").write_text(text, encoding="utf-8")


def measure(scratch: Path, repeats: int = REPEATS, say: Callable[[str], None] = print) -> Part:
    """Compile specs of growing size; finish the plan of the largest, and plan it again."""
    figures: list[Figure] = []
    for jobs, (compiles, plans) in SIZES.items():
        folder = scratch / f"large-{jobs}"
        times = repeats if jobs < 50_000 else 1
        write_large(folder, jobs)
        remove = lambda folder=folder: shutil.rmtree(folder / "plan", ignore_errors=True)  # noqa: E731
        samples = [run(Command([exc(), "compile"], folder, prepare=remove)) for _ in range(times)]
        plan = read_plan(folder / "plan")
        name = f"{len(plan.jobs):,} jobs"
        figures.append(
            figure(f"{name}: spec to plan folder, wall", spread([s.wall for s in samples]), "s", compiles, 2)
        )
        figures.append(
            figure(f"{name}: spec to plan folder, CPU", spread([s.cpu for s in samples]), "s", digits=2)
        )
        figures.append(figure(f"{name}: peak memory", spread([s.peak_mb for s in samples]), "MB", PEAK_MB, 0))
        say(f"  {name}: {figures[-3].value}")
        finish(plan, folder / "store")
        again = [run(Command([exc(), "plan"], folder)) for _ in range(times)]
        if f"{len(plan.jobs)} reused" not in again[0].output:
            raise ValueError(f"`exc plan` does not see that all is done: {again[0].output[:500]}")
        figures.append(
            figure(f"{name}, all done: `exc plan`, wall", spread([s.wall for s in again]), "s", plans, 2)
        )
        figures.append(
            figure(f"{name}, all done: `exc plan`, CPU", spread([s.cpu for s in again]), "s", digits=2)
        )
        say(f"  {name}, all done: {figures[-2].value}")
        shutil.rmtree(folder)
    return Part(
        "Large plans",
        f"Whole processes, start-up included: {CHECKPOINTS} checkpoints x {RECIPES} recipes x replicates, "
        "each a stage, a block of samples and a score. The store of the finished plan holds every artifact's "
        "folder with its record and nothing else. Snakemake's dry run of 10,000 jobs took 12.5 s "
        "(not measured here).",
        figures,
    )


def finish(plan: Plan, store: Path) -> None:
    """Fill a store as if every job of the plan had been run: artifacts with their records, without files."""
    for job in plan.jobs:
        record = {
            "format": 1,
            "kind": job.kind,
            "job": job.id,
            "experiment": plan.experiment,
            "fields": identity_fields(job.kind, job.config),
            "inputs": {need.role: need.artifact for need in job.needs},
            "files": {},
            "metrics": {},
        }
        for ref in job.artifacts():
            folder = store / "artifacts" / ref
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "artifact.json").write_text(
                json.dumps({**record, "identity": folder.name}), encoding="utf-8"
            )
