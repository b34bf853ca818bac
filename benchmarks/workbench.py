"""A small study, compiled and run once, whose jobs the other parts run again."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Command, Sample, run
from exc.compiler.plan import Job, Plan, read_plan
from exc.runtime.store import Store

STUDY = Path(__file__).with_name("study")
EXC = str(Path(sys.executable).with_name("exc"))


@dataclass(frozen=True)
class Study:
    """A copy of benchmarks/study with its plan and its store."""

    root: Path

    @property
    def plan(self) -> Plan:
        return read_plan(self.root / "plan")

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def first(self, kind: str) -> Job:
        """The first job of a kind in plan order."""
        return next(job for job in self.plan.jobs if job.kind == kind)

    def submit(self, slots: int, *, fork: bool) -> Sample:
        """Run what is not done with `exc submit`."""
        env = {} if fork else {"EXC_FORK": "0"}
        return run(Command([EXC, "submit", "--slots", str(slots)], self.root, env))

    def forget(self, job: Job) -> None:
        """Remove everything that a job left, so that it runs again from the start."""
        for ref in job.artifacts():
            shutil.rmtree(self.store.ref_path(ref), ignore_errors=True)
        for path in (self.store.work_path(job.work_key), self.store.attempts_path(job.identity)):
            shutil.rmtree(path, ignore_errors=True)


def make_study(folder: Path) -> Study:
    """Copy and compile the study; nothing is run yet."""
    shutil.copytree(STUDY, folder, ignore=shutil.ignore_patterns("plan", "store", "report", "__pycache__"))
    run(Command([EXC, "compile"], folder))
    return Study(folder)
