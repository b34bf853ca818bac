"""Generators of reasoning-gym: their rows, and answers scored by the generator that made the row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.forms import in_form
from exc.runtime.stages.judging import Judge, load_judge
from exc.runtime.stages.prompts import Row, read_rows
from exc.runtime.stages.sources import read_source
from exc.spec.harness import GYM_VERSION, generators
from tests.runtime.stages.conftest import Bench

COLUMNS = {name: {"column": name, "regex": None} for name in ("question", "answer", "metadata")}


def source(name: str, size: int = 3, seed: int = 1, **config: Any) -> dict[str, Any]:
    return {
        **{"name": "gym", "kind": "reasoning_gym", "files": [], "generator": name},
        **{"size": size, "seed": seed, "config": config, "version": GYM_VERSION},
    }


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with load_judge({"kind": "reasoning_gym"}, tmp_path_factory.mktemp("gym"), 60.0) as made:
        yield made


def rows_of(bench: Bench, name: str, **more: Any) -> list[Row]:
    config = {
        "task": "t",
        "split": "train",
        "source": source(name, **more),
        "columns": COLUMNS,
        "limit": None,
    }
    return read_rows(bench.run("rows", config, out=name))


@pytest.mark.parametrize("name", ["basic_arithmetic", "chain_sum", "arc_agi", "family_relationships"])
def test_the_right_answer_earns_full_marks_in_every_form(bench: Bench, judge: Judge, name: str) -> None:
    rows = rows_of(bench, name)
    calls = [(f"I think.\n<answer>{row.answer}</answer>", row) for row in rows]
    calls += [("<answer>surely not</answer>", row) for row in rows]
    verdicts = judge.judge(calls)
    assert [verdict.correct for verdict in verdicts] == [True] * 3 + [False] * 3
    assert all(verdict.verifiable for verdict in verdicts)
    assert verdicts[0].parsed == str(rows[0].answer).strip()


def test_the_last_box_then_tags_then_all_of_it(bench: Bench, judge: Judge) -> None:
    (row,) = rows_of(bench, "chain_sum", size=1)
    texts = [f"<answer>0</answer> \\boxed{{{row.answer}}}", f" {row.answer}\n", "<answer></answer>"]
    boxed, bare, empty = judge.judge([(text, row) for text in texts])
    assert boxed.correct
    assert bare.correct
    assert (empty.parsed, empty.correct) == (None, False)


def test_rows_depend_on_seed_and_settings_alone(bench: Bench) -> None:
    def texts(**more: Any) -> list[str]:
        return [json.dumps(record.values) for record in read_source(source("chain_sum", **more), bench.root)]

    assert texts() == texts()
    assert texts() != texts(seed=2)
    assert texts(size=5)[:3] == texts()
    assert all(
        len(json.loads(text)["answer"]) >= 3 for text in texts(min_digits=3, max_digits=3, min_terms=2)
    )


def test_a_row_of_another_source_cannot_be_scored(judge: Judge) -> None:
    (verdict,) = judge.judge([("7", Row(4, {"question": "3+4"}, "7", ()))])
    assert (verdict.verifiable, verdict.error) == (
        False,
        "row 4 has no `metadata` that names a generator of reasoning-gym",
    )


def test_another_version_and_settings_that_are_refused(bench: Bench) -> None:
    with pytest.raises(JobFailed, match=r"was made for reasoning-gym 0\.0\.1") as failure:
        list(read_source({**source("chain_sum"), "version": "0.0.1"}, bench.root))
    assert failure.value.kind == "config"
    with pytest.raises(JobFailed, match=r"`chain_sum` refuses \{'min_terms': 0\}"):
        list(read_source(source("chain_sum", min_terms=0), bench.root))


def test_the_table_is_that_of_the_installed_version() -> None:
    from tools.harness_tables import reasoning_gym_table

    table = reasoning_gym_table()
    assert table["version"] == GYM_VERSION
    assert {name: tuple(fields) for name, fields in table["generators"].items()} == dict(generators())


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        (r"so \boxed{7}", {"any", "boxed"}),
        (r"so \boxed{ } 7", {"any"}),
        ("7\n#### 7", {"any", "hashes"}),
        ("####", {"any"}),
        ("<answer> 7 </answer>", {"any", "answer-tags"}),
        ("<answer> </answer>", {"any"}),
    ],
)
def test_forms_of_an_answer(text: str, forms: set[str]) -> None:
    assert {form for form in ("any", "boxed", "hashes", "answer-tags") if in_form(text, form)} == forms
