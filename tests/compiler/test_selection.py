"""`at:` of a selector has a schedule's grammar."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.plan import Plan
from tests.compiler.study import plan_with

# The study's checkpoints: 400, 700, 1000 of 1000 steps of 1024 tokens.


def branched(at: Any) -> set[int]:
    plan = plan_with({"branches": [{"recipes": ["rl"], "at": at}]})
    return {int(job.id.split("/")[1]) for job in plan if job.kind == "grpo"}


@pytest.mark.parametrize(
    ("at", "steps"),
    [
        ([400, 1000], {400, 1000}),
        ({"every": 100}, {400, 700, 1000}),
        ({"every": 500}, {1000}),
        ({"steps": {"start": 500}}, {700, 1000}),
        ({"steps": {"stop": 700}}, {400, 700}),
        ({"steps": {"start": 400, "stop": 1000, "every": 300}}, {400, 700, 1000}),
        ({"steps": {"start": 400, "stop": 1000, "num": 2}}, {400, 1000}),
        ({"tokens": {"start": "600k", "stop": "800k"}}, {700}),
        ({"tokens": ["409600"]}, {400}),
        ({"tokens": ["409500"], "snap": "nearest"}, {400}),
        ({"fraction": [0.7]}, {700}),
        ({"fraction": {"start": 0.5}}, {700, 1000}),
        ({"include": ["first"]}, {400}),
        ({"include": ["last"], "steps": [700]}, {700, 1000}),
    ],
)
def test_what_a_selector_means(at: Any, steps: set[int]) -> None:
    assert branched(at) == steps


def figures(plan: Plan) -> list[Any]:
    found: list[Any] = plan.report["figures"]
    return found


def test_a_figure_of_a_part_names_its_cells() -> None:
    plan = plan_with({"report": {"figures": ["gains", {"panels": {"on": {"recipes": ["rl"], "at": [700]}}}]}})
    whole, part = figures(plan)
    assert whole == "gains"
    assert part["figure"] == "panels"
    shown = [plan.report["cells"][index] for index in part["cells"]]
    assert {(cell["recipe"], cell["at"]) for cell in shown} == {("rl", 700)}
    assert {cell["evaluation"] for cell in shown} == {"sums", "text"}


def test_a_figure_of_final_models_shows_no_snapshots() -> None:
    plan = plan_with(
        {
            "evaluations.sums.on": {"step": "all"},
            "report": {"figures": [{"gains": {"on": {"step": "final"}}}, {"gains": {"on": {"step": [20]}}}]},
        }
    )
    finals, snapshots = figures(plan)
    cells = plan.report["cells"]
    assert {cells[index]["step"] for index in finals["cells"]} == {None}
    assert {cells[index]["step"] for index in snapshots["cells"]} == {20}


def test_a_step_of_a_figure_may_be_the_last() -> None:
    part = {"recipes": ["rl"], "step": [40]}  # the study's rollouts
    plan = plan_with({"report": {"figures": [{"gains": {"on": part}}]}})
    (shown,) = figures(plan)
    cells = [plan.report["cells"][index] for index in shown["cells"]]
    assert {(cell["recipe"], cell["step"]) for cell in cells} == {("rl", None)}


def test_an_amount_that_one_trunk_has_is_enough() -> None:
    run = {"like": "tiny", "batch_size": 8}  # steps of half as many tokens
    plan = plan_with(
        {
            "trunks.small": {"pretrain": run, "checkpoints": [500]},
            "branches": [{"recipes": ["rl"], "at": {"tokens": ["256000"]}}],
        }
    )
    assert {tuple(job.id.split("/")[:2]) for job in plan if job.kind == "grpo"} == {("small", "500")}
