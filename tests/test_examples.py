"""The examples compile the same anywhere, and their data is what their specs read."""

from __future__ import annotations

import importlib.util
import re
import shutil
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler.folder import plan_folder
from exc.compiler.plan import Job, Plan
from exc.pipeline import compile_spec
from exc.runtime.stages.prompts import Row, read_rows, render_prompt
from exc.runtime.stages.sources import read_source
from exc.runtime.stages.verifiers import numeric
from exc.spec.experiment import Experiment
from tests.runtime.stages.conftest import Bench

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/experiment.yaml"))
MADE = shutil.ignore_patterns("plan", "store", "report", "__pycache__")


@cache
def compiled(name: str) -> tuple[Experiment, Plan]:
    found = compile_spec(EXAMPLES / name / "experiment.yaml")
    assert list(found.diagnostics) == []
    assert found.experiment is not None
    assert found.plan is not None
    return found.experiment, found.plan


@pytest.mark.parametrize("name", NAMES)
def test_it_compiles_to_the_same_bytes_elsewhere(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES / name, tmp_path / "elsewhere", ignore=MADE)
    again = compile_spec(folder / "experiment.yaml").plan
    assert again is not None
    assert plan_folder(again) == plan_folder(compiled(name)[1])


def jobs(name: str, kind: str) -> list[Job]:
    found = [job for job in compiled(name)[1].jobs if job.kind == kind]
    assert found
    return found


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rows(name: str, tmp_path: Path) -> dict[str, list[Row]]:
    """The rows of every split that the example reads, by the job that reads them; the stage makes them."""
    shutil.copytree(EXAMPLES / name, tmp_path / "spec", ignore=MADE)
    bench = Bench(tmp_path)
    return {job.id: read_rows(bench.run("rows", job.config, out=job.id)) for job in jobs(name, "rows")}


def prompts(name: str, rows: dict[str, list[Row]], split: str) -> list[str]:
    """The prompts of one split of all tasks."""
    tasks = compiled(name)[0].spec.tasks
    return [
        render_prompt(tasks[job_id.split("/")[1].split(".")[0]].prompt, row.fields)
        for job_id, found in rows.items()
        if job_id.split("/")[-1] == split
        for row in found
    ]


def test_no_problem_is_trained_on_and_tested(name: str, rows: dict[str, list[Row]]) -> None:
    train, test = prompts(name, rows, "train"), prompts(name, rows, "test")
    assert len(train) > 100
    assert len(test) > 30
    assert set(train).isdisjoint(test)
    assert len(set(test)) == len(test)


def test_every_demonstration_is_right(rows: dict[str, list[Row]]) -> None:
    shown = [(text, row) for found in rows.values() for row in found for text in row.demonstrations]
    assert len(shown) > 100
    assert [text for text, row in shown if not numeric(text, row).correct] == []


def paragraphs(name: str, kind: str) -> set[str]:
    """The paragraphs of what jobs of a kind read."""
    return {
        paragraph.strip()
        for job in jobs(name, kind)
        for record in read_source(job.config["source"], EXAMPLES / name)
        for paragraph in record.text("text").split("\n\n")
    }


def test_no_text_is_trained_on_and_tested(name: str) -> None:
    train, test = paragraphs(name, "tokens"), paragraphs(name, "bits_per_byte")
    assert min(len(train), len(test)) > 50
    assert train.isdisjoint(test), f"{len(train & test)} of {len(test)} held-out paragraphs are trained on"


@cache
def arithmetic() -> ModuleType:
    spec = importlib.util.spec_from_file_location("arithmetic", EXAMPLES / "quickstart" / "arithmetic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SEEDS = st.integers(0, 2**32)
QUESTION = re.compile(r"(?<!\d)\d+[+-]\d+[+-]\d+")


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_no_document_shows_a_question_that_is_held_out(seed: int) -> None:
    module = arithmetic()
    documents = "\n".join(document["text"] for document in module.documents(seed, 300))
    shown = set(QUESTION.findall(documents))
    assert len(shown) > 100
    assert {module._split(question) for question in shown} == {"train"}


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(["train", "test"]))
def test_a_problem_is_of_its_split_and_has_its_answer(seed: int, split: str) -> None:
    module = arithmetic()
    found = list(module.problems(split, seed, 50))
    assert len({problem["question"] for problem in found}) == 50
    for problem in found:
        assert module._split(problem["question"]) == split
        terms = [int(term) for term in re.findall(r"[+-]?\d+", problem["question"])]
        assert sum(terms) == int(problem["answer"])
        assert 10 <= sum(terms) <= 99
