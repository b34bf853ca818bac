"""Published designs as specs: they compile to the plans that their pages describe, and the small ones run."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exc.compiler.plan import Job, Plan
from exc.pipeline import compile_spec
from tests.compiler.study import loaded
from tests.docs_blocks import differences
from tests.end_to_end.project import Project

ROOT = Path(__file__).resolve().parent.parent
DESIGNS = ROOT / "examples" / "designs"
PAGE = ROOT / "docs" / "designs.md"
MADE = shutil.ignore_patterns("plan", "store", "report", "__pycache__", "exc.lock")

# What the plan of each holds, by kind of job.
JOBS = {
    "evolm/experiment.yaml": {
        "fetch": 6, "tokenizer": 1, "tokens": 2, "derive": 3, "rows": 4, "pretrain": 36, "sft": 72, "grpo": 72,
        "sample": 180, "score": 180, "bits_per_byte": 180,
    },
    "interleaved/experiment.yaml": {
        "fetch": 5, "tokenizer": 1, "tokens": 2, "rows": 3, "pretrain": 8, "grpo": 7, "sample": 10, "score": 5,
        "bits_per_byte": 5,
    },
    "interleaved/mini.yaml": {
        "tokenizer": 1, "tokens": 2, "rows": 2, "pretrain": 6, "grpo": 5, "sample": 5, "score": 5,
        "bits_per_byte": 5,
    },
    "own-preferences/experiment.yaml": {
        "fetch": 3, "tokenizer": 1, "tokens": 1, "rows": 17, "pretrain": 5, "rate": 15, "derive": 15, "dpo": 20,
        "grpo": 5, "sample": 110, "score": 20,
    },
    "own-preferences/mini.yaml": {
        "tokenizer": 1, "tokens": 1, "rows": 8, "pretrain": 2, "rate": 6, "derive": 6, "dpo": 8, "grpo": 2,
        "sample": 14, "score": 8,
    },
    "pass-at-k/experiment.yaml": {"fetch": 10, "rows": 2, "sample": 256, "score": 16},
    "stem-decay/experiment.yaml": {
        "fetch": 6, "tokens": 5, "rows": 2, "pretrain": 7, "grpo": 14, "sample": 86, "score": 43,
    },
}  # fmt: skip


@cache
def plan_of(spec: str) -> Plan:
    """The plan, after a look at the findings: nothing here is locked, and nothing else may be found."""
    found = compile_spec(DESIGNS / spec)
    assert found.experiment is not None
    accepted = found.experiment.spec.accept.keys()
    assert {finding.code for finding in found.diagnostics} - accepted <= {"unlocked"}
    assert found.plan is not None
    return found.plan


def jobs(spec: str, cls: str) -> list[Job]:
    found = [job for job in plan_of(spec).jobs if job.cls == cls]
    assert found
    return found


def needs(job: Job, *roles: str) -> set[str]:
    return {need.job for need in job.needs if need.role in roles}


def test_every_spec_is_counted() -> None:
    specs = {path.relative_to(DESIGNS).as_posix() for path in DESIGNS.glob("*/*.yaml")}
    assert specs == set(JOBS)


@pytest.mark.parametrize("spec", JOBS)
def test_it_compiles_to_the_jobs_that_are_meant(spec: str) -> None:
    assert Counter(job.kind for job in plan_of(spec).jobs) == JOBS[spec]


@pytest.mark.parametrize("spec", JOBS)
def test_the_readme_counts_what_the_plan_holds(spec: str) -> None:
    folder, file = spec.split("/")
    plan = plan_of(spec)
    said = f"`{file}`: {len(plan.jobs)} jobs in {len({job.cls for job in plan.jobs})} classes"
    assert said in (DESIGNS / folder / "README.md").read_text(encoding="utf-8")


# --- what each design is about ------------------------------------------------------------------------------


def test_evolm_every_budget_is_a_run_of_its_own() -> None:
    plan = plan_of("evolm/experiment.yaml")
    runs = [job for job in plan.jobs if job.kind == "pretrain" and job.id.startswith("web-")]
    finished = [job for job in runs if job.config["step"] == job.config["lr"]["total_steps"]]
    assert len(finished) == len(runs) == 12
    # More pre-training starts from the end of the run with the same budget.
    starts = {job.id: need.job for job in plan.jobs for need in job.needs if job.id.startswith("math-1b") and
              job.kind == "pretrain" and need.job.startswith("web-1b") and "/pretrain/" in need.job}
    assert len(starts) == 16
    for mine, other in starts.items():
        assert re.search(r"budget=(\w+)", mine)[1] == re.search(r"budget=(\w+)", other)[1]  # type: ignore[index]


def test_pass_at_k_nothing_is_trained_and_each_pair_is_measured() -> None:
    plan = plan_of("pass-at-k/experiment.yaml")
    evaluations = [job for job in plan.jobs if job.kind == "score"]
    assert all(max(job.config["k"]) == 256 and len(job.needs) >= 16 for job in evaluations)


def test_stem_decay_three_branches_from_the_end_of_one_stem() -> None:
    plan = plan_of("stem-decay/experiment.yaml")
    decays = [job for job in plan.jobs if job.kind == "pretrain" and job.id.startswith("decay-")]
    assert len(decays) == 3
    stem = max(job.config["step"] for job in plan.jobs if job.id.startswith("stem/pretrain/"))
    for job in decays:
        assert f"stem/pretrain/{stem}" in {need.job for need in job.needs}
    assert len({job.identity for job in decays}) == 3


# --- the page -----------------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    """Folder -> the section of the page that is about it."""
    parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for part in parts:
        folder = re.search(r"\.\./examples/designs/([\w-]+)/README\.md", part)
        assert folder is not None, part.splitlines()[0]
        found[folder[1]] = part
    return found


def test_each_design_has_its_section() -> None:
    assert set(sections()) == {path.parent.name for path in DESIGNS.glob("*/experiment.yaml")}


def test_what_the_page_shows_is_in_the_spec() -> None:
    shown = 0
    for folder, text in sections().items():
        whole = loaded((DESIGNS / folder / "experiment.yaml").read_text(encoding="utf-8"))
        for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            assert list(differences(loaded(block), whole)) == [], folder
            shown += 1
    assert shown >= len(sections())


# --- in miniature -------------------------------------------------------------------------------------------


def run(folder: str, tmp_path: Path) -> tuple[Project, list[dict[str, Any]]]:
    """Compile, run and report the miniature; its cells."""
    project = Project(Path(shutil.copytree(DESIGNS / folder, tmp_path / folder, ignore=MADE)))
    project.ok("compile", "mini.yaml")
    project.ok("submit")
    assert set(project.states().values()) == {"done"}
    project.ok("report")
    results = json.loads((project.folder / "report" / "results.json").read_text(encoding="utf-8"))
    assert (project.folder / "report" / "index.html").stat().st_size > 0
    return project, results["cells"]


def record(project: Project, job: str) -> dict[str, Any]:
    """What the job's artifact says of itself."""
    found: dict[str, Any] = json.loads(
        (project.artifact(project.plan.job(job).artifact) / "artifact.json").read_bytes()
    )
    return found


def weights(project: Project, job: str) -> bytes:
    return (project.artifact(project.plan.job(job).artifact) / "model" / "model.safetensors").read_bytes()
