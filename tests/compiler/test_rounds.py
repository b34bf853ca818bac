"""`$round` in a repeated block: each round reads data, and has settings, of its own."""

from __future__ import annotations

from typing import Any

from exc.spec.load import load_text
from tests.compiler.study import plan_with
from tests.spec.test_cases import completed

HALVES = {
    "data.problems-1": {"data": "problems", "take": 100},
    "data.problems-2": {"data": "problems", "drop": 100},
    "tasks.sums.splits": {
        "train": {"data": "problems", "columns": {"demonstrations": "worked"}},
        "test": {"data": "held-out"},
        "part-1": {"data": "problems-1", "columns": {"demonstrations": "worked"}},
        "part-2": {"data": "problems-2", "columns": {"demonstrations": "worked"}},
    },
}


def block(stage: dict[str, Any], repeat: int = 2) -> list[dict[str, Any]]:
    return [{"cycle": {"repeat": repeat, "stages": [stage]}}]


def test_each_round_reads_data_of_its_own() -> None:
    stage = {"sft": {"sft": {"like": "sft.sft", "split": "part-${round}"}}}
    plan = plan_with({**HALVES, "recipes.parts": block(stage)})
    rows = {
        job.id.rpartition("/")[2]: next(need.job for need in job.needs if need.role == "rows")
        for job in plan
        if job.id.startswith("tiny/400/parts/") and job.kind == "sft"
    }
    assert rows == {"sft-1": "tasks/sums/part-1", "sft-2": "tasks/sums/part-2"}


def test_a_whole_value_is_a_number() -> None:
    stage = {"sft": {"sft": {"like": "sft.sft", "max_steps": "$round"}}}
    plan = plan_with({"recipes.longer": block(stage, 3)})
    steps = [
        job.config["max_steps"] for job in plan if job.id.startswith("tiny/400/longer/") and job.kind == "sft"
    ]
    assert steps == [1, 2, 3]


def test_written_out_it_is_the_same() -> None:
    repeated = plan_with(
        {**HALVES, "recipes.parts": block({"sft": {"sft": {"like": "sft.sft", "split": "part-${round}"}}})}
    )
    written = plan_with(
        {
            **HALVES,
            "recipes.parts": [
                {f"sft-{number}": {"sft": {"like": "sft.sft", "split": f"part-{number}"}}}
                for number in (1, 2)
            ],
        }
    )
    rounds = {job.id: job.identity for job in repeated if "/parts/" in job.id and job.kind == "sft"}
    first = {name: identity for name, identity in rounds.items() if name.endswith("-1")}
    alike = {job.id: job.identity for job in written if job.id in first}
    assert first == alike  # the second round draws with a seed of its own


def test_in_a_matrix_and_in_keys() -> None:
    text = completed(
        """\
recipes:
  rounds:
    matrix: {steps: [4, 8]}
    stages:
      - cycle:
          repeat: 2
          stages:
            - one: {sft: {task: arith, batch_size: 8, max_steps: $steps, split: "${round} of $steps"}}
"""
    )
    loaded = load_text(text, "experiment.yaml")
    assert [found.code for found in loaded.diagnostics if found.code == "unknown-axis"] == []
    again = text.replace("matrix: {steps: [4, 8]}", "matrix: {round: [4, 8]}").replace("$steps", "$round")
    assert load_text(again, "experiment.yaml").draft is not None


def test_a_shell_line_keeps_its_other_dollars() -> None:
    stage = {"own": {"command": {"run": "echo $HOME ${round} $$ > log; $round"}}}
    plan = plan_with({"recipes.own": block(stage)})
    lines = [job.config["run"] for job in plan if job.kind == "command" and job.id.startswith("tiny/400/")]
    assert lines == [f"echo $HOME {number} $$ > log; $round" for number in (1, 2)]
