from __future__ import annotations

import json
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.prompts import Row, read_rows
from tests.runtime.stages.conftest import Bench

SOLUTION = "48/2 = 24\n#### 1,072"


def config(bench: Bench, columns: dict[str, Any], limit: int | None = None) -> dict[str, Any]:
    full = {
        field: spec if isinstance(spec, dict) else {"column": spec, "regex": None}
        for field, spec in columns.items()
    }
    return {
        "task": "gsm8k",
        "split": "test",
        "source": bench.source("gsm8k.jsonl"),
        "columns": full,
        "limit": limit,
    }


def put(bench: Bench, *rows: dict[str, Any]) -> None:
    bench.write("gsm8k.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def test_columns_are_chosen_renamed_and_cut(bench: Bench) -> None:
    put(bench, {"q": "How many?", "solution": SOLUTION, "level": 2, "other": None})
    answer = {"column": "solution", "regex": "#### (.*)"}
    columns = {"question": "q", "answer": answer, "demonstrations": "solution", "level": "level"}
    folder = bench.run("rows", config(bench, columns))
    assert read_rows(folder) == [
        Row(0, {"question": "How many?", "answer": "1,072", "level": 2}, "1,072", (SOLUTION,)),
    ]
    assert (bench.metrics, bench.counts.samples) == ({"num_rows": 1}, 1)


def test_answers_become_text_and_demonstrations_a_list(bench: Bench) -> None:
    put(bench, {"a": 7, "d": ["x", "y"]}, {"a": None, "d": None})
    rows = read_rows(bench.run("rows", config(bench, {"answer": "a", "demonstrations": "d"})))
    assert [(row.answer, row.demonstrations) for row in rows] == [("7", ("x", "y")), (None, ())]


def test_limit_takes_the_first_rows(bench: Bench) -> None:
    put(bench, *({"q": str(i)} for i in range(9)))
    rows = read_rows(bench.run("rows", config(bench, {"question": "q"}, limit=4)))
    assert [(row.index, row.fields["question"]) for row in rows] == [(i, str(i)) for i in range(4)]


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        ({"question": "question"}, "data", "gsm8k.jsonl row 2 has no column `question` (it has: q, a, d)"),
        (
            {"answer": {"column": "a", "regex": "#### (.*)"}},
            "data",
            "gsm8k.jsonl row 2: column `a` does not match '#### (.*)' (it holds 'no marker')",
        ),
        (
            {"demonstrations": "d"},
            "data",
            "gsm8k.jsonl row 2: a demonstration in `d` is a number, not a string",
        ),
        (
            {"answer": {"column": "a", "regex": "("}},
            "config",
            "column `answer`: regex '(': missing ), unterminated",
        ),
        (
            {"answer": {"column": "a", "regex": "x"}},
            "config",
            "column `answer`: regex 'x' has no group to take",
        ),
    ],
)
def test_what_is_wrong_is_named(bench: Bench, columns: dict[str, Any], kind: str, message: str) -> None:
    put(bench, {"q": "x", "question": "x", "a": "#### 1", "d": "x"}, {"q": "y", "a": "no marker", "d": [3]})
    with pytest.raises(JobFailed) as failure:
        bench.run("rows", config(bench, columns))
    assert failure.value.kind == kind
    assert message in str(failure.value)


def test_no_rows_is_a_failure(bench: Bench) -> None:
    put(bench)
    with pytest.raises(JobFailed, match="data `things` has no rows"):
        bench.run("rows", config(bench, {"question": "q"}))


def test_what_json_cannot_hold_is_a_failure(bench: Bench) -> None:
    bench.write("odd_rows.py", "import datetime\ndef f():\n    yield {'q': datetime.date(2020, 1, 1)}\n")
    source = bench.source(kind="python", target="odd_rows:f")
    with pytest.raises(JobFailed, match="odd_rows:f row 1 cannot be kept as JSON: Object of type date"):
        bench.run("rows", {**config(bench, {"question": "q"}), "source": source})
