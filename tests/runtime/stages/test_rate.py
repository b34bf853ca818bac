"""Samples as rows of data: what is right, what is wrong, in which order; against plain Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from tests.runtime.stages.conftest import Bench

PROBLEMS = [
    {"question": "1+1", "answer": "2", "level": 1},
    {"question": "2+2", "answer": "4", "level": 2},
    {"question": "3+3", "answer": "6", "level": 3},
]
TEXTS = [
    ["2", "so 2", "3", "2", "3", "no"],
    ["5", "5", "6", "7", "8", "9"],
    ["6", "6", "6", "is 6", "6", "6"],
]
CONFIG = {"verifier": {"kind": "numeric"}, "num_samples": 6, "max_unverifiable": 0.05}


def blocks(bench: Bench, texts: list[list[str]], size: int = 4) -> dict[str, Path]:
    """Sample artifacts with the texts of each problem, dealt out in blocks."""
    folders: dict[str, Path] = {}
    for start in range(0, max(map(len, texts)), size):
        folder = bench.folder / "artifacts" / f"sample-{start}"
        folder.mkdir(parents=True)
        lines = [
            {"problem": problem, "sample": start + at, "text": text, "finish": "stop", "num_tokens": 1}
            for problem, drawn in enumerate(texts)
            for at, text in enumerate(drawn[start : start + size])
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "samples.jsonl").write_text(text, encoding="utf-8")
        folders[f"samples:{start // size}"] = folder
    return folders


def rate(
    bench: Bench, texts: list[list[str]] = TEXTS, problems: Any = PROBLEMS, **config: Any
) -> list[dict[str, Any]]:
    inputs = {"rows": bench.rows(problems), **blocks(bench, texts)}
    path = bench.run("rate", {**CONFIG, **config}, inputs) / "rows.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_problem_is_a_row_with_what_was_said(bench: Bench) -> None:
    rows = rate(bench)
    wanted = []
    for problem, drawn in zip(PROBLEMS, TEXTS, strict=True):
        right = [text for text in drawn if text.split()[-1] == problem["answer"]]
        wrong = [text for text in drawn if text not in right]
        wanted.append(
            {
                **problem,
                "num_samples": 6,
                "num_correct": len(right),
                "share_correct": len(right) / 6,
                "demonstrations": sorted(set(right), key=right.index),
                "wrong": sorted(set(wrong), key=wrong.index),
            }
        )
    assert rows == wanted
    assert bench.metrics["rows_in"] == bench.metrics["rows_out"] == 3
    assert bench.metrics["share_correct"] == pytest.approx(9 / 18)
    assert (bench.metrics["rows_with_right"], bench.metrics["rows_with_both"]) == (2, 1)
    assert bench.counts.samples == 18


def test_only_as_many_samples_as_asked_for_count(bench: Bench) -> None:
    rows = rate(bench, num_samples=2)
    assert [row["demonstrations"] for row in rows] == [["2", "so 2"], [], ["6"]]
    assert [row["num_samples"] for row in rows] == [2, 2, 2]


def test_problems_that_were_not_sampled_are_no_rows(bench: Bench) -> None:
    rows = rate(bench, TEXTS[:2])
    assert [row["question"] for row in rows] == ["1+1", "2+2"]
    assert (bench.metrics["rows_in"], bench.metrics["rows_out"]) == (3, 2)


def test_what_could_not_be_judged_is_neither_right_nor_wrong(bench: Bench) -> None:
    bench.write(
        "checks.py",
        "def check(completion, answer, row):\n"
        "    assert completion != 'so 2'\n"
        "    return completion == answer\n",
    )
    verifier = {"kind": "python", "target": "checks:check", "code": "0"}
    rows = rate(bench, verifier=verifier, max_unverifiable=0.5)
    assert rows[0]["demonstrations"] == ["2"]
    assert rows[0]["wrong"] == ["3", "no"]
    assert bench.metrics["unverifiable_rate"] == pytest.approx(1 / 18)


def test_too_much_that_could_not_be_judged_fails(bench: Bench) -> None:
    with pytest.raises(JobFailed, match="could not be judged") as caught:
        rate(bench, problems=[{**PROBLEMS[0], "answer": "two"}, *PROBLEMS[1:]])
    assert caught.value.kind == "verifier"


def test_missing_samples_fail(bench: Bench) -> None:
    with pytest.raises(JobFailed, match="problem 1 lacks 2 of its 6 samples"):
        rate(bench, [TEXTS[0], TEXTS[1][:4], TEXTS[2]])


def test_a_field_with_a_name_of_its_own_is_refused(bench: Bench) -> None:
    with pytest.raises(JobFailed, match="the task has a field `num_correct`"):
        rate(bench, problems=[{**problem, "num_correct": 1} for problem in PROBLEMS])
