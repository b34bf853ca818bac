"""Published designs as specs: they compile to the plans that their pages describe, and the small ones run."""

from __future__ import annotations

import itertools
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
        "fetch": 6, "tokenizer": 1, "tokens": 2, "derive": 3, "rows": 4, "pretrain": 36, "sft": 72,
        "grpo": 72, "sample": 180, "score": 180, "bits_per_byte": 180,
    },
    "interleaved/experiment.yaml": {
        "fetch": 5, "tokenizer": 1, "tokens": 2, "rows": 3, "pretrain": 8, "grpo": 6, "sample": 10,
        "score": 5, "bits_per_byte": 5,
    },
    "interleaved/mini.yaml": {
        "tokenizer": 1, "tokens": 2, "rows": 2, "pretrain": 6, "grpo": 4, "sample": 5, "score": 5,
        "bits_per_byte": 5,
    },
    "own-preferences/experiment.yaml": {
        "fetch": 3, "tokenizer": 1, "tokens": 1, "rows": 17, "pretrain": 5, "rate": 15, "derive": 15,
        "dpo": 20, "grpo": 5, "sample": 130, "score": 25,
    },
    "own-preferences/mini.yaml": {
        "tokenizer": 1, "tokens": 1, "rows": 8, "pretrain": 2, "rate": 6, "derive": 6, "dpo": 8, "grpo": 2,
        "sample": 16, "score": 10,
    },
    "pass-at-k/experiment.yaml": {"fetch": 10, "rows": 2, "sample": 256, "score": 16},
    "published-rungs/experiment.yaml": {
        "fetch": 15, "rows": 2, "grpo": 28, "sft": 6, "sample": 92, "score": 46, "bits_per_byte": 46,
    },
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


def test_the_miniatures_have_one_source_of_sums() -> None:
    """Modules lie beside their spec, so there are copies; `cp` it again where this fails."""
    assert len({path.read_bytes() for path in DESIGNS.glob("*/sums.py")}) == 1


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
    more = [job for job in plan.jobs if job.kind == "pretrain" and job.id.startswith("math-1b")]
    assert len(more) == 16
    for job in more:
        (start,) = needs(job, "model")
        assert start.startswith("web-1b[")
        assert budget(start) == budget(job.id)
    assert {job.id for job in plan.jobs if job.kind == "pretrain" and job.id.startswith("midway-1b/")} == {
        f"midway-1b/pretrain/{step}" for step in (10071, 20141, 40283, 80566)
    }  # 1, 2, 4 and 8 times 20 tokens per parameter; its end is that of web-1b[budget=320B]


def budget(job: str) -> str:
    found = re.search(r"budget=(\w+)", job)
    assert found is not None
    return found[1]


def test_pass_at_k_each_pair_is_measured_alike() -> None:
    plan = plan_of("pass-at-k/experiment.yaml")
    pairs: dict[tuple[str, str], set[str]] = {}
    for cell in plan.report["cells"]:
        pairs.setdefault((cell["evaluation"], cell["trunk"]), set()).add(cell["recipe"])
    assert len(pairs) == 2 * 4
    assert all(len(recipes) == 2 and "base" in recipes for recipes in pairs.values())
    for job in plan.jobs:
        if job.kind == "score":
            assert job.config["k"][-1] == 256
            assert len([need for need in job.needs if plan.job(need.job).kind == "sample"]) == 16


def test_published_rungs_of_a_run_in_two_repositories() -> None:
    plan = plan_of("published-rungs/experiment.yaml")
    fetched = [job for job in plan.jobs if job.kind == "fetch" and job.id.startswith("olmo2-1b/")]
    rungs = {job.id: job.config["hub"]["repo"] for job in fetched}
    assert len(rungs) == 8
    assert {name.rpartition("/")[2] for name, repo in rungs.items() if repo.endswith("-early-training")} == {
        "1000", "3000", "8000", "25000"
    }  # fmt: skip
    tokens = {(cell["trunk"], cell["at"]): cell["tokens"] for cell in plan.report["cells"]}
    assert tokens["olmo2-1b", 1000] == tokens["pythia-1b", 1000] == 1000 * 2_097_152
    early = [cell for cell in plan.report["cells"] if (cell["recipe"], cell["at"]) == ("rl", 1000)]
    assert {cell["replicate"] for cell in early} == {0, 1, 2}


def test_stem_decay_three_branches_from_the_end_of_one_stem() -> None:
    plan = plan_of("stem-decay/experiment.yaml")
    runs = [job for job in plan.jobs if job.kind == "pretrain"]
    end = max((job for job in runs if job.id.startswith("stem/")), key=lambda job: int(job.config["step"]))
    decays = [job for job in runs if job.id.startswith("decay-")]
    assert len({job.identity for job in decays}) == 3
    assert all(needs(job, "model") == needs(job, "continues") == {end.id} for job in decays)
    # They differ in what they read, and in nothing else.
    settings = [{key: value for key, value in job.config.items() if key != "mixture"} for job in decays]
    assert settings[0] == settings[1] == settings[2]


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


@pytest.mark.ci
def test_own_preferences_in_miniature(tmp_path: Path) -> None:
    project, cells = run("own-preferences", tmp_path)
    for at in (1500, 3000):
        rounds = [f"small/{at}/dpo/r0/round-{number}" for number in (1, 2)]
        # Each round trains on what the model before it said, and starts from that model.
        assert rounds[0] in needs(project.plan.job(rounds[1]), "model")
        (pairs,) = needs(project.plan.job(rounds[1]), "rows")
        assert rounds[0] in ancestors(project.plan, pairs)
        for job in rounds:
            assert record(project, job)["metrics"]["reward_margin"] > 0  # right answers gained on wrong ones
            adapter = project.artifact(project.plan.job(job).artifact) / "adapter"
            assert list(adapter.glob("*.safetensors"))
        models = [weights(project, job) for job in (f"small/pretrain/{at}", *rounds)]
        assert len(set(models)) == 3
    measured = {(cell["at"], cell["recipe"]) for cell in cells if cell["value"] is not None}
    assert measured == {
        (at, recipe) for at in (1500, 3000) for recipe in ("base", "dpo", "dpo-once", "dpo-alone", "rl")
    }


@pytest.mark.ci
def test_interleaved_in_miniature(tmp_path: Path) -> None:
    project, cells = run("interleaved", tmp_path)
    plan, turns = project.plan, "stem/1200/taking-turns/r0"
    # The turns chain: each starts from the model of the one before, and pre-training goes on where it was.
    chain = [
        "stem/pretrain/1200",
        *(f"{turns}/{kind}-{number}" for number in (1, 2, 3) for kind in ("rl", "more")),
    ]
    for before, after in itertools.pairwise(chain):
        assert before in needs(plan.job(after), "model")
    assert [plan.job(f"{turns}/more-{number}").config["start_step"] for number in (1, 2, 3)] == [
        1200,
        1600,
        2000,
    ]
    ends = ["stem/pretrain/2400", f"{turns}/more-3", "stem/1200/before/r0/more"]
    rates = [record(project, job)["metrics"]["learning_rate"] for job in ends]
    assert rates == pytest.approx([rates[0]] * 3)
    assert len({weights(project, job) for job in ends}) == 3
    # What is compared had the same: tokens of pre-training, and problems in RL.
    tokens = [record(project, f"{turns}/more-{number}")["counts"]["tokens"] for number in (1, 2, 3)]
    assert sum(tokens) == record(project, "stem/1200/before/r0/more")["counts"]["tokens"] == 1200 * 16 * 64
    samples = [record(project, f"{turns}/rl-{number}")["counts"]["samples"] for number in (2, 3)]
    assert samples[0] == samples[1] == record(project, "stem/1200/at-the-end/r0/rl")["counts"]["samples"] / 3
    # The report sets the turns beside the end of the trunk, which is another checkpoint than theirs.
    results = json.loads((project.folder / "report" / "results.json").read_text(encoding="utf-8"))
    pairs = {(row["a"], row["b"]) for row in results["contrasts"] if "asked" in row["against"].split()}
    assert pairs == {
        ("taking-turns", "base on stem at 2400"), ("taking-turns", "at-the-end"), ("before", "at-the-end")
    }  # fmt: skip
    assert results["notes"] == []
    assert {cell["at"] for cell in cells if cell["recipe"] == "base"} == {1200, 2400}


def ancestors(plan: Plan, job: str) -> set[str]:
    """All jobs that it needs, directly or not."""
    found: set[str] = set()
    waiting = [job]
    while waiting:
        for need in plan.job(waiting.pop()).needs:
            if need.job not in found:
                found.add(need.job)
                waiting.append(need.job)
    return found
