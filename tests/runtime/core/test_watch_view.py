"""Frames of `exc watch` as a person sees them; regenerate by `UPDATE_GOLDEN=1 pytest`."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from exc.runtime.owner import Owner
from exc.runtime.state import WORDS, Word
from exc.runtime.submitters import Submitter
from exc.runtime.watch_frame import ClassRow, FailedRow, Frame, RunningRow
from exc.runtime.watch_layout import bar, curve
from exc.runtime.watch_view import frame_lines

GOLDEN = Path(__file__).parent / "golden"


def counts(**given: int) -> dict[Word, int]:
    return {word: given.get(word, 0) for word in WORDS}


def row(name: str, mean: float | None = None, waits: tuple[str, ...] = (), **members: int) -> ClassRow:
    some: dict[Word, int] = {word: count for word, count in counts(**members).items() if count}
    return ClassRow(name, "grpo", some, mean, waits)


CLASSES = (
    row("tokenizer", 0.4, done=1),
    row("tokens", 1.5, done=2),
    row("pretrain", 59, done=2, running=1, waiting=1),
    row("rl.rl", 17, ("pretrain",), done=3, running=1, failed=1, waiting=3),
    row("sft.sft", None, ("pretrain",), cancelled=1, waiting=3),
    row("soup.soup", None, ("rl.rl", "sft.sft"), blocked=2, waiting=2),
    row("sums.sample", None, ("pretrain", "rl.rl", "sft.sft", "soup.soup"), waiting=20),
)
RUNNING = (
    RunningRow(
        "tiny/pretrain/2500",
        "pretrain",
        "box",
        49,
        76,
        {"step": 1953, "total": 2500, "loss": 1.254, "tokens_per_second": 12228.0},
        "loss",
        tuple(1 / step for step in range(1, 60)),
    ),
    RunningRow(
        "tiny/1600/rl-with-a-long-name/r1/rl.arithmetic.sample.0",
        "grpo",
        "box",
        3725,
        None,
        {"step": 23, "total": 50, "reward": 0.078},
        "reward",
        (0.0, 0.1, 0.2),
    ),
    RunningRow("tiny/tokens/english", "tokens", "box", 2, None, {}, "", ()),
)
WHY = "loss is nan at step 31;\nthe last finite loss was 2.1"
FAILED = (FailedRow("tiny/800/rl/r0/rl", "diverged", WHY, "z", Path("l")),)
FRAME = Frame(
    "quickstart",
    counts(done=8, running=2, failed=1, cancelled=1, blocked=2, waiting=29),
    372.0,
    (2, 2),
    (0, 0),
    (Submitter(Owner("box", "b", 17, 1), "quickstart", "", 2, 0, "/log"),),
    CLASSES,
    RUNNING,
    FAILED,
)
REST = replace(FRAME, left_s=None, submitters=(), running=(), cpus=(0, 0))
MANY = replace(
    FRAME,
    classes=tuple(replace(one, name=f"{one.name}-{n}") for n in range(6) for one in CLASSES),
    running=RUNNING * 9,
    failed=FAILED * 30,
)


def shown(frame: Frame, width: int, height: int | None, foot: str = "q leaves") -> str:
    console = Console(file=io.StringIO(), record=True, width=width, height=height, color_system=None)
    for line in frame_lines(frame, Path("plan").absolute(), width, height, foot):
        console.print(line, highlight=False)
    return console.export_text()


@pytest.mark.parametrize(
    ("name", "frame", "width", "height"),
    [
        ("watch-80", FRAME, 80, None),
        ("watch-120", FRAME, 120, None),
        ("watch-80x24-many", MANY, 80, 24),
        ("watch-120x45-many", MANY, 120, 45),
        (
            "watch-80-rest",
            replace(REST, counts=counts(done=8, waiting=36)),
            80,
            None,
        ),
        (
            "watch-80-done",
            replace(REST, failed=(), classes=CLASSES[:2], counts=counts(done=3)),
            80,
            None,
        ),
    ],
)
def test_frames(name: str, frame: Frame, width: int, height: int | None) -> None:
    text = shown(frame, width, height)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@given(
    st.integers(20, 200),
    st.integers(6, 60),
    st.integers(0, 60),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_a_frame_fits_any_terminal(width: int, height: int, classes: int, running: int, failed: int) -> None:
    rows, jobs = (CLASSES * 9)[:classes], (RUNNING * 14)[:running]
    frame = replace(FRAME, classes=rows, running=jobs, failed=FAILED * failed)
    lines = frame_lines(frame, Path("plan").absolute(), width, height, "q leaves")
    assert len(lines) <= height
    # The first line alone is not cut to the width here: the terminal does that.
    assert all(line.cell_len <= width for line in lines[1:] if not line.plain.startswith(("+", "q")))


def test_what_is_left_out_is_counted() -> None:
    text = shown(MANY, 80, 24)
    rows = [line for line in text.splitlines() if line.startswith("+")]
    assert len(rows) == 3
    more = {line.split(" more ")[1].split()[0]: int(line[1:].split()[0]) for line in rows}
    running = text[text.index("\nrunning ") :].split("\n\n")[0].strip().splitlines()
    assert more["jobs"] + len(running) - 2 == len(MANY.running)


@given(st.lists(st.integers(0, 10_000), max_size=6), st.integers(6, 60))
def test_a_bar_is_as_long_as_it_should_and_hides_nothing(members: list[int], width: int) -> None:
    signs = "abcdef"
    text = bar([(count, signs[i], "") for i, count in enumerate(members)], width).plain
    assert len(text) == (width if any(members) else 0)
    assert {signs[i] for i, count in enumerate(members) if count} == set(text)


def test_a_curve_goes_from_the_least_to_the_most() -> None:
    assert curve([1, 2, 3, 4, 5, 6, 7, 8], 8) == "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
    assert curve([0, 0, 1, 1], 2) == "\u2581\u2588"  # means, where there are more than fit
    assert curve([5, 5], 8) == "\u2584\u2584"
    assert curve([], 8) == ""


def test_exit_codes() -> None:
    assert FRAME.exit_code == 1  # a job failed
    assert replace(FRAME, failed=()).exit_code == 0  # it goes on
    assert replace(FRAME, failed=(), running=(), submitters=()).exit_code == 1  # nobody goes on
    assert (
        replace(FRAME, failed=(), running=(), submitters=(), counts=counts(done=9, unneeded=1)).exit_code == 0
    )
