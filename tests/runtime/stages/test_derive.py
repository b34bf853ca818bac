"""Each transform against plain Python; what cannot be done is said by row, and nothing is left in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exc.runtime.context import JobFailed, Stopped
from exc.runtime.stages.prompts import read_rows
from exc.runtime.stages.sources import read_source
from tests.runtime.stages.conftest import Bench, ModelMaker

ROWS: list[dict[str, Any]] = [
    {"id": 1, "topic": "sums", "level": 1, "text": "a"},
    {"id": 2, "topic": "primes", "level": 2.0, "text": "b"},
    {"id": 3, "topic": "sums", "level": 3, "text": "c", "note": "late"},
    {"id": 4, "topic": "1", "level": 4, "text": "d"},
    {"id": 5, "topic": 1, "level": 5, "text": "e"},
    {"id": 6, "topic": True, "level": 6, "text": "f"},
    {"id": 7, "topic": None, "level": 7, "text": "g"},
    {"id": 8, "topic": "sums", "level": 8, "text": "h"},
]
NOTHING: dict[str, Any] = {"where": {}, "group_by": None, "drop": 0, "take": None, "pairs": None}


def derive(bench: Bench, rows: list[dict[str, Any]], out: str = "derive", **transforms: Any) -> Path:
    bench.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    config = {"data": "made", "source": bench.source("rows.jsonl"), **NOTHING, **transforms}
    return bench.run("derive", config, out=out)


def derived(bench: Bench, rows: list[dict[str, Any]] = ROWS, **transforms: Any) -> list[dict[str, Any]]:
    path = derive(bench, rows, **transforms) / "rows.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kept(bench: Bench, **condition: Any) -> list[int]:
    column = condition.pop("column", "level")
    return [row["id"] for row in derived(bench, where={column: condition})]


def refusal(bench: Bench, rows: list[dict[str, Any]] = ROWS, **transforms: Any) -> tuple[str, str]:
    with pytest.raises(JobFailed) as caught:
        derive(bench, rows, **transforms)
    return caught.value.kind, str(caught.value)


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"is": [2, 3]}, [2, 3]),
        ({"not": [1, 2, 3, 4]}, [5, 6, 7, 8]),
        ({"min": 6}, [6, 7, 8]),
        ({"max": 2}, [1, 2]),
        ({"min": 2.0, "max": 6, "not": [3]}, [2, 4, 5, 6]),
        ({"column": "topic", "is": ["1"]}, [4]),
        ({"column": "topic", "is": [1]}, [5]),
        ({"column": "topic", "is": [1.0]}, [5]),
        ({"column": "topic", "is": [True]}, [6]),
        ({"column": "topic", "not": ["sums", "primes", 1]}, [4, 6, 7]),
    ],
)
def test_where_keeps_rows_that_meet_all_of_it(bench: Bench, condition: Any, ids: list[int]) -> None:
    assert kept(bench, **condition) == ids


def test_conditions_on_several_columns_all_hold(bench: Bench) -> None:
    rows = derived(bench, where={"topic": {"is": ["sums"]}, "level": {"min": 2}})
    assert [row["id"] for row in rows] == [3, 8]
    assert bench.metrics == {"rows_in": 8, "rows_out": 2}


def test_rows_are_otherwise_as_they_were(bench: Bench) -> None:
    assert derived(bench, where={"id": {"min": 1}}) == ROWS


def test_what_is_ruled_out_need_not_be_a_number(bench: Bench) -> None:
    where = {"topic": {"not": ["sums", "primes", "1", True], "max": 5}}
    rows = [row for row in ROWS if row["topic"] is not None]
    assert [row["id"] for row in derived(bench, rows, where=where)] == [5]


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ({"where": {"note": {"is": ["late"]}}}, "rows.jsonl row 1 has no column `note` (it has: id, topic"),
        ({"where": {"topic": {"min": 0}}}, "rows.jsonl row 1: column `topic` is a string, not a number"),
        ({"group_by": "note"}, "rows.jsonl row 1 has no column `note`"),
        ({"pairs": {"per_problem": 1}}, "rows.jsonl row 1 has no column `demonstrations`"),
    ],
)
def test_what_cannot_be_done_names_the_row(bench: Bench, transforms: Any, message: str) -> None:
    kind, said = refusal(bench, **transforms)
    assert kind == "data"
    assert said.startswith(message)


def test_truth_and_nothing_are_no_numbers(bench: Bench) -> None:
    assert "column `topic` is a boolean" in refusal(bench, ROWS[5:6], where={"topic": {"max": 1}})[1]
    assert "column `topic` is null" in refusal(bench, ROWS[6:7], where={"topic": {"max": 1}})[1]


def test_group_by_gathers_in_order_of_first_appearance(bench: Bench) -> None:
    rows = derived(bench, group_by="topic")
    assert [row["topic"] for row in rows] == ["sums", "primes", "1", 1, True, None]
    assert rows[0] == {
        "id": [1, 3, 8],
        "topic": "sums",
        "level": [1, 3, 8],
        "text": ["a", "c", "h"],
        "note": [None, "late", None],
    }


def test_transforms_are_applied_in_the_order_of_the_spec(bench: Bench) -> None:
    rows = derived(bench, where={"id": {"min": 2}}, group_by="topic", drop=1, take=2)
    assert [(row["topic"], row["id"]) for row in rows] == [("sums", [3, 8]), ("1", [4])]


def test_drop_and_take_part_a_source(bench: Bench) -> None:
    first = derived(bench, take=3)
    bench.folder.joinpath("artifacts", "derive").rename(bench.folder / "artifacts" / "first")
    rest = derived(bench, drop=3)
    assert first + rest == ROWS


PROBLEMS: list[dict[str, Any]] = [
    {"question": "q1", "demonstrations": ["r1", "r2", "r1", "r3"], "wrong": ["w1", "w1", "w2"]},
    {"question": "q2", "demonstrations": [], "wrong": ["w1"]},
    {"question": "q3", "demonstrations": ["r1"], "wrong": None},
    {"question": "q4", "demonstrations": ["r1"], "wrong": ["w1", "w2"]},
]


@pytest.mark.parametrize("most", [1, 2, 9])
def test_pairs_go_in_order_and_are_distinct(bench: Bench, most: int) -> None:
    pairs = [*[("q1", "r1", "w1"), ("q1", "r2", "w2")][:most], ("q4", "r1", "w1")]
    wanted = [{"question": q, "chosen": right, "rejected": wrong} for q, right, wrong in pairs]
    assert derived(bench, PROBLEMS, pairs={"per_problem": most}) == wanted
    assert bench.metrics == {"rows_in": 4, "rows_out": len(wanted), "rows_without_pairs": 2}


def test_pairs_refuse_what_they_would_write_over_or_cannot_pair(bench: Bench) -> None:
    pairs = {"per_problem": 1}
    taken = refusal(bench, [{**PROBLEMS[0], "chosen": "x"}], pairs=pairs)
    assert taken == ("data", "rows.jsonl row 1 has a column `chosen` already")
    texts = refusal(bench, [{**PROBLEMS[0], "wrong": [1]}], pairs=pairs)
    assert texts == ("data", "rows.jsonl row 1: column `wrong` is no list of strings to pair")


@pytest.mark.parametrize(
    ("transforms", "counts"),
    [
        ({"where": {"level": {"min": 5}, "topic": {"is": ["x"]}}}, "8 rows; where level: 4; where topic: 0"),
        ({"where": {"topic": {"is": ["sums"]}}, "drop": 1_000}, "8 rows; where topic: 3; drop 1,000: 0"),
    ],
)
def test_an_empty_result_says_what_each_step_left(bench: Bench, transforms: Any, counts: str) -> None:
    assert refusal(bench, **transforms) == ("data", f"nothing is left of the data `made` ({counts})")


def test_an_empty_result_of_pairs(bench: Bench) -> None:
    said = refusal(bench, PROBLEMS[1:3], pairs={"per_problem": 1})[1]
    assert said.endswith("(2 rows; with right and wrong ones: 0)")


def test_a_stopped_job_starts_again(bench: Bench) -> None:
    rows = [{"id": number} for number in range(1000)]
    bench.should_stop = lambda: True
    with pytest.raises(Stopped):
        derive(bench, rows)
    bench.should_stop = lambda: False
    assert derived(bench, rows) == rows


def test_a_job_stops_though_no_row_is_left(bench: Bench) -> None:
    rows = [{"id": number} for number in range(1000)]
    bench.should_stop = lambda: True
    with pytest.raises(Stopped):
        derive(bench, rows, where={"id": {"min": 5000}})


scalars = st.sampled_from(["a", "b", "1", 1, 1.0, 2, True, False, None])
conditions = st.fixed_dictionaries(
    {},
    optional={
        "is": st.lists(scalars, min_size=1, max_size=3),
        "not": st.lists(scalars, min_size=1, max_size=2),
    },
)


def same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


@given(
    values=st.lists(scalars, min_size=1, max_size=8),
    condition=conditions,
    drop=st.integers(0, 3),
    take=st.none() | st.integers(1, 4),
    grouped=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_chain_is_what_plain_python_does(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[Any],
    condition: dict[str, Any],
    drop: int,
    take: int | None,
    grouped: bool,
) -> None:
    bench = Bench(tmp_path_factory.mktemp("derive"))
    rows = [{"v": value, "n": number} for number, value in enumerate(values)]
    wanted: list[dict[str, Any]] = [
        row
        for row in rows
        if ("is" not in condition or any(same(row["v"], value) for value in condition["is"]))
        and not any(same(row["v"], value) for value in condition.get("not", []))
    ]
    if grouped:
        heads: list[dict[str, Any]] = []
        for row in wanted:
            head = next((head for head in heads if same(head["v"], row["v"])), None)
            if head is None:
                heads.append({"v": row["v"], "n": [row["n"]]})
            else:
                head["n"].append(row["n"])
        wanted = heads
    wanted = wanted[drop:][:take]
    transforms = {"where": {"v": condition}, "group_by": "v" if grouped else None, "drop": drop, "take": take}
    if wanted:
        assert derived(bench, rows, **transforms) == wanted
    else:
        assert "nothing is left" in refusal(bench, rows, **transforms)[1]


# --- what reads such rows


def test_a_job_reads_rows_that_another_made(bench: Bench) -> None:
    folder = derive(bench, ROWS, where={"topic": {"is": ["sums"]}})
    source = {"name": "made", "kind": "job", "role": "source"}
    again = {"data": "few", "source": source, **NOTHING, "take": 2}
    made = bench.run("derive", again, {"source": folder}, out="few")
    records = list(read_source(source, bench.root, {"source": made}))
    assert [record.values["id"] for record in records] == [1, 3]
    assert records[1].where == "data `made` row 2"


def test_rows_of_a_task_take_all_demonstrations_of_a_group(bench: Bench) -> None:
    rows = [
        {"problem": "1+1", "expected": "2", "solution": "one more: 2"},
        {"problem": "2+2", "expected": "4", "solution": "4"},
        {"problem": "1+1", "expected": "two", "solution": "2"},
    ]
    folder = derive(bench, rows, group_by="problem")
    columns = {"question": "problem", "answer": "expected", "demonstrations": "solution"}
    config = {
        "task": "sums",
        "split": "train",
        "source": {"name": "made", "kind": "job", "role": "source", "grouped_by": "problem"},
        "columns": {field: {"column": column, "regex": None} for field, column in columns.items()},
        "limit": None,
    }
    found = read_rows(bench.run("rows", config, {"source": folder}))
    assert [(row.fields["question"], row.answer, row.demonstrations) for row in found] == [
        ("1+1", "2", ("one more: 2", "2")),
        ("2+2", "4", ("4",)),
    ]


def test_texts_that_another_job_chose_are_tokenised(bench: Bench) -> None:
    texts = ["one and one", "two and two", "one and two"]
    folder = derive(bench, [{"text": text, "n": n} for n, text in enumerate(texts)], where={"n": {"max": 1}})
    source = {"name": "made", "kind": "job", "role": "source:0"}
    bpe = {"algorithm": "bpe", "vocab_size": 270, "split_digits": True, "max_bytes": None}
    tokenizer = bench.run("tokenizer", {**bpe, "sources": [source]}, {"source:0": folder})
    assert bench.metrics["num_bytes"] == sum(map(len, texts[:2]))
    config = {"source": {**source, "role": "source"}, "text": "text"}
    bench.run("tokens", config, {"source": folder, "tokenizer": tokenizer})
    assert bench.metrics["num_documents"] == 2
    assert bench.metrics["num_bytes"] == sum(map(len, texts[:2]))


def test_a_model_is_measured_on_texts_that_another_job_chose(bench: Bench, make_model: ModelMaker) -> None:
    folder = derive(bench, [{"text": "one"}, {"text": "and two"}], drop=1)
    config = {
        "source": {"name": "made", "kind": "job", "role": "source"},
        "text": "text",
        "sequence_length": 16,
        "limit_bytes": None,
    }
    bench.run("bits_per_byte", config, {"source": folder, "model": make_model()})
    assert bench.metrics["num_bytes"] == len("and two")
