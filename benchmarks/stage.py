"""A stage of exc beside the same work in a script of one's own: same model, rows and settings, one thread."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Command, Sample, ratios, run, spread
from benchmarks.table import Figure, Part, figure
from benchmarks.workbench import Study
from exc.compiler.plan import Job

HERE = Path(__file__).parent
PAIRS = 5
TARGET = 1.03
KINDS = ("pretrain", "sft", "grpo")


@dataclass(frozen=True, slots=True)
class Timed:
    """One run: the process as a whole, and the loop from the first optimizer step's end to the last one's."""

    process: Sample
    steps: int
    loop_wall: float  # seconds
    loop_cpu: float  # seconds


def measure(study: Study, scratch: Path, pairs: int = PAIRS, say: Callable[[str], None] = print) -> Part:
    """Run each training stage and its bare script in turn. `study` has been run to its end."""
    figures: list[Figure] = []
    for kind in KINDS:
        ours, bare = _sides(study, study.first(kind), scratch)
        a, b = [], []
        for index in range(pairs):
            first, second = (ours, bare) if index % 2 == 0 else (bare, ours)
            one, two = _run(first, scratch), _run(second, scratch)
            mine, other = (one, two) if index % 2 == 0 else (two, one)
            if mine.steps != other.steps:
                raise ValueError(
                    f"{kind}: exc made {mine.steps} optimizer steps, the bare script {other.steps}"
                )
            a.append(mine)
            b.append(other)
            say(
                f"  {kind} {index + 1}/{pairs}: {mine.process.cpu:.2f} to {other.process.cpu:.2f} s CPU, "
                f"loop {mine.loop_cpu:.2f} to {other.loop_cpu:.2f} s CPU"
            )
        figures += _figures(kind, a, b)
    return Part(
        "A stage beside a bare script",
        "One cold process each (`python -m exc.runtime.job` and `bare_*.py`), one thread, in turn (A B, B A, "
        f"...), {pairs} pairs; ratios are taken within pairs, exc to bare. exc digests, syncs and publishes "
        "the model with its resume state and reports each step; the bare script saves the model once. "
        "*Loop*: from the end of the first optimizer step to that of the last. *Process*: with start-up, "
        "imports, loading and saving. CPU time is user and system; it suffers less from what else the "
        "machine does. Without stop strings: TRL has none to compare with.",
        figures,
    )


def _figures(kind: str, ours: Sequence[Timed], bare: Sequence[Timed]) -> list[Figure]:
    views: list[tuple[str, Callable[[Timed], float]]] = [
        ("loop, CPU", lambda t: t.loop_cpu),
        ("loop, wall", lambda t: t.loop_wall),
        ("process, CPU", lambda t: t.process.cpu),
        ("process, wall", lambda t: t.process.wall),
    ]
    rows = []
    for name, view in views:
        a, b = [view(t) for t in ours], [view(t) for t in bare]
        rows.append(figure(f"{kind}: {name}, exc to bare", spread(ratios(a, b)), "x", TARGET))
        rows.append(figure(f"{kind}: {name}, seconds of exc", spread(a), "s", digits=2))
        rows.append(figure(f"{kind}: {name}, seconds of bare", spread(b), "s", digits=2))
    return rows


def _sides(study: Study, job: Job, scratch: Path) -> tuple[Command, Command]:
    """The process of the job, and that of the script which does the same."""
    inputs = {need.role: study.store.ref_path(need.artifact) / need.output for need in job.needs}
    watch = [sys.executable, str(HERE / "stopwatch.py"), str(scratch / "loop.json")]
    ours = Command(
        [*watch, "-m", "exc.runtime.job", job.id],
        study.root,
        {"EXC_PLAN": str(study.root / "plan")},
        lambda: study.forget(job),
    )
    if job.kind == "pretrain":
        reads = [str(inputs["tokenizer"]), str(inputs["tokens:documents"] / "tokens.bin")]
    else:
        reads = [str(inputs["model"]), str(inputs["rows"] / "rows.jsonl")]
    out = scratch / "bare"
    bare = Command(
        [*watch, str(HERE / f"bare_{job.kind}.py"), *reads, str(out)],
        study.root,
        prepare=lambda: shutil.rmtree(out, ignore_errors=True),
    )
    return ours, bare


def _run(command: Command, scratch: Path) -> Timed:
    process = run(command)
    loop = json.loads((scratch / "loop.json").read_bytes())
    return Timed(process, loop["steps"], loop["wall"], loop["cpu"])
