"""Problems looked for in training data: one job for each source, whoever trains on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compiler.study import plan_with

LEAKS = {"contamination": {"task": "sums"}}
MORE = {
    "data.easy": {"data": "problems", "where": {"level": {"max": 1}}},
    "data.own": {"samples": {"from": "prev", "task": "sums", "num_samples": 16, "max_new_tokens": 8}},
    "tasks.sums.splits.easy": {"data": "easy"},
    "tasks.sums.splits.own": {"data": "own"},
    "recipes.easy": [{"sft": {"sft": {"like": "sft.sft", "split": "easy"}}}],
    "recipes.rft": [{"sft": {"sft": {"like": "sft.sft", "split": "own"}}}],
}


def sought(changes: dict[str, Any]) -> dict[str, list[str]]:
    plan = plan_with(changes)
    found = plan.report["contamination"]
    jobs = {job.id for job in plan.jobs if job.kind == "contamination"}
    assert {entry["job"] for entry in found} == jobs
    return {entry["data"]: entry["trains"] for entry in found}


def test_every_source_that_is_trained_on() -> None:
    assert sought({"evaluations.leaks": LEAKS} | MORE) == {
        "docs": ["the mixture of `tiny`"],
        # What a branch samples from its own model is looked for where its problems come from.
        "problems": ["`rl.rl`", "`sft.sft`", "`sft-rl.rl`", "`rft.sft`", "the mixture of `tiny`"],
        "easy": ["`easy.sft`"],
    }


@pytest.mark.parametrize(
    ("on", "sources"),
    [
        ({"recipes": ["base"]}, {"docs", "problems"}),
        ({"recipes": ["easy"]}, {"easy"}),
    ],
)
def test_a_selector_says_whose(on: dict[str, list[str]], sources: set[str]) -> None:
    assert set(sought({"evaluations.leaks": {**LEAKS, "on": on}} | MORE)) == sources


def test_a_source_that_a_job_makes_is_read_from_it() -> None:
    plan = plan_with({"evaluations.leaks": LEAKS} | MORE)
    assert {need.role: need.job for need in plan.job("contamination/leaks/easy").needs} == {
        "rows": "tasks/sums/test",
        "source": "data/easy",
    }
    assert plan.job("contamination/leaks/docs").config["fields"] == ["question"]


def test_it_measures_no_model_and_without_it_nothing_is_said() -> None:
    plan = plan_with({"evaluations.leaks": LEAKS})
    assert not [cell for cell in plan.report["cells"] if cell["evaluation"] == "leaks"]
    assert "contamination" not in plan_with({}).report
