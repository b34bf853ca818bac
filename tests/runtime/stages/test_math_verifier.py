"""Answers in LaTeX: what is equal, what is a vote, and an end to what sympy cannot decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exc.runtime.stages.judging import Judge, load_judge
from exc.runtime.stages.prompts import Row

MATH = {"kind": "math"}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with load_judge(MATH, tmp_path_factory.mktemp("math"), 30.0) as made:
        yield made


def row(answer: str | None) -> Row:
    return Row(3, {"question": "?"}, answer, ())


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"so \boxed{\frac{1}{2}}", "0.5"),
        (r"\boxed{\frac12}", r"\frac{1}{2}"),
        (r"first \boxed{3}, then \boxed{4}", "4"),
        (r"\boxed{x+1}", "1+x"),
        (r"\boxed{\sqrt{8}}", r"2\sqrt{2}"),
        (r"\boxed{(1,2)}", r"\left(1,2\right)"),
        (r"$\{1,2\}$", r"\{2,1\}"),
        (r"\boxed{1,234}", "1234"),
        (r"\boxed{90^\circ}", "90"),
        (r"\boxed{\text{Tuesday}}", "Tuesday"),
        ("the answer is 7", "7"),
        ("... so 72\n#### 72", "9 * 8 = 72\n#### 72"),
        (r"\boxed{5}", r"Hence \boxed{5}."),
        (r"\boxed{18.90}", r"\$18.90"),
        (r"\boxed{\$32,\!348}", r"\$32,\!348"),
        (r"\boxed{5}", r"$\$5$"),
    ],
)
def test_right(judge: Judge, completion: str, answer: str) -> None:
    (verdict,) = judge.judge([(completion, row(answer))])
    assert (verdict.correct, verdict.verifiable, verdict.error) == (True, True, None)


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"\boxed{\frac{1}{3}}", "0.5"),
        (r"\boxed{4}, no, \boxed{3}", "4"),
        (r"\boxed{[0,1]}", "[0,1)"),
        (r"\boxed{Monday}", "Tuesday"),
    ],
)
def test_wrong(judge: Judge, completion: str, answer: str) -> None:
    (verdict,) = judge.judge([(completion, row(answer))])
    assert verdict.parsed is not None
    assert (verdict.correct, verdict.verifiable) == (False, True)


def test_equal_numbers_are_one_vote(judge: Judge) -> None:
    texts = [r"\boxed{\frac{1}{2}}", r"\boxed{0.50}", "$1/2$"]
    assert {verdict.parsed for verdict in judge.judge([(text, row("3")) for text in texts])} == {"1/2"}


def test_no_answer_and_nothing_to_compare_with(judge: Judge) -> None:
    none, empty, unknown = judge.judge([("no idea", row("7")), (r"\boxed{}", row("7")), ("7", row(None))])
    assert (none.parsed, none.correct, none.verifiable) == (None, False, True)
    assert (empty.parsed, empty.verifiable) == (None, True)
    assert (unknown.verifiable, unknown.error) == (False, "row 3 has no answer")


def test_what_cannot_be_decided_ends_in_time(tmp_path: Path) -> None:
    with load_judge(MATH, tmp_path, 2.0) as judge:
        before, hangs, after = judge.judge(
            [("7", row("7")), (r"\boxed{10^{10^{10}}}", row("3")), ("8", row("8"))]
        )
    assert before.correct
    assert after.correct
    assert (hangs.verifiable, hangs.timed_out) == (False, True)
    assert hangs.error is not None
    assert hangs.error.startswith("`math` had not returned after 2 s on row 3")
