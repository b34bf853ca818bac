"""Columns: what is read and what the first row of a source lacks is said before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exc.columns import check_columns
from exc.facts import gather
from exc.spec.load import load_text

BASE = (Path(__file__).parent / "spec" / "cases" / "base.yaml").read_text(encoding="utf-8")
ROW = {"question": "1+1", "answer": "2", "demonstrations": ["2"]}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study = tmp_path / "study"
    study.mkdir()
    (study / "docs.txt").write_text("a text", encoding="utf-8")
    (study / "train.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    return study


def findings(root: Path, *changes: tuple[str, str], more: str = "") -> list[str]:
    text = BASE + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    result = load_text(text, "experiment.yaml")
    assert result.draft is not None
    check_columns(result.draft, root, gather(result.draft, root, result.diagnostics), result.diagnostics)
    return [f"{d.span} {d.code} {d.message} {d.hint}" for d in result.diagnostics]


def test_all_there(root: Path) -> None:
    assert findings(root) == []


def test_a_field_of_the_prompt(root: Path) -> None:
    [found] = findings(root, ("{question}", "{qestion}"))
    assert found.startswith(
        "experiment.yaml:8:13 missing-column `train.jsonl` has no column `qestion`, which"
    )
    assert found.endswith("did you mean `question`?")


@pytest.mark.parametrize("prompt", ["{question", "{}", "{question.x}", "}", "{qu estion}"])
def test_a_prompt_at_fault_is_only_that(root: Path, prompt: str) -> None:
    [found] = findings(root, ("{question}", prompt))
    assert " bad-value " in found


def test_a_column_that_is_named(root: Path) -> None:
    split = "{data: train, columns: {question: problem, answer: {column: anser}}}"
    found = findings(root, ("train: {data: train}", f"train: {split}"))
    assert [line.split(" missing-column ")[1] for line in found] == [
        "`train.jsonl` has no column `problem` None",
        "`train.jsonl` has no column `anser` did you mean `answer`?",
    ]


def test_what_sft_and_bits_per_byte_read(root: Path) -> None:
    (root / "train.jsonl").write_text('\ufeff{"question": "1+1", "answer": "2"}\n', encoding="utf-8")
    evaluations = "evaluations:\n  text: {bits_per_byte: {data: train}}\n"
    found = findings(root, ("data: {docs: 1}", "data: {docs: 1, train: 1}"), more=evaluations)
    assert [line.split(" missing-column ")[1].split(" name ")[0] for line in found] == [
        "`train.jsonl` has no column `demonstrations`, which sft trains on",
        "`train.jsonl` has no column `text`, which pre-training reads None",
        "`train.jsonl` has no column `text` None",
    ]


def test_a_task_over_text(root: Path) -> None:
    found = findings(root, ("test: {data: train}", "test: {data: docs}"))
    assert found == [], "nothing reads that split"
    asked = "evaluations:\n  arith: {pass_at_k: {task: arith, k: [1], num_samples: 1, max_new_tokens: 8}}\n"
    found = findings(root, ("test: {data: train}", "test: {data: docs}"), more=asked)
    assert len(found) == 2
    assert all("`docs` has no column" in line for line in found)


@pytest.mark.parametrize("text", ["\n\n", json.dumps(ROW) + "\nnot JSON\n", '{"a": "' + "x" * (1 << 20)])
def test_rows_behind_the_first_are_left_to_their_job(root: Path, text: str) -> None:
    (root / "train.jsonl").write_text(text, encoding="latin-1")
    assert findings(root) == []


DERIVED = """  few: {data: train, where: {levle: 3}, group_by: qestion}
  pairs: {data: train, pairs: 1}
  rated: {samples: {from: base, task: arith, num_samples: 2, max_new_tokens: 8}}
  hard: {data: rated, where: {num_corect: {max: 1}, question: {not: x}, demonstrations: a}, pairs: 1}
  last: {data: hard, where: {chosen: a, wrong: b, share_correct: {min: 0}}}
"""


def test_what_transforms_read_of_files_of_samples_and_of_what_was_made_of_them(root: Path) -> None:
    found = findings(root, ("  train: {jsonl: train.jsonl}\n", "  train: {jsonl: train.jsonl}\n" + DERIVED))
    assert [line.split(" missing-column ")[1] for line in found if " missing-column " in line] == [
        "`train.jsonl` has no column `levle` None",
        "`train.jsonl` has no column `qestion` did you mean `question`?",
        "`train.jsonl` has no column `wrong`, which pairs are made of None",
        "`rated` has no column `num_corect` did you mean `num_correct`?",
        "`hard` has no column `wrong` None",
    ]


def test_what_dpo_reads(root: Path) -> None:
    dpo = "recipes:\n  dpo:\n    - dpo: {dpo: {task: arith, batch_size: 8, max_steps: 2}}\n"
    text = BASE[BASE.index("recipes:") :]
    found = findings(root, (text, dpo + "\n".join(text.split("\n")[3:])))
    assert [line.split(" missing-column ")[1].split(" name ")[0] for line in found] == [
        "`train.jsonl` has no column `chosen`, which dpo trains on",
        "`train.jsonl` has no column `rejected`, which dpo trains on",
    ]


def test_rated_rows_keep_what_reasoning_gym_scores_by(root: Path) -> None:
    """The job that reads a task's rows for that verifier has the column, and so has what is drawn on them."""
    gym = """data:
  docs: {text: docs.txt}
  train: {reasoning_gym: {name: chain_sum, size: 8}}
  rated: {samples: {from: base, task: arith, num_samples: 2, max_new_tokens: 8}}
  hard: {data: rated, where: {num_correct: {max: 1}}}
tasks:
  arith:
    prompt: "{question}\\n"
    splits: {train: {data: train}, hard: {data: hard}}
    verifier: reasoning_gym
"""
    text = gym + BASE[BASE.index("trunks:") :].replace("task: arith,", "task: arith, split: hard,")
    result = load_text("version: 1\nexperiment: study\n" + text, "experiment.yaml")
    assert result.draft is not None
    check_columns(result.draft, root, gather(result.draft, root, result.diagnostics), result.diagnostics)
    assert [f"{found.message}" for found in result.diagnostics if found.code == "missing-column"] == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'[{"question": "1+1", "answer": "2"}]\n', "is a list"),
        (b"[\n  {}\n]\n", "is not JSON"),
        (b"question,answer\n1+1,2\n", "is not JSON"),
        (b"3\n", "is no mapping"),
        (b'{"question": "caf\xe9"}\n', "is not UTF-8"),
    ],
)
def test_a_first_row_that_is_none(root: Path, content: bytes, fault: str) -> None:
    (root / "train.jsonl").write_bytes(content)
    [found] = findings(root)
    said = f"experiment.yaml:5:18 bad-value the first row of `train.jsonl` {fault} "
    assert found == f"{said}JSON Lines has one row a line: `{{...}}`"


def test_a_file_that_is_no_parquet(root: Path) -> None:
    change = ("{jsonl: train.jsonl}", "{parquet: train.jsonl}")
    assert findings(root, change) == ["experiment.yaml:5:20 bad-value `train.jsonl` is no Parquet file None"]
    (root / "train.jsonl").write_bytes(b"PAR1...PAR1")
    assert findings(root, change) == []
