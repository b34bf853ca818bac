"""A person's verifier in a process of its own: the same verdicts, and an end to every call."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from exc.runtime.context import JobFailed, Stopped
from exc.runtime.stages.judging import Call, load_judge
from exc.runtime.stages.prompts import Row
from exc.runtime.stages.verifiers import Verdict, load_verifier
from tests.runtime.stages.conftest import Bench

JUDGE = """
import ctypes, os, re, signal, time

def judge(completion, answer, row):
    if completion == "loop":
        while True:
            pass
    if completion == "gil":
        return len(re.match(r"(a|aa)+$", "a" * 80 + "b"))
    if completion == "exit":
        os._exit(3)
    if completion == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if completion == "once" and not os.path.exists("killed-once"):
        open("killed-once", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if completion == "print":
        print("said by the verifier")
    if completion == "raise":
        raise ValueError("no")
    if completion == "none":
        return None
    return completion == answer or completion == "once"
"""
CONFIG = {"kind": "python", "target": "judge:judge"}


def call(completion: str, number: int = 5) -> Call:
    return completion, Row(number, {"q": "2+3", "nested": {"list": [1, None, 2.5]}}, "5", ())


@pytest.fixture
def root(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    bench.write("judge.py", JUDGE)
    monkeypatch.chdir(bench.root)
    return bench.root


def test_verdicts_are_those_of_a_call_in_this_process(root: Path) -> None:
    calls = [call(text) for text in ("5", "4", " 5\n", "none", "raise", "", "\u00e9\u20ac", "print") * 40]
    verify = load_verifier(CONFIG, root)
    with load_judge(CONFIG, root, 30.0) as judge:
        assert judge.judge(calls) == [verify(*one) for one in calls]
        assert judge.judge([]) == []
        long = "x" * 300_000
        assert judge.judge([call(long)]) == [verify(*call(long))]


def test_verifiers_that_always_return_need_no_process(root: Path) -> None:
    before = psutil.Process().children()
    with load_judge({"kind": "numeric"}, root, 30.0) as judge:
        assert judge.judge([call("so 5")]) == [Verdict("5", True, True)]
        assert psutil.Process().children() == before


@pytest.mark.parametrize(("how", "line"), [("loop", "judge.py:6"), ("gil", "judge.py:9")])
def test_a_call_that_does_not_return_is_unverifiable(root: Path, how: str, line: str) -> None:
    with load_judge(CONFIG, root, 0.5) as judge:
        before, hangs, after = judge.judge([call("5"), call(how, 7), call("4")])
    assert before == Verdict("5", True, True)
    assert after == Verdict("4", False, True)
    assert not hangs.verifiable
    assert hangs.timed_out
    assert hangs.error is not None
    said = f"`judge:judge` had not returned after 0.5 s on row 7, completion '{how}': it was at judge.py:"
    assert hangs.error.startswith(said)
    # The interpreter may be at the line of the loop or of its body.
    assert abs(int(hangs.error.rpartition(":")[2]) - int(line.rpartition(":")[2])) <= 1


def test_a_verifier_that_never_returns_is_given_up(root: Path) -> None:
    with load_judge(CONFIG, root, 0.1) as judge, pytest.raises(JobFailed) as failure:
        judge.judge([call("loop", number) for number in range(1000)])
    assert failure.value.kind == "verifier"
    assert "none of its first 8 calls returned; the last: " in str(failure.value)
    assert "row 7, completion 'loop': it was at judge.py:" in str(failure.value)


def test_a_verifier_that_always_ends_its_process_is_given_up(root: Path) -> None:
    with load_judge(CONFIG, root, 30.0) as judge, pytest.raises(JobFailed) as failure:
        judge.judge([call("exit", number) for number in range(1000)])
    assert failure.value.kind == "verifier"
    assert "none of its first 8 calls returned; the last: " in str(failure.value)
    assert "row 7, completion 'exit': it exited with 3" in str(failure.value)


def test_a_process_that_ends_costs_one_verdict(root: Path) -> None:
    with load_judge(CONFIG, root, 30.0) as judge:
        verdicts = judge.judge([call("5"), call("exit"), call("killed"), call("4")])
    assert [verdict.verifiable for verdict in verdicts] == [True, False, False, True]
    assert (verdicts[1].error or "").endswith("row 5, completion 'exit': it exited with 3")
    assert "killed by signal 9 (SIGKILL)" in (verdicts[2].error or "")


def test_a_process_that_was_killed_from_outside_costs_nothing(root: Path) -> None:
    with load_judge(CONFIG, root, 30.0) as judge:
        assert judge.judge([call("once")]) == [Verdict("once", True, True)]


def test_a_request_to_stop_is_heard_while_a_call_hangs(root: Path) -> None:
    began = time.monotonic()
    with (
        load_judge(CONFIG, root, 600.0, lambda: time.monotonic() > began + 0.5) as judge,
        pytest.raises(Stopped),
    ):
        judge.judge([call("loop")])
    assert not [child for child in psutil.Process().children() if "judge_worker" in " ".join(child.cmdline())]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1/0\n", "cannot be imported: judge.py:1: ZeroDivisionError"),
        ("x = 1\n", "judge.py has no function `judge`"),
        ("import os\nos._exit(4)\n", "`judge:judge` cannot be imported: it exited with 4"),
    ],
)
def test_a_verifier_that_cannot_be_loaded(bench: Bench, code: str, message: str) -> None:
    bench.write("judge.py", code)
    with pytest.raises(JobFailed, match=message) as failure:
        load_judge(CONFIG, bench.root, 30.0)
    assert failure.value.kind == "verifier"
