"""Problems of the harness's tasks as parts of its numbers: read for the report, and counted when adopted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exc.runtime.adopt_harness import counted_metrics
from exc.runtime.report.cells import Units, is_counted, ratio
from exc.runtime.report.harness_units import read_harness_units

EVALUATION = {
    "kind": "lm_eval",
    "metrics": ["a/acc_norm", "group/x/acc", "words/perplexity", "mean"],
    "mean": ["a/acc_norm", "group/x/acc"],
}
VALUES = [
    ("a", {"acc": 1.0, "acc_norm": 1.0}),
    ("a", {"acc": 1.0, "acc_norm": 0.0}),
    ("group/x", {"acc": 1.0}),
    ("group/x", {"acc": 1.0}),
    ("group/x", {"acc": 0.0}),
    ("words", {}),
]


def units(values: list[tuple[str, dict[str, Any]]] = VALUES) -> list[dict[str, Any]]:
    return [
        {"unit": number, "task": task, "of": task, "doc": number, "values": each}
        for number, (task, each) in enumerate(values)
    ]


def write(folder: Path, lines: list[dict[str, Any]]) -> Path:
    (folder / "units.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def test_every_number_is_a_ratio_over_its_own_problems(tmp_path: Path) -> None:
    numbers, tasks, parts = read_harness_units(write(tmp_path, units()[::-1]), EVALUATION)
    assert numbers.tolist() == list(range(6))
    assert tasks.tolist() == [0, 0, 1, 1, 1, 2]
    found = Units(numbers, {}, parts=parts)
    told = {name: ratio(found, name) for name in parts}
    values = {name: above.sum() / below.sum() for name, (above, below) in told.items()}
    # A perplexity is no mean over problems; of the mean, each task is a half, however many problems it has.
    assert values == pytest.approx({"a/acc_norm": 1 / 2, "group/x/acc": 2 / 3, "mean": (1 / 2 + 2 / 3) / 2})
    assert not is_counted(found, "words/perplexity")
    assert [int(np.count_nonzero(below)) for _, below in told.values()] == [2, 3, 5]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "is empty or names a unit twice"),
        ([*units(), units()[0]], "is empty or names a unit twice"),
        ([{"unit": 0}], "is not as it was written"),
    ],
)
def test_a_file_that_is_not_as_it_was(tmp_path: Path, lines: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_harness_units(write(tmp_path, lines), EVALUATION)
    with pytest.raises(ValueError, match="cannot be read"):
        read_harness_units(tmp_path / "none", EVALUATION)


CONFIG = {"tasks": ["a", "group/x", "words"], "mean": ["a/acc_norm", "group/x/acc"]}


def test_what_is_adopted_is_counted_again(tmp_path: Path) -> None:
    counted, fault = counted_metrics(units(), CONFIG, tmp_path)
    assert fault == ""
    assert counted == pytest.approx(
        {"a/acc": 1.0, "a/acc_norm": 1 / 2, "group/x/acc": 2 / 3, "mean": (1 / 2 + 2 / 3) / 2}
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (VALUES[:5], "is about a, group/x; planned: a, group/x, words"),
        (
            [*VALUES[:4], ("group/x", {"acc": "no"}), VALUES[5]],
            "`acc` is not a number for every problem of group/x",
        ),
        ([("a", {"acc": 1.0}), ("a", {"acc": 1.0}), *VALUES[2:]], "lacks a/acc_norm, which `mean` is over"),
    ],
)
def test_what_cannot_be_adopted(values: list[tuple[str, dict[str, Any]]], told: str, tmp_path: Path) -> None:
    assert counted_metrics(units(values), CONFIG, tmp_path)[1].endswith(told)
