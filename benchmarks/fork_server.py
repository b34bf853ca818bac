"""What the fork server saves on the quickstart: every kind of its jobs, at a shorter training."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from benchmarks.measure import Command, run, spread
from benchmarks.per_job import TARGET, Work, gaps, works_of
from benchmarks.table import Figure, Part, figure
from benchmarks.workbench import EXC

SHORT = """\
extends: experiment.yaml
experiment: quickstart-short
trunks:
  tiny:
    pretrain: {tokens: 307200, schedule: {warmup: 30720, decay: 61440}}    # 200 steps
    checkpoints: [100, 200]
recipes:
  rl: [{rl: {grpo: {task: sums, num_generations: 8, prompts_per_rollout: 8, rollouts: 3,
                    args: {learning_rate: 5.0e-4, beta: 0.0, max_completion_length: 28}}}}]
  sft: [{sft: {sft: {task: sums, batch_size: 32, max_steps: 3,
                     args: {learning_rate: 1.0e-3, max_length: 96}}}}]
"""
_LOOK_S = 0.1  # how often the memory of running jobs is looked at


@dataclass
class Watcher:
    """The memory that job processes have to themselves while they run: the largest seen of each."""

    root: Path
    private_mb: dict[int, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watcher:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            for process in psutil.Process().children(recursive=True):
                try:
                    if process.cwd() == str(self.root) and not process.children():
                        mb = process.memory_full_info().uss / 1e6
                        self.private_mb[process.pid] = max(mb, self.private_mb.get(process.pid, 0.0))
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue


def measure(examples: Path, scratch: Path, say: Callable[[str], None] = print) -> Part:
    """Run the shortened quickstart with the fork server and without, one job at a time."""
    figures: list[Figure] = []
    added: dict[bool, float] = {}
    for fork, name in ((True, "forked"), (False, "own process each")):
        folder = scratch / f"quickstart-{'fork' if fork else 'cold'}"
        made = shutil.ignore_patterns("plan", "store", "report", "__pycache__")
        shutil.copytree(examples / "quickstart", folder, ignore=made)
        (folder / "short.yaml").write_text(SHORT, encoding="utf-8")
        run(Command([EXC, "compile", "short.yaml"], folder))
        with Watcher(folder) as watcher:
            sample = run(Command([EXC, "submit", "--slots", "1"], folder, {} if fork else {"EXC_FORK": "0"}))
        works = works_of(folder)
        waits = before_work(works)
        added[fork] = median(waits)
        memory = spread(list(watcher.private_mb.values()))
        figures += [
            figure(f"{name}: {len(works)} jobs, whole", spread([sample.wall]), "s", digits=1),
            figure(f"{name}: between two jobs", spread(gaps(works)), "s", TARGET),
            figure(f"{name}: from a job's end to the first result of the next", spread(waits), "s"),
            figure(f"{name}: memory of a job to itself", memory, "MB", digits=0),
        ]
        say(f"  {name}: {figures[-2].value} to the first result")
    ratio = spread([added[False] / added[True]])
    figures.append(figure("own process to forked, to the first result", ratio, "x", digits=1))
    return Part(
        "The fork server on the quickstart",
        "The quickstart at 200 steps and two checkpoints, under `exc submit --slots 1`, both ways in "
        "turn. *Between two jobs*: from the last event of a job to the first of the next one. *To the "
        "first result*: to its first progress or artifact, imports, loading and its first step included. "
        "*Memory of a job to itself*: the largest unique set of its process, looked at ten times a "
        "second; what a forked job shares with the server is not counted.",
        figures,
    )


def before_work(works: list[Work]) -> list[float]:
    """Seconds from the end of each job to the first result of the one started after it."""
    return [after.first - before.done for before, after in itertools.pairwise(works)]
