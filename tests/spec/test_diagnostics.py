"""Findings as data: order, counting, codes, and the nearest name."""

from __future__ import annotations

import pytest

from exc.spec.codes import CODES
from exc.spec.diagnostics import (
    Diagnostic,
    Diagnostics,
    Label,
    Span,
    did_you_mean,
    nearest,
    one_of,
)


def at(line: int, column: int = 1, file: str = "a.yaml") -> Span:
    return Span(file, line, column, line, column + 1)


def test_findings_come_in_reading_order_and_once() -> None:
    diagnostics = Diagnostics()
    diagnostics.error("unused", "nowhere")
    diagnostics.warning("unused", "second", at(2))
    diagnostics.error("unused", "third", at(10))
    diagnostics.error("unused", "first", at(2, file="A.yaml"))
    diagnostics.warning("unused", "second", at(2))
    assert [found.message for found in diagnostics] == ["first", "second", "third", "nowhere"]
    assert len(diagnostics) == 4


def test_warnings_alone_stop_nothing() -> None:
    diagnostics = Diagnostics()
    diagnostics.warning("unused", "x", at(1))
    assert not diagnostics.has_errors
    diagnostics.error("bad-value", "y", at(3), labels=[Label(at(1), "here")], notes=["z"])
    assert diagnostics.has_errors
    assert list(map(str, diagnostics)) == [
        "a.yaml:1:1: warning[unused]: x",
        "a.yaml:3:1: error[bad-value]: y",
    ]


def test_a_code_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="bad-valeu"):
        Diagnostic("bad-valeu", "error", "x", None)


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str) -> None:
    entry = CODES[code]
    assert code == code.lower()
    for text in (entry.what, entry.why, entry.fix):
        assert text.endswith(".")
    assert entry.title
    assert not entry.title.endswith(".")
    assert entry.example


@pytest.mark.parametrize(
    ("word", "candidates", "meant"),
    [
        ("num_generation", ["num_generations", "num_samples"], "num_generations"),
        ("Num-Generations", ["num_generations"], "num_generations"),
        ("recipies", ["recipes", "replicates"], "recipes"),
        ("gsm9k", ["gsm8k", "math"], "gsm8k"),
        ("sfr", ["sft", "rl"], "sft"),
        ("steps", ["max_steps"], "max_steps"),
        ("lr", ["learning_rate", "beta"], None),
        ("x", [], None),
        ("zebra", ["trunks", "tasks"], None),
    ],
)
def test_the_nearest_name(word: str, candidates: list[str], meant: str | None) -> None:
    assert nearest(word, candidates) == meant
    assert did_you_mean(word, candidates) == (meant and f"did you mean `{meant}`?")


def test_choices_are_listed_up_to_a_point() -> None:
    assert one_of(["a"]) == "`a`"
    assert one_of([]) == "nothing"
    assert one_of("ab") == "one of `a`, `b`"
    assert one_of(str(n) for n in range(14)).endswith("`11` and 2 more")
