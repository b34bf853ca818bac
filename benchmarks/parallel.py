"""What a step with two sides costs beside the same step of reinforcement alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Command, ratios, run, spread
from benchmarks.table import Figure, Part, figure
from benchmarks.workbench import EXC, Study, make_study
from exc.compiler.plan import Job

HERE = Path(__file__).parent
ROUNDS = 5
STEPS = 12
# As `rl` and `sft` of the study, and as long as its `rl`.
SPEC = f"""\
version: 1
experiment: parallel
extends: [experiment.yaml]
recipes:
  sft:
    - sft: {{sft: {{task: sums, batch_size: 32, max_steps: {STEPS}, args: {{learning_rate: 1e-3}}}}}}
  parallel:
    - avg: {{parallel: {{max_steps: {STEPS}, rl: {{like: rl.rl}}, sft: {{like: sft.sft}}}}}}
  combined:
    - sum:
        combined:
          max_steps: {STEPS}
          weights: [1.0, 1.0]
          rl: {{like: rl.rl}}
          sft: {{like: sft.sft, args: {{learning_rate: null}}}}
evaluations: {{sums: null}}
"""
KINDS = ("grpo", "sft", "parallel", "combined")


@dataclass(frozen=True, slots=True)
class Timed:
    """A loop, from the end of the first optimizer step to that of the last."""

    wall: float  # seconds a step
    cpu: float


def measure(scratch: Path, say: Callable[[str], None] = print) -> Part:
    """Run grpo, sft and both together in turn, each for as many steps on the same model and rows."""
    study = make_paired_study(scratch / "parallel")
    found: dict[str, list[Timed]] = {kind: [] for kind in KINDS}
    for index in range(ROUNDS):
        for kind in KINDS if index % 2 == 0 else KINDS[::-1]:
            found[kind].append(_timed(study, study.first(kind), scratch / "loop.json"))
        shown = ", ".join(f"{kind} {times[-1].cpu:.3f}" for kind, times in found.items())
        say(f"  {index + 1}/{ROUNDS}, seconds of CPU a step: {shown}")
    return Part(
        "Two sides beside one",
        "Jobs of one study, one cold process each, one thread, in turn; ratios are taken within a round. A "
        "step is a rollout of 8 x 8 completions of at most 24 tokens, or a batch of 32 demonstrations, or "
        "both. Times are from the end of the first optimizer step to that of the last.",
        _figures(found),
    )


def make_paired_study(folder: Path) -> Study:
    """The study of the benchmarks with both sides together, run to where its stages start from."""
    study = make_study(folder)
    (folder / "parallel.yaml").write_text(SPEC, encoding="utf-8")
    run(Command([EXC, "compile", "parallel.yaml"], folder))
    study.submit(1, fork=True)
    return study


def _timed(study: Study, job: Job, out: Path) -> Timed:
    watch = [sys.executable, str(HERE / "stopwatch.py"), str(out), "-m", "exc.runtime.job", job.id]
    run(Command(watch, study.root, {"EXC_PLAN": str(study.root / "plan")}, lambda: study.forget(job)))
    loop = json.loads(out.read_bytes())
    if loop["steps"] != STEPS:
        raise ValueError(f"{job.id}: {loop['steps']} optimizer steps, and not {STEPS}")
    return Timed(loop["wall"] / (STEPS - 1), loop["cpu"] / (STEPS - 1))


def _figures(found: Mapping[str, list[Timed]]) -> list[Figure]:
    views: list[tuple[str, Callable[[Timed], float]]] = [("CPU", lambda t: t.cpu), ("wall", lambda t: t.wall)]
    rows = []
    for name, view in views:
        times = {kind: [view(each) for each in each_kind] for kind, each_kind in found.items()}
        both = [rl + sft for rl, sft in zip(times["grpo"], times["sft"], strict=True)]
        for kind in ("parallel", "combined"):
            for what, others in (("grpo alone", times["grpo"]), ("grpo and sft one by one", both)):
                measured = spread(ratios(times[kind], others))
                rows.append(figure(f"{kind}: {name} a step, to {what}", measured, "x"))
        rows += [figure(f"{kind}: {name}, seconds a step", spread(times[kind]), "s") for kind in KINDS]
    return rows
