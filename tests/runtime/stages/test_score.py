from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.jsonl import read_jsonl, write_jsonl
from tests.runtime.stages.conftest import Bench

CONFIG: dict[str, Any] = {
    "verifier": {"kind": "numeric"},
    "k": [1, 2],
    "num_samples": 4,
    "max_unverifiable": 0.05,
}


def block(bench: Bench, number: int, texts: dict[int, list[str]], finish: str = "stop") -> Path:
    """Write a block of two samples a problem."""
    folder = bench.folder / f"block{number}"
    folder.mkdir()
    lines = [
        {"problem": problem, "sample": 2 * number + index, "text": text, "finish": finish, "num_tokens": 3}
        for problem, drawn in texts.items()
        for index, text in enumerate(drawn)
    ]
    write_jsonl(folder / "samples.jsonl", lines)
    return folder


def inputs(bench: Bench) -> dict[str, Path]:
    rows = bench.rows(
        [{"question": "1+1", "answer": "2"}, {"question": "2+2", "answer": "4"}, {"question": "unused"}]
    )
    return {
        "rows": rows,
        "samples:0": block(bench, 0, {0: ["#### 2", "#### 3"], 1: ["none", "4"]}),
        "samples:1": block(bench, 1, {0: ["2.0", "2"], 1: ["5", "5, no, 6"]}, finish="length"),
    }


def test_metrics_and_lines(bench: Bench) -> None:
    folder = bench.run("score", CONFIG, inputs(bench))
    assert bench.metrics == {
        "pass@1": (3 / 4 + 1 / 4) / 2,
        "pass@2": (1.0 + 1 / 2) / 2,
        "maj@2": (3 / 4 + 1 / 3) / 2,
        "maj@4": (1.0 + 1 / 3) / 2,
        "parse_rate": 7 / 8,
        "stop_rate": 0.5,
        "truncation_rate": 0.5,
        "unverifiable_rate": 0.0,
        "distinct": 2.5,
        "entropy": pytest.approx((math.log2(4) - 3 / 4 * math.log2(3) + math.log2(3)) / 2),
        "mean_tokens": 3.0,
    }
    scores = list(read_jsonl(folder / "scores.jsonl"))
    assert [score["parsed"] for score in scores] == ["2", "3", "2", "2", None, "4", "5", "6"]
    assert scores[2] == {"problem": 0, "sample": 2, "parsed": "2", "correct": True, "verifiable": True}
    problems = list(read_jsonl(folder / "problems.jsonl"))
    assert problems[0] == {
        **{"problem": 0, "num_samples": 4, "num_correct": 3, "num_parsed": 4, "distinct_answers": 2},
        **{"entropy": pytest.approx(math.log2(4) - 3 / 4 * math.log2(3)), "majority": 1.0},
        "majority_at": {"2": 3 / 4},
    }
    assert bench.counts.samples == 8


def test_only_the_samples_asked_for_count(bench: Bench) -> None:
    bench.run("score", {**CONFIG, "num_samples": 3, "k": [3]}, inputs(bench))
    assert bench.metrics["pass@3"] == 1.0
    assert bench.metrics["mean_tokens"] == 3.0
    assert bench.counts.samples == 6


@pytest.mark.parametrize(
    ("change", "drop", "kind", "message"),
    [
        ({"k": [1, 5]}, None, "config", "pass@5 cannot be estimated from 4 samples a problem"),
        ({}, "samples:1", "data", "problem 0 lacks 2 of its 4 samples"),
        ({"num_samples": 6}, None, "data", "problem 0 lacks 2 of its 6 samples"),
    ],
)
def test_missing_samples(bench: Bench, change: Any, drop: str | None, kind: str, message: str) -> None:
    given = {role: path for role, path in inputs(bench).items() if role != drop}
    with pytest.raises(JobFailed, match=message) as failure:
        bench.run("score", {**CONFIG, **change}, given)
    assert failure.value.kind == kind


def test_doubled_samples(bench: Bench) -> None:
    given = inputs(bench)
    with pytest.raises(JobFailed, match="sample 0 of problem 0 is there twice"):
        bench.run("score", CONFIG, {**given, "samples:1": given["samples:0"]})


def test_samples_of_another_split(bench: Bench) -> None:
    given = inputs(bench)
    rows = bench.rows([{"question": "1+1", "answer": "2"}], out="other")
    with pytest.raises(JobFailed, match="samples of problem 1, which is not among the rows"):
        bench.run("score", CONFIG, {**given, "rows": rows})


def test_too_much_that_cannot_be_judged(bench: Bench) -> None:
    bench.write(
        "strict.py",
        "def f(completion, answer, row):\n    return float(completion.strip('# ')) == float(answer)\n",
    )
    verifier = {"kind": "python", "target": "strict:f"}
    given = inputs(bench)
    with pytest.raises(JobFailed) as failure:
        bench.run("score", {**CONFIG, "verifier": verifier}, given)
    assert failure.value.kind == "verifier"
    assert str(failure.value) == (
        "2 of 8 samples (25.0%) could not be judged, which is more than max_unverifiable = 0.05; the first: "
        "`strict:f` failed on row 1: strict.py:2: ValueError: could not convert string to float: 'none'"
    )
    bench.run("score", {**CONFIG, "verifier": verifier, "max_unverifiable": 0.25}, given)
    assert bench.metrics["unverifiable_rate"] == 0.25
    assert bench.metrics["pass@1"] == 0.5


def test_stages_without_a_model_load_no_torch() -> None:
    code = (
        "import sys, exc.runtime.stages.score, exc.runtime.stages.rows, exc.runtime.stages.command\n"
        "assert not {'torch', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
