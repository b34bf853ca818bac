"""A plan of trivial jobs on disk, with its scripts and its store."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exc.compiler.plan import PLAN_FILE, Job, Need, Plan, dump, read_plan, to_json
from exc.runtime.store import Store
from tests.runtime.core import trivial

_SCRIPT = f'exec "$EXC_PYTHON" {trivial.__file__} "$1"\n'
_PATIENCE_S = 30.0  # before a test that waits for another process gives up


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def job(name: str, does: str = "write", reads: Iterable[Job] = (), cls: str = "trivial") -> Job:
    """A job that leaves one artifact and reads the whole artifacts of others."""
    needs = tuple(Need(f"from:{other.id}", other.id, other.artifact, "") for other in reads)
    return Job(name, trivial.KIND, cls, digest(name), {"does": does}, needs, resources={"cpus": 1})


def steps_job(name: str, kept: Iterable[int], pause: int | None = None) -> Job:
    """A job that counts, keeps some of its steps, and resumes."""
    identities = {step: digest(f"{name} {step}") for step in kept}
    last = identities[max(identities)]
    config = {"does": "steps", "pause": pause}
    return Job(name, trivial.STEPS_KIND, "steps", last, config, (), digest(name), identities, {"cpus": 1})


@dataclass(frozen=True)
class World:
    """A spec's folder with plan/ and store/ in it."""

    root: Path
    plan: Plan

    @property
    def plan_folder(self) -> Path:
        return self.root / "plan"

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def go(self) -> None:
        """Let the jobs that wait go on."""
        (self.root / "go").touch()

    def start(self, job_id: str, **environment: str) -> subprocess.Popen[str]:
        """Start a job by hand: its script, in a process of its own."""
        script = self.plan_folder / "jobs" / f"{self.plan.job(job_id).cls}.sh"
        return self._popen(["bash", str(script), job_id], environment)

    def submit(self) -> subprocess.Popen[str]:
        """Start `submit` in a process of its own, with plain output."""
        return self._popen([sys.executable, str(Path(__file__).with_name("submitting.py"))], {})

    def _popen(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env={
                **os.environ,
                "EXC_PLAN": str(self.plan_folder),
                "EXC_PYTHON": sys.executable,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.root,
        )

    def wait_for_start(self, job_id: str) -> None:
        """Until the job, which waits for `go`, has come to its waiting."""
        wait_until((self.root / f"waiting-{job_id.replace('/', '-')}").exists)

    def started(self, job_id: str) -> int:
        """How often a job was begun."""
        folder = self.store.attempts_path(self.plan.job(job_id).identity)
        return len(list(folder.glob("*/events.jsonl")))


def make_world(root: Path, *jobs: Job, profile: Mapping[str, object] | None = None) -> World:
    """Write a plan and its scripts; jobs in topological order."""
    plan = Plan("tiny", 0, "..", "experiment.yaml", profile or {"name": "local"}, jobs, {"cells": []})
    folder = root / "plan"
    (folder / "jobs").mkdir(parents=True)
    (folder / PLAN_FILE).write_bytes(dump(to_json(plan)))
    for cls in {one.cls for one in jobs}:
        (folder / "jobs" / f"{cls}.sh").write_text(_SCRIPT)
    return World(root, read_plan(folder))


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until something that another process does has happened."""
    limit = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("what the test waits for did not happen")
        time.sleep(0.01)
