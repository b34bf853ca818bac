"""The tables' text, to the last digit, and the numbers as a person reads them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from exc.runtime.report import formats
from exc.runtime.report.statistics import Estimate
from exc.runtime.report.typeset import Typeset, latex, markdown

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["cells", "points", "contrasts"])
def test_tables_are_as_they_were(page: Path, name: str) -> None:
    """The first rows. After a wanted change, copy what the failure shows."""
    written = (page.parent / "tables" / f"{name}.csv").read_text(encoding="utf-8")
    head = "".join(written.splitlines(keepends=True)[:9])
    assert head == (GOLDEN / f"{name}.csv").read_text(encoding="utf-8")


def test_every_cell_has_rows(page: Path) -> None:
    with (page.parent / "tables" / "cells.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({(row["evaluation"], row["at"], row["arm"], row["replicate"]) for row in rows}) == 36
    missing = [row for row in rows if row["state"] != "measured"]
    assert len(missing) == 6
    assert all(row["reason"] and not row["value"] for row in missing)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (921_600, "922k"),
        (999_600, "1M"),
        (5e10, "50B"),
        (4.2e12, "4.2T"),
        (1.5e18, "1.5E"),
    ],
)
def test_counts_have_three_digits(value: float, text: str) -> None:
    assert formats.count(value) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("pass@1", 0.1234, "+12.3"),
        ("pass@1", -0.1234, "\u221212.3"),
        ("pass@1", 0.0004, "0.0"),
        ("pass@1", -0.0004, "0.0"),
        ("bits_per_byte", -0.01251, "\u22120.013"),
    ],
)
def test_differences_carry_their_sign(metric: str, value: float, text: str) -> None:
    assert formats.delta_text(metric, value) == text


def test_an_estimate_without_bounds_shows_none() -> None:
    assert formats.interval_text("pass@1", Estimate(0.5, None, None, 1, (1,))) == ""
    assert formats.interval_text("pass@1", Estimate(0.5, 0.25, 0.75, 9, (1,))) == "[25.0, 75.0]"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (59.97, "1 min"), (90, "2 min"), (3599, "1 h 00 min"), (4000, "1 h 07 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


def test_large_numbers_are_written_as_powers() -> None:
    assert formats.scientific(2.5e15) == "2.50\u202f\u00d7\u202f10\u00b9\u2075"
    assert formats.scientific(1234) == "1,234"


@pytest.mark.parametrize("name", ["results.md", "results.tex", "contrasts.md", "contrasts.tex"])
def test_tables_for_papers_are_as_they_were(page: Path, name: str) -> None:
    """After a wanted change, copy what is written."""
    kind, _, suffix = name.partition(".")
    written = (page.parent / "tables" / f"{kind}-arithmetic.{suffix}").read_text(encoding="utf-8")
    assert written == (GOLDEN / name).read_text(encoding="utf-8")
    assert f'href="tables/{kind}-arithmetic.{suffix}"' in page.read_text(encoding="utf-8")


def test_a_table_for_a_paper_says_why_a_number_is_missing(page: Path) -> None:
    text = (page.parent / "tables" / "results-arithmetic.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if "1.84M | sft-rl" in line)
    note = row[row.index("(") + 1]
    assert f"\n{note}: blocked: waits for tiny/1200/sft-rl/r0/rl, which failed (out-of-memory)" in text


def test_latex_takes_names_as_they_are() -> None:
    names = Typeset("50% of a_b", ("a&b", "n"), 1, (("x_{1}#$\\~^", "\u22121.0 [0, 2]"),), ("\u2020 <why>",))
    text = latex(names)
    assert r"\caption{50\% of a\_b}" in text
    assert r"x\_\{1\}\#\$\textbackslash{}\textasciitilde{}\textasciicircum{} & $-$1.0 [0, 2] \\" in text
    assert r"\dag{} \textless{}why\textgreater{}" in text
    assert r"a\&b & n \\" in text
    assert "| a\\|b |" in markdown(Typeset("", ("a|b",), 1, (), ()))
