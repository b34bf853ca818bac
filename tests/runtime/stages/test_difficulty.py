"""Problems by difficulty: a model's samples, rated by the verifier, and filtered by how many were right."""

from __future__ import annotations

from typing import Any

import pytest

from exc.runtime.stages.jsonl import read_jsonl, write_jsonl
from tests.runtime.stages.conftest import Bench

NUM_SAMPLES = 64
RIGHT = [0, 8, 9, 15, 16, 64]  # of each problem's samples


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"num_correct": {"min": 16}}, [16, 64]),
        ({"num_correct": {"max": 8}}, [0, 8]),
        ({"num_correct": {"min": 1, "max": 8}}, [8]),
        ({"share_correct": {"min": 0.25, "max": 0.25}}, [16]),
        ({"num_correct": {"max": 8}, "problem_source": {"is": ["gsm8k"]}}, [0]),
    ],
)
def test_easy_and_hard_problems(bench: Bench, where: dict[str, Any], kept: list[int]) -> None:
    problems = [
        {"question": f"{n}+1", "answer": str(n + 1), "problem_source": "gsm8k" if n % 2 == 0 else "math"}
        for n in range(len(RIGHT))
    ]
    rows = bench.rows(problems)
    samples = bench.folder / "artifacts" / "samples"
    samples.mkdir()
    write_jsonl(
        samples / "samples.jsonl",
        [
            {
                **{"problem": n, "sample": s, "finish": "stop", "num_tokens": 3},
                "text": f"#### {n + 1 if s < RIGHT[n] else -1}",
            }
            for n in range(len(RIGHT))
            for s in range(NUM_SAMPLES)
        ],
    )
    judged = {"verifier": {"kind": "numeric"}, "num_samples": NUM_SAMPLES, "max_unverifiable": 0.0}
    rated = bench.run("rate", judged, {"rows": rows, "samples:0": samples})
    source = {"name": "rated", "kind": "job", "role": "source"}
    plain = {"data": "d", "source": source, "group_by": None, "drop": 0, "take": None, "pairs": None}
    folder = bench.run("derive", {**plain, "where": where}, {"source": rated})
    assert [row["num_correct"] for row in read_jsonl(folder / "rows.jsonl")] == kept
