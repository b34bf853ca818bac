"""What figures draw: for which cells, in which colours, on which axes, and the rows beside and under them."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import exc.runtime.report
from exc.runtime.report import drawings, write_report
from exc.runtime.report.axes import (
    Axis,
    is_slanted,
    log_ticks,
    place_axis,
    place_ticks,
    round_ticks,
    tick_texts,
)
from exc.runtime.report.drawings import drawings_of
from exc.runtime.report.panels import TOKENS, Across
from exc.runtime.report.results import Results, analyse
from exc.runtime.report.selections import requests_of, select
from exc.runtime.report.style import DARK, LIGHT, looks
from tests.runtime.report.study import Study, matrix_study, whole_study

GOLDEN = Path(__file__).parent / "golden"
STYLE_SHEETS = Path(exc.runtime.report.__file__).parent


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return matrix_study(tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="module")
def variants_page(variants: Study) -> Path:
    return write_report(variants.plan(), variants.root / "store", variants.root / "report")


def results_of(study: Study) -> Results:
    return analyse(study.plan(), study.store)


def test_a_figures_csv_is_as_it_was(page: Path) -> None:
    """The first rows. After a wanted change, copy what the failure shows."""
    written = (page.parent / "figures" / "gains-arithmetic-tiny.csv").read_text(encoding="utf-8")
    head = "".join(written.splitlines(keepends=True)[:6])
    assert head == (GOLDEN / "figure.csv").read_text(encoding="utf-8")


def test_a_figures_html_is_as_it_was(variants_page: Path) -> None:
    """The second drawing of pass@k, of one checkpoint. After a wanted change, copy what is written."""
    html = variants_page.read_text(encoding="utf-8")
    start = html.index('<figure id="figure-panels-arithmetic-tiny-2">')
    found = html[start : html.index("</figure>", start)]
    assert found == (GOLDEN / "figure.html").read_text(encoding="utf-8")


def test_every_point_of_a_figure_names_its_jobs_and_artifacts(study: Study, page: Path) -> None:
    artifacts = {cell["artifact"]: cell["job"] for cell in study.cells}
    paths = sorted((page.parent / "figures").glob("*.csv"))
    assert len(paths) == 4
    for path in paths:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            assert [artifacts[artifact] for artifact in row["artifact"].split()] == row["job"].split()
            assert bool(row["against"]) == bool(row["against_job"])
            assert row["drawn"] == "mean" or len(row["replicates"].split()) == 1
            assert int(row["num_units"]) in (60, 200)


def test_the_table_in_the_page_has_the_numbers_of_the_csv(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    start = html.index('<figure id="figure-panels-arithmetic-tiny">')
    table = html[start : html.index("</figure>", start)]
    shown = re.findall(r"<td><b>([\d.]+)</b>", table)
    with (page.parent / "figures" / "panels-arithmetic-tiny.csv").open(encoding="utf-8") as file:
        written = [f"{100 * float(row['value']):.1f}" for row in csv.DictReader(file)]
    assert sorted(shown) == sorted(written)


def test_a_figure_of_some_cells_draws_those_alone(variants: Study, variants_page: Path) -> None:
    drawings, notes = drawings_of(results_of(variants))
    names = [drawing.name for drawing in drawings]
    assert names == [
        "gains-arithmetic-tiny",
        "panels-arithmetic-tiny",
        "panels-arithmetic-tiny-2",
        "sharpening-arithmetic-tiny",
    ]
    assert notes == []
    assert drawings[2].title == "pass@k over pre-training: arithmetic on tiny (at steps 300)"
    for name, steps in (("panels-arithmetic-tiny", {"300", "600"}), ("panels-arithmetic-tiny-2", {"300"})):
        with (variants_page.parent / "figures" / f"{name}.csv").open(encoding="utf-8") as file:
            assert {row["step"] for row in csv.DictReader(file)} == steps
        assert f'id="figure-{name}"' in variants_page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ({}, ""),
        ({"recipes": ["rl", "sft"], "replicates": [0]}, "recipes rl, sft; replicates 0"),
        ({"at": {"steps": [300, 600], "include": ["last"], "snap": "exact"}}, "at steps 300, 600 and last"),
        (
            {"at": {"tokens": {"start": 10**9}, "include": [], "snap": "floor"}},
            "at tokens from 1B and snap floor",
        ),
        ({"at": {"steps": {"start": 3, "stop": 9}}, "step": "final"}, "at steps from 3 to 9; step final"),
    ],
)
def test_a_selection_is_told_in_words(on: dict[str, Any], words: str) -> None:
    (request,) = requests_of({"figures": [{"figure": "gains", "on": on, "cells": [3]}]})
    assert request.words == words
    assert request.cells == frozenset({3})


def test_a_figure_of_no_measured_cell_is_told(variants: Study) -> None:
    variants_plan = variants.plan()
    report = {
        **variants_plan.report,
        "figures": [{"figure": "gains", "on": {"recipes": ["rl"]}, "cells": []}],
    }
    _, notes = drawings_of(analyse(replace(variants_plan, report=report), variants.store))
    assert notes == ["the figure `gains` (recipes rl) has nothing to draw: none of its cells is measured"]


def test_a_figure_says_what_it_lacks_where_its_cells_are_measured(variants: Study) -> None:
    variants_plan = variants.plan()
    cells = [cell for cell in variants_plan.report["cells"] if cell["evaluation"] == "arithmetic"]
    report = {**variants_plan.report, "cells": cells, "figures": ["general"]}
    _, notes = drawings_of(analyse(replace(variants_plan, report=report), variants.store))
    needs = "it needs an evaluation of bits per byte or of lm_eval"
    assert notes == [f"the figure `general` has nothing to draw: {needs}"]
    assert drawings._NEEDS.keys() == drawings.FIGURES.keys()


def test_a_selection_keeps_what_its_differences_are_against(study: Study) -> None:
    results = results_of(study)
    chosen = select(results, frozenset(c.number for c in results.cells if c.recipe == "sft"))
    assert {point.head.recipe for point in chosen.points} == {"sft"}
    assert {contrast.label for contrast in chosen.contrasts} == {"sft \u2212 base"}
    assert select(results, None) is results


def test_a_selection_of_replicates_is_computed_from_them(study: Study) -> None:
    results = results_of(study)
    picked = frozenset(c.number for c in results.cells if c.recipe == "rl" and c.replicate == 1)
    chosen = select(results, picked)
    point = next(p for p in chosen.points if p.head.at == 600 and p.head.evaluation == "arithmetic")
    (cell,) = point.measured
    assert cell.units is not None
    rate = float((cell.units.counts["num_correct"] / cell.units.counts["num_samples"]).mean())
    assert point.estimates["pass@1"].value == pytest.approx(rate)
    contrast = next(c for c in chosen.contrasts if c.a is point and c.b.head.recipe == "base")
    base = contrast.b.estimates["pass@1"].value
    assert contrast.deltas["pass@1"].value == pytest.approx(rate - base)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast_of(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def pairs_in(sheet: str) -> dict[str, tuple[str, str]]:
    """The custom properties of a style sheet that have a colour for light and one for dark."""
    text = (STYLE_SHEETS / sheet).read_text(encoding="utf-8")
    found = re.findall(r"(--[\w-]+): light-dark\((#\w+), (#\w+)\);", text)

    def full(colour: str) -> str:
        return colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])

    return {name: (full(light), full(dark)) for name, light, dark in found}


def test_the_pages_colours_are_those_of_the_files() -> None:
    colours = pairs_in("figures.css")
    assert list(colours.values()) == list(zip(LIGHT, DARK, strict=True))


@pytest.mark.parametrize("theme", [0, 1])
def test_lines_and_texts_stand_out_from_the_page(theme: int) -> None:
    """WCAG AA: 3:1 for graphics, 4.5:1 for text."""
    page = pairs_in("report.css")
    ground, soft = page["--page"][theme], page["--soft"][theme]
    for colour in (LIGHT, DARK)[theme]:
        assert contrast_of(colour, ground) >= 3
    for name in ("--ink", "--text", "--muted", "--accent", "--better", "--worse"):
        assert contrast_of(page[name][theme], ground) >= 4.5
        assert contrast_of(page[name][theme], soft) >= 4.5


def test_variants_share_a_hue_and_differ_in_all_else() -> None:
    arms = [f"joint[lr={lr}]" for lr in range(12)] + ["rl", "sft"]
    found = looks(arms)
    variants = [found[arm] for arm in arms[:12]]
    assert len({look.index for look in variants}) == 1
    assert len({(look.marker, look.dash, look.shade) for look in variants}) == 12
    assert len({found[arm].index for arm in ("joint[lr=0]", "rl", "sft", "base")}) == 4
    assert all(contrast_of(look.colour, "#ffffff") >= 3 for look in found.values())


def test_a_recipe_beyond_the_colours_differs_from_the_first_of_its_colour_in_all_else() -> None:
    names = [f"recipe-{number}" for number in range(12)]
    found = looks(names)
    for first, second in zip(names[:6], names[6:], strict=True):
        one, other = found[first], found[second]
        assert one.index == other.index
        assert all(getattr(one, part) != getattr(other, part) for part in ("marker", "dash", "shade"))


def test_names_of_any_characters_are_safe_for_files_and_anchors(tmp_path: Path) -> None:
    study = whole_study(tmp_path, steps=(300,))
    for cell in study.cells:
        cell["trunk"] = "tiny[lr=1e-3,wd=0/1]"
    drawings, _ = drawings_of(results_of(study))
    assert drawings
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", drawing.name) for drawing in drawings)
    page = write_report(study.plan(), tmp_path / "store", tmp_path / "report")
    assert all((page.parent / "figures" / f"{drawing.name}.csv").is_file() for drawing in drawings)


VALUES = st.floats(-1e6, 1e6, allow_nan=False)


@given(VALUES, st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_within(low: float, span: float) -> None:
    ticks = round_ticks(low, low + span)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert len(set(tick_texts(ticks))) == len(ticks)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=30, unique=True))
def test_checkpoints_stand_in_order_within_the_axis(tokens: list[int]) -> None:
    tokens = sorted(tokens)
    axis = place_axis(TOKENS, tokens, 50, 450, beside=False)
    places = [axis.place(value) for value in tokens]
    assert places == sorted(places)
    assert all(50 <= place <= 450 for place in places)
    ticks = [value for value, _ in place_ticks(TOKENS, axis, tokens, 0.2)]
    assert ticks[-1] == tokens[-1]
    assert set(ticks) <= set(map(float, tokens))
    assert len(ticks) <= 6


def test_the_first_checkpoint_may_have_seen_no_token() -> None:
    axis = place_axis(TOKENS, [0, 100], 0, 110, beside=False)
    assert 0 < axis.place(0) < axis.place(100) < 110
    assert Axis(0, 10, 100, 0).place(2.5) == 75


def test_names_leave_each_other_room_and_words_come_before_numbers() -> None:
    names = ((-20.0, "Pretrain"), (0.0, "sft"), (5.0, "5"), (100.0, "100"), (102.0, "102"))
    across = Across("step", "names", names=names)
    xs = [place for place, _ in names]
    axis = place_axis(across, xs, 0, 300, beside=False)
    assert [text for _, text in place_ticks(across, axis, xs, 0.1)] == ["Pretrain", "sft", "102"]
    assert [text for _, text in place_ticks(across, axis, xs, 0.001)] == [text for _, text in names]


def test_names_that_belong_together_are_all_written_aslant_where_a_row_has_no_room() -> None:
    names = tuple((float(place), f"recipe-{place}") for place in range(8))
    across = Across("recipe", "names", names=names, together=True)
    xs = [place for place, _ in names]
    axis = place_axis(across, xs, 0, 400, beside=True)
    for room, slanted in ((0.1, True), (0.01, False)):
        ticks = place_ticks(across, axis, xs, room)
        assert ticks == list(names)
        assert is_slanted(across, ticks, axis, room) is slanted
    assert place_ticks(across, axis, xs, 0.4) == []  # there they would lie over each other, aslant or not
    lone = replace(across, together=False)
    assert not is_slanted(lone, place_ticks(lone, axis, xs, 0.1), axis, 0.1)


@given(st.floats(1e-3, 1e12), st.floats(1.05, 1e6))
def test_logarithmic_ticks_are_few_and_within(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    assert ticks == sorted(ticks)
    assert len(ticks) <= 8
    assert all(low <= tick <= low * ratio for tick in ticks)
