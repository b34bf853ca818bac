"""Whether rows that are measured were trained on is told by what files hold, not by how they are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from exc.compiler.checks import check
from exc.compiler.facts import Facts, LockedFile, LockedRepo
from exc.spec.load import load_text
from tests.compiler.study import edited, facts_of


def warnings(
    changes: Mapping[str, Any],
    contents: Mapping[str, str] | None = None,
    hub: Mapping[str, LockedRepo] | None = None,
) -> list[str]:
    """What the study with some values changed is warned of, as to what it was trained on."""
    found = load_text(json.dumps(edited(changes)), "experiment.yaml")
    assert found.draft is not None
    facts = facts_of(found.draft.spec, contents)
    check(found.draft, found.diagnostics, Facts(facts.files, facts.code, hub=hub or {}))
    return [finding.message for finding in found.diagnostics if finding.code == "train-on-test"]


@pytest.mark.parametrize(
    ("trained", "measured", "contents"),
    [
        ("rows.jsonl", "./rows.jsonl", {"./rows.jsonl": "rows.jsonl"}),
        ("rows.jsonl", "ro*.jsonl", {"ro*.jsonl": "rows.jsonl"}),
        ("rows.jsonl", "copy.jsonl", {"copy.jsonl": "rows.jsonl"}),
    ],
)
def test_equal_files_hold_the_same_rows(trained: str, measured: str, contents: Mapping[str, str]) -> None:
    changes = {"data.problems.jsonl": trained, "data.held-out.jsonl": measured}
    assert len(warnings(changes, contents)) == 1
    assert warnings(changes) == []
    apart = {"data.problems.take": 10, "data.held-out.drop": 10}
    assert warnings({**changes, **apart}, contents) == []
    assert len(warnings({**changes, **apart, "data.held-out.drop": 9}, contents)) == 1


def test_files_in_another_order_are_counted_otherwise() -> None:
    one = {"jsonl": ["a.jsonl", "b.jsonl"], "take": 10}
    changes = {"data.problems": one, "data.held-out": {"jsonl": ["a.jsonl", "b.jsonl"], "drop": 10}}
    assert warnings(changes) == []
    changes["data.held-out"] = {"jsonl": ["b.jsonl", "a.jsonl"], "drop": 10}
    assert len(warnings(changes)) == 1


def test_a_trunks_mixture_trains_on_its_rows() -> None:
    mixture = {"trunks.tiny.pretrain.data": {"docs": 3, "held-out": 1}}
    assert warnings(mixture) == [
        "the evaluation `sums` asks rows of `held-out`, on which the mixture of `tiny` trains"
    ]


def test_another_name_of_a_split_on_the_hub_is_the_same_rows() -> None:
    changes = {
        "data.problems": {"hub": {"repo": "lab/sums", "split": "train"}},
        "data.held-out": {"hub": {"repo": "lab/sums", "split": "train", "revision": "main"}},
    }
    keys = ("datasets/lab/sums@refs/convert/parquet:default/train", "datasets/lab/sums@main:default/train")
    same = LockedRepo("c0ffee", (LockedFile("default/train/0.parquet", 10, "ab" * 32),))
    other = LockedRepo("c0ffee", (LockedFile("default/train/0.parquet", 10, "cd" * 32),))
    assert len(warnings(changes, hub=dict.fromkeys(keys, same))) == 1
    assert warnings(changes, hub=dict(zip(keys, (same, other), strict=True))) == []


def test_what_a_model_filled_is_counted_anew_for_every_reader() -> None:
    """The rows that two models got right cannot be parted by counting them."""
    samples = {"from": "base", "task": "sums", "num_samples": 16, "max_new_tokens": 32}
    changes = {
        "data.rated": {"samples": {**samples, "from": {"trunk": "tiny", "at": 400}}},
        "data.right": {"data": "rated", "where": {"num_correct": {"min": 1}}},
        "data.first": {"data": "right", "take": 10},
        "data.held-out": {"data": "right", "drop": 10},
        "tasks.sums.splits.own": {"data": "first"},
        "recipes.rft": [
            {"rft": {"sft": {"task": "sums", "split": "own", "batch_size": 16, "max_steps": 60}}}
        ],
        "evaluations.text": None,
    }
    assert warnings(changes) != []
