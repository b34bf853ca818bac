"""What the tests of several processes share: a study up to its SFT, and how far two results are apart."""

from __future__ import annotations

import json
from typing import Any

from exc.compiler.plan import Job
from tests.end_to_end.project import Project

LEADING_UP = ("tokenizer", "tokens", "pretrain", "rows")
LONGER = ("max_steps: 8", "max_steps: 40")


def by_hand(project: Project, job: Job) -> None:
    done = project.run(*project.script(job))
    assert done.code == 0, done


def of_kind(project: Project, *kinds: str) -> list[Job]:
    return [job for job in project.plan.jobs if job.kind in kinds]


def weights(project: Project, job: Job) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(project.artifact(job.artifact) / "model" / "model.safetensors")


def difference(one: Project, other: Project, job: Job) -> float:
    """The largest absolute difference between the weights that two stores have of a job."""
    a, b = weights(one, job), weights(other, job)
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def saved_steps(project: Project, job: Job) -> list[int]:
    events = [
        json.loads(line)
        for path in project.store.glob(f"attempts/{job.identity}/*/events.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return [event["step"] for event in events if event["event"] == "saved"]


def lead_up(project: Project, profiles: str) -> None:
    """Do everything up to SFT, each job by one process of this machine."""
    project.edit("checkpoints: [30, 60]", "checkpoints: [30]")
    project.edit(*LONGER)
    (project.folder / "profiles.yaml").write_text(profiles, encoding="utf-8")
    project.ok("compile")
    for job in of_kind(project, *LEADING_UP):
        by_hand(project, job)
