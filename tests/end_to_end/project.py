"""A user's folder with a spec, the commands run in it, and what they leave in the store."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job, Plan, read_plan

MINI = Path(__file__).parent / "mini"
TIMEOUT_S = 900.0  # generous: it only ends what hangs
_LEFT_BEHIND = shutil.ignore_patterns("plan", "store", "report", "__pycache__")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n{self.err}"


@dataclass
class Project:
    """A folder that holds a spec. `env` is added to the environment of every command."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def new(cls, folder: Path) -> Project:
        """A copy of the mini spec, never compiled."""
        shutil.copytree(MINI, folder, ignore=_LEFT_BEHIND)
        return cls(folder)

    def copy(self, folder: Path) -> Project:
        """A copy with its plan and its store."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, dict(self.env))

    # Running

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell would have: an activated environment, and no caches but the project's own."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith("EXC_")}
        return {
            **bare,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.folder.parent / f".cache-{self.folder.name}"),
            "XDG_CONFIG_HOME": str(self.folder.parent / ".config"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "100",
            **self.env,
        }

    def run(self, *command: str) -> Done:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def exc(self, *arguments: str) -> Done:
        return self.run(sys.executable, "-m", "exc", *arguments)

    def ok(self, *arguments: str) -> str:
        """Run a command that must succeed; gives its stdout."""
        done = self.exc(*arguments)
        assert done.code == 0, done
        return done.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, as a shell does for what it runs."""
        return subprocess.Popen(
            [sys.executable, "-m", "exc", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )

    def script(self, job: Job) -> tuple[str, ...]:
        """The command that a person types to run one job by hand."""
        return ("bash", f"plan/jobs/{job.cls}.sh", job.id)

    # The spec

    def edit(self, old: str, new: str, file: str = "experiment.yaml") -> int:
        """Replace a text that is in a file exactly once; gives its line, counted from 1."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is in {file} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return text[: text.index(old)].count("\n") + 1

    # What is there

    @property
    def store(self) -> Path:
        return Path(self.env.get("EXC_STORE", self.folder / "store"))

    @property
    def plan(self) -> Plan:
        return read_plan(self.folder / "plan")

    @property
    def ids(self) -> set[str]:
        return {job.id for job in self.plan.jobs}

    def artifact(self, ref: str) -> Path:
        return self.store / "artifacts" / ref

    def states(self) -> dict[str, str]:
        return {job["id"]: job["state"] for job in self.status()}

    def status(self) -> list[dict[str, Any]]:
        """Every job as `exc status` has it; its exit code says whether one failed."""
        done = self.exc("status", "--json")
        jobs: list[dict[str, Any]] = json.loads(done.out)["jobs"]
        assert done.code == any(job["state"] == "failed" for job in jobs), done
        return jobs

    def attempts(self) -> list[Path]:
        return sorted(path.parent for path in self.store.glob("attempts/*/*/events.jsonl"))

    def events(self, event: str) -> list[dict[str, Any]]:
        """All events of one kind that any attempt wrote."""
        found = []
        for attempt in self.attempts():
            for line in (attempt / "events.jsonl").read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n") and (data := json.loads(line))["event"] == event:
                    found.append(data)
        return found

    def started(self) -> Counter[str]:
        """How often each job was begun."""
        return Counter(event["job"] for event in self.events("start"))

    def contents(self) -> dict[str, Any]:
        """Every artifact's files by digest with its metrics and counts: all but times and places."""
        return {
            f"{folder.parent.name}/{folder.name}": _content(folder)
            for folder in sorted(self.store.glob("artifacts/*/*"))
        }


def _content(folder: Path) -> Mapping[str, Any]:
    record = json.loads((folder / "artifact.json").read_bytes())
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path != folder / "artifact.json"
    }
    # Were it half-written or written to afterwards, the record made with it would say something else.
    assert files == {name: file["sha256"] for name, file in record["files"].items()}, folder
    return {"files": files, "metrics": record["metrics"], "counts": record["counts"]}


def wait_until(true: Callable[[], object], pause_s: float = 0.05) -> None:
    """Sleep until something is so."""
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause_s)
