from __future__ import annotations

import sys

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.prompts import Row
from exc.runtime.stages.verifiers import Verdict, load_verifier
from tests.runtime.stages.conftest import Bench


def row(answer: str | None) -> Row:
    return Row(3, {"question": "6*7", "answer": answer}, answer, ())


def test_numeric_compares_values(bench: Bench) -> None:
    verify = load_verifier({"kind": "numeric"}, bench.root)
    assert verify("#### 1,200.0", row("1200")) == Verdict("1200", True, True)
    assert verify("0.5", row("1/2")) == Verdict("1/2", True, True)
    assert verify("13", row("so\n#### 12")) == Verdict("13", False, True)
    assert verify("no idea", row("12")) == Verdict(None, False, True)


def test_numeric_cannot_judge_without_a_number_to_compare_with(bench: Bench) -> None:
    verdict = load_verifier({"kind": "numeric"}, bench.root)("12", row("a dozen"))
    assert (verdict.correct, verdict.verifiable) == (False, False)
    assert verdict.error == "row 3 has no number for an answer: 'a dozen'"


def test_exact_ignores_only_outer_white_space(bench: Bench) -> None:
    verify = load_verifier({"kind": "exact"}, bench.root)
    assert verify(" Paris\n", row("Paris")) == Verdict("Paris", True, True)
    assert verify("paris", row("Paris")) == Verdict("paris", False, True)
    assert verify("  ", row("")) == Verdict(None, False, True)
    assert not verify("Paris", row(None)).verifiable


def test_python_gives_credit(bench: Bench) -> None:
    bench.write(
        "judge.py",
        "def judge(completion, answer, row):\n"
        "    if completion == '?':\n        return None\n"
        "    if completion == 'bad':\n        return 'yes'\n"
        "    return 1 / (int(completion) - 41) if row['question'] == '6*7' else False\n",
    )
    verify = load_verifier({"kind": "python", "target": "judge:judge"}, bench.root)
    assert verify("42", row("42")) == Verdict("42", True, True)
    assert verify("43", row("42")) == Verdict("43", False, True)
    assert verify("?", row("42")) == Verdict(None, False, True)
    assert verify("41", row("42")).error == (
        "`judge:judge` failed on row 3: judge.py:6: ZeroDivisionError: division by zero"
    )
    assert verify("bad", row("42")).error == (
        "`judge:judge` returned 'yes' on row 3, not a bool or a number in 0..1"
    )


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        ("def f(): pass\ndef g(): pass\n", "mine:h", r"mine.py has no function `h` \(it has: f, g\)"),
        ("x = 1\n1/0\n", "mine:f", "cannot be imported: mine.py:2: ZeroDivisionError"),
        ("def f(:\n", "mine:f", "cannot be imported: mine.py:1: SyntaxError"),
        ("", "other:f", "no module `other`"),
    ],
)
def test_a_verifier_that_cannot_be_loaded(bench: Bench, code: str, target: str, message: str) -> None:
    bench.write("mine.py", code)
    with pytest.raises(JobFailed, match=message) as failure:
        load_verifier({"kind": "python", "target": target}, bench.root)
    assert failure.value.kind == "verifier"


def test_a_verifier_that_exits_is_one_that_failed(bench: Bench) -> None:
    bench.write("judge.py", "import sys\ndef judge(completion, answer, row):\n    sys.exit(0)\n")
    verdict = load_verifier({"kind": "python", "target": "judge:judge"}, bench.root)("42", row("42"))
    assert verdict.error == "`judge:judge` failed on row 3: judge.py:3: SystemExit: 0"
    bench.write("leaves.py", "raise SystemExit\n")
    with pytest.raises(JobFailed, match=r"cannot be imported: leaves\.py:1: SystemExit"):
        load_verifier({"kind": "python", "target": "leaves:judge"}, bench.root)


def test_an_error_that_says_too_much_is_cut(bench: Bench) -> None:
    bench.write("wordy.py", 'def judge(*_):\n    raise ValueError("x" * 100_000)\n')
    verdict = load_verifier({"kind": "python", "target": "wordy:judge"}, bench.root)("4", row("4"))
    assert verdict.error is not None
    assert "wordy.py:2: ValueError: xxx" in verdict.error
    assert len(verdict.error) < 1000


def test_a_verifier_that_changes_its_row_changes_only_a_copy(bench: Bench) -> None:
    bench.write(
        "eats.py", "def judge(c, a, row):\n    return bool(row.pop('q')) and row['list'].pop() == 1\n"
    )
    verify = load_verifier({"kind": "python", "target": "eats:judge"}, bench.root)
    problem = Row(0, {"q": "6*7", "list": [1]}, "42", ())
    assert [verify("42", problem).correct for _ in range(3)] == [True] * 3


def test_a_module_imports_its_neighbours_and_hides_no_library(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is loaded `colorsys` is the neighbour's; for all who come later it is the library's."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    bench.write("asks.py", "import colorsys\ndef judge(c, a, r):\n    return colorsys.mine\n")
    bench.write("colorsys.py", "mine = True\n")
    assert load_verifier({"kind": "python", "target": "asks:judge"}, bench.root)("x", row("y")).correct
    monkeypatch.delitem(sys.modules, "colorsys")
    import colorsys

    assert not hasattr(colorsys, "mine")


def test_a_module_named_like_a_library_hides_nothing(bench: Bench) -> None:
    bench.write("json.py", "from helper_of_json import right\ndef f(c, a, r):\n    return right\n")
    bench.write("helper_of_json.py", "right = True\n")
    assert load_verifier({"kind": "python", "target": "json:f"}, bench.root)("x", row("y")).correct
    import json

    assert json.loads("1") == 1
