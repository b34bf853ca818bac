"""Every cell is measured or says why not, and never shows a number its counts do not give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exc.compiler.plan import Job
from exc.runtime.report.cells import Cell, gather
from tests.runtime.report.study import ARITHMETIC, Study, base_chances


@pytest.fixture
def small(tmp_path: Path) -> Study:
    return Study(tmp_path, num_problems=20, evaluations={"arithmetic": ARITHMETIC})


def branch(study: Study) -> tuple[Job, Job, Job]:
    """A model, its samples and its scores, none of them made."""
    model = study.job("tiny/300/rl/r0/rl", "grpo")
    sample = study.job("tiny/300/rl/r0/rl.arithmetic.sample", "sample", ("model", model.id))
    return model, sample, study.cell("arithmetic", "tiny", 300, "rl", model, sample)


def only(study: Study) -> Cell:
    (cell,) = gather(study.plan(), study.store)
    return cell


def reason(study: Study) -> tuple[str, str]:
    cell = only(study)
    assert cell.missing is not None
    return cell.missing.state, cell.missing.reason


def test_nothing_was_run(small: Study) -> None:
    branch(small)
    assert reason(small) == ("waiting", "waits for tiny/300/rl/r0/rl and 1 more, not run yet")


def test_all_but_the_last_job_was_run(small: Study) -> None:
    model, sample, _ = branch(small)
    small.publish(model)
    small.publish(sample)
    assert reason(small) == ("not run", "was not run")


def test_a_failure_upstream_is_named_with_its_class_and_message(small: Study) -> None:
    model, _, _ = branch(small)
    small.attempt(model, ended="then", failure={"class": "diverged", "message": "loss is NaN at step 7"})
    expected = "waits for tiny/300/rl/r0/rl, which failed (diverged): loss is NaN at step 7"
    assert reason(small) == ("blocked", expected)


def test_the_last_attempt_counts(small: Study) -> None:
    model, sample, score = branch(small)
    small.publish(model)
    small.publish(sample)
    for _ in range(9):
        small.attempt(score, ended="then", failure={"class": "disk", "message": "no space"})
    small.attempt(score, ended="then", failure={"class": "verifier", "message": "KeyError: 'answer'"})
    assert reason(small) == ("failed", "failed (verifier): KeyError: 'answer'")


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ({"ended": "then", "exit": 75}, ("stopped", "stopped before it was done (attempt 1 with exit 75)")),
        ({}, ("unfinished", "is running or was cut off (attempt 1 on node-1)")),
    ],
)
def test_an_attempt_without_a_failure(
    small: Study, attempt: dict[str, Any], expected: tuple[str, str]
) -> None:
    _, _, score = branch(small)
    small.attempt(score, **attempt)
    assert reason(small) == expected


def test_an_attempt_whose_record_is_torn(small: Study) -> None:
    _, _, score = branch(small)
    small.attempt(score)
    (small.store.attempts_path(score.identity) / "1" / "attempt.json").write_text('{"started": ')
    assert reason(small) == ("unfinished", "is running or was cut off (attempt 1)")


def test_counts_are_read_in_the_order_of_their_problems(small: Study) -> None:
    _, _, score = branch(small)
    rows = [{"problem": p, "num_samples": 32, "num_correct": p} for p in (3, 1, 2)]
    small.publish(score, {"problems.jsonl": rows}, {"pass@1": 2 / 32})
    cell = only(small)
    assert cell.units is not None
    assert cell.units.ids.tolist() == [1, 2, 3]
    assert cell.units.counts["num_correct"].tolist() == [1, 2, 3]
    assert cell.note == ""


def test_a_recorded_metric_that_the_counts_contradict_is_told(small: Study) -> None:
    _, _, score = branch(small)
    small.scores(score, base_chances(20, 300), seed=1, **{"pass@8": 0.99})
    assert only(small).note.startswith("pass@8 was recorded as 0.99; its counts give")


GOOD = {"problem": 0, "num_samples": 32, "num_correct": 1}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "is empty"),
        ("{", "is not as it was written"),
        (json.dumps({"problem": 0}), "num_samples"),
        ("\n".join([json.dumps(GOOD)] * 2), "twice"),
        (json.dumps({**GOOD, "num_samples": 8}), "needs 32 samples"),
        (json.dumps({**GOOD, "num_correct": 33}), "more correct samples"),
    ],
)
def test_damaged_counts_are_missing_with_the_reason(small: Study, lines: str, words: str) -> None:
    _, _, score = branch(small)
    small.publish(score, {"problems.jsonl": []})
    (small.store.ref_path(score.artifact) / "problems.jsonl").write_text(lines)
    state, why = reason(small)
    assert state == "damaged"
    assert words in why


def test_a_damaged_record_is_missing_with_the_reason(small: Study) -> None:
    _, _, score = branch(small)
    small.scores(score, base_chances(20, 300), seed=1)
    (small.store.ref_path(score.artifact) / "artifact.json").write_text("[]")
    state, why = reason(small)
    assert state == "damaged"
    assert "is damaged" in why
