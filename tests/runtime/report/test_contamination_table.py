"""What the report says of problems in training data: found, not looked for yet, or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exc.compiler.plan import Plan
from exc.runtime.report.contamination import contamination_rows, found_lines, write_contamination
from exc.runtime.stages.jsonl import write_jsonl
from exc.runtime.store import Store
from tests.compiler.study import plan_with

FOUND = [
    {
        "problem": 4,
        "whole": False,
        "num_rows": 1,
        "where": "web.jsonl row 2",
        "matched": "a b",
        "text": "a b c",
    },
    {
        "problem": 7,
        "whole": True,
        "num_rows": 3,
        "where": "web.jsonl row 17",
        "matched": "d e",
        "text": "d e",
    },
]
METRICS = {"problems": 9, "found": 2, "found_whole": 1, "share_found": 2 / 9, "rows": 40, "rows_with": 4}


@pytest.fixture
def plan() -> Plan:
    return plan_with({"evaluations.leaks": {"contamination": {"task": "sums"}}})


@pytest.fixture
def store(plan: Plan, tmp_path: Path) -> Store:
    """A store in which one of the two sources was searched."""
    store = Store(tmp_path / "store")
    identity = plan.job("contamination/leaks/problems").identity
    store.publish(
        "contamination",
        identity,
        lambda folder: write_jsonl(folder / "found.jsonl", FOUND),
        lambda: {"job": "contamination/leaks/problems", "metrics": METRICS, "inputs": {}},
    )
    return store


def test_what_was_found_and_what_was_not_looked_for(plan: Plan, store: Store) -> None:
    docs, problems = sorted(contamination_rows(plan, store), key=lambda row: row["data"])
    assert (docs["state"], docs["found"], docs["examples"]) == ("not looked for yet", None, [])
    assert [problems[name] for name in ("problems", "found", "found_whole", "rows_with")] == [9, 2, 1, 4]
    # What stands there whole comes first: it leaves the least doubt.
    assert [example["problem"] for example in problems["examples"]] == ["7", "4"]
    assert problems["examples"][0]["where"] == "web.jsonl row 17 and 2 more"
    assert problems["examples"][1]["what"] == "\u201ca b\u201d"
    assert problems["trains"] == "rl.rl, sft.sft, sft-rl.rl, the mixture of tiny"
    assert sorted(found_lines(plan, store)) == [
        "leaks, docs: not looked for yet",
        "leaks, problems: found 2 of 9 problems in 40 rows, e.g. problem 7 in web.jsonl row 17 and 2 more",
    ]


def test_what_is_damaged_says_so(plan: Plan, store: Store) -> None:
    path = store.artifact_path("contamination", plan.job("contamination/leaks/problems").identity)
    lines = [json.dumps({"problem": 1})]
    (path / "found.jsonl").chmod(0o644)
    (path / "found.jsonl").write_text("\n".join(lines), encoding="utf-8")
    states = {row["data"]: row["state"] for row in contamination_rows(plan, store)}
    assert states["problems"].startswith("damaged: ")


def test_a_table_only_where_something_is_looked_for(plan: Plan, store: Store, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    write_contamination(plan_with({}), store, tmp_path)
    assert not list((tmp_path / "tables").iterdir())
    write_contamination(plan, store, tmp_path)
    (path,) = (tmp_path / "tables").iterdir()
    assert path.read_text(encoding="utf-8").count("\n") == 3
