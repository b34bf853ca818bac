"""Figures beyond tokens: what each draws of a study whose counts are known, and what its words say."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exc.compiler.plan import Need
from exc.runtime.report import drawings, write_report
from exc.runtime.report.cloud import cloud_frame
from exc.runtime.report.costs import Cost
from exc.runtime.report.drawings import drawings_of
from exc.runtime.report.figure_rows import drawn_rows
from exc.runtime.report.panels import Drawing, Panel, Scatter, Series
from exc.runtime.report.results import Results, analyse
from exc.runtime.report.scatter import bounds, named_marks
from exc.spec.figures import ARGUMENTS
from tests.runtime.report.paper_study import KEPT, STEPS, TASKS, paper_study
from tests.runtime.report.study import Study

LAST = STEPS[-1]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return paper_study(tmp_path_factory.mktemp("paper"), num_problems=60)


@pytest.fixture(scope="module")
def results(paper: Study) -> Results:
    return analyse(paper.plan(), paper.store)


def drawn(results: Results, *figures: Any) -> list[Drawing]:
    """The figures that some entries of a spec give."""
    report = {**results.plan.report, "figures": list(figures)}
    asked = replace(results, plan=replace(results.plan, report=report))
    return drawings_of(asked)[0]


def lines(panel: Panel | Scatter) -> dict[str, Series]:
    assert isinstance(panel, Panel)
    return {series.label: series for series in panel.series}


def share(paper: Study, recipe: str, at: int, trunk: str = "1B-50B", step: int | None = None) -> float:
    """pass@1 counted by hand: the mean over replicates of the share of right samples."""
    found = []
    for cell in paper.cells:
        place = (cell["evaluation"], cell["trunk"], cell["at"], cell["recipe"], cell["step"])
        if place == ("test", trunk, at, recipe, step):
            folder = paper.store.artifact_path(*cell["artifact"].split("/"))
            rows = [json.loads(line) for line in (folder / "problems.jsonl").read_text().splitlines()]
            found.append(np.mean([row["num_correct"] / row["num_samples"] for row in rows]))
    assert found
    return float(np.mean(found))


def test_every_figure_of_the_language_is_drawn() -> None:
    assert drawings.FIGURES.keys() == drawings._NEEDS.keys() == ARGUMENTS.keys()


def one_place(paper: Study, figure: str, **told: Any) -> dict[str, Any]:
    """A figure of the last checkpoint of the first trunk."""
    cells = [n for n, c in enumerate(paper.cells) if (c["trunk"], c["at"]) == ("1B-50B", LAST)]
    return {"figure": figure, "on": {"trunks": ["1B-50B"]}, "cells": cells, **told}


def test_dynamics_go_through_the_stages_before_and_along_the_kept_steps(
    paper: Study, results: Results
) -> None:
    (drawing,) = drawn(results, one_place(paper, "dynamics", metrics=["pass@1"], references=["sft"]))
    (panel,) = drawing.panels
    found = lines(panel)
    assert list(found) == ["rl", "sft-rl", "sft (reference)"]
    assert isinstance(panel, Panel)
    ticks = dict(panel.across.names)
    assert [ticks[x] for x in found["rl"].xs] == ["Pretrain", *map(str, KEPT)]
    assert [ticks[x] for x in found["sft-rl"].xs] == ["Pretrain", "sft", *map(str, KEPT)]
    assert found["rl"].xs[0] == found["sft-rl"].xs[0] < found["sft-rl"].xs[1] == 0
    expected = [share(paper, "base", LAST), *(share(paper, "rl", LAST, step=k) for k in KEPT[:-1])]
    values = [estimate.value for estimate in found["rl"].estimates]
    assert values == pytest.approx([*expected, share(paper, "rl", LAST)])
    assert found["sft-rl"].estimates[1].value == pytest.approx(share(paper, "sft", LAST))
    assert found["sft (reference)"].level
    assert len(found["rl"].replicates) == 3 * len(KEPT)
    assert "Not drawn, for no step but the last is measured: sft" in drawing.caption


def test_dynamics_need_kept_steps(paper: Study, results: Results) -> None:
    sft = [n for n, cell in enumerate(paper.cells) if cell["recipe"] in ("sft", "base")]
    report = {
        **results.plan.report,
        "figures": [{"figure": "dynamics", "on": {"recipes": ["sft"]}, "cells": sft}],
    }
    _, notes = drawings_of(replace(results, plan=replace(results.plan, report=report)))
    (note,) = notes
    assert "nothing to draw: it needs kept steps of a recipe" in note


def test_efficiency_counts_every_stage_since_the_checkpoint(paper: Study, results: Results) -> None:
    costs = ["flops", "samples"]
    (drawing,) = drawn(results, one_place(paper, "efficiency", metrics=["pass@1"], costs=costs))
    flops, samples = drawing.panels
    assert lines(flops)["rl"].xs == pytest.approx([2e11 * step for step in KEPT])
    assert lines(flops)["sft-rl"].xs == pytest.approx([4e12 + 2e11 * step for step in KEPT])
    assert lines(samples)["sft-rl"].xs == pytest.approx([20_000 + 64 * step for step in KEPT])
    assert lines(flops)["base"].level
    assert isinstance(flops, Panel)
    assert isinstance(samples, Panel)
    assert (flops.across.logarithmic, samples.across.logarithmic) == (True, False)
    rows = [row for row in drawn_rows(drawing) if row["series"] == "sft-rl" and row["across"]]
    assert float(rows[0]["place"]) == 4e12 + 2e11 * KEPT[0]


def test_what_the_parents_of_a_merge_share_was_done_once(tmp_path: Path) -> None:
    study = paper_study(tmp_path, num_problems=4)
    place = f"1B-50B/{LAST}"
    tuned, trained = (study.jobs[f"{place}/{name}"] for name in ("sft/r0/sft", "sft-rl/r0/rl"))
    merge = study.job(f"{place}/soup/r0/soup", "merge", ("parent:0", tuned.id), ("parent:1", trained.id))
    early = Need("parent:2", trained.id, f"grpo/{trained.kept[KEPT[0]]}", "")
    merge = replace(merge, needs=(*merge.needs, early))
    study.jobs[merge.id] = merge
    study.publish(merge, counts={})
    study.scores(study.cell("test", "1B-50B", LAST, "soup", merge, merge), np.full(4, 0.5), 1)
    cost = analyse(study.plan(), study.store).costs[merge.artifact]
    assert cost == Cost(4e12 + 2e11 * KEPT[-1], 20_000 + 64 * KEPT[-1], 2e6 + 9000 * KEPT[-1])


def test_a_predictor_sets_the_base_model_beside_what_rl_made_of_it(paper: Study, results: Results) -> None:
    rl = [n for n, cell in enumerate(paper.cells) if cell["recipe"] == "rl"]
    entry = {"figure": "predictor", "x": "train/pass@1", "y": "test/pass@1", "on": {}, "cells": rl}
    (drawing,) = drawn(results, entry)
    (panel,) = drawing.panels
    assert isinstance(panel, Scatter)
    assert [mark.arm for mark in panel.marks] == ["1B-50B"] * 3 + ["1B-60B"] * 3
    ends = [100 * mark.y.estimate.value for mark in panel.marks]
    expected = [100 * share(paper, "rl", at, trunk) for trunk in ("1B-50B", "1B-60B") for at in STEPS]
    assert ends == pytest.approx(expected)
    assert all(mark.x.cells[0].evaluation == "train" for mark in panel.marks)
    assert panel.note.startswith("Spearman ")
    assert panel.note.endswith("n = 6")


def test_a_tradeoff_leads_from_each_checkpoint_to_its_recipes(paper: Study, results: Results) -> None:
    (drawing,) = drawn(results, one_place(paper, "tradeoff"))
    (panel,) = drawing.panels
    assert isinstance(panel, Scatter)
    assert panel.metrics == ("pass@1", "mean")
    assert panel.arrows
    assert {mark.arm for mark in panel.marks} >= {"base", "rl", "sft", "sft-rl"}
    (sft,) = [mark for mark in panel.marks if mark.arm == "sft"]
    cell = sft.y.cells[0]
    assert sft.y.estimate.value == pytest.approx(np.mean([cell.metrics[task] for task in TASKS]))
    assert sft.y.estimate.low is not None


def test_seeds_show_every_replicate_and_the_best_only_when_asked(results: Results) -> None:
    plain = drawn(results, {"figure": "seeds", "evaluation": "test", "metrics": ["pass@1"]})[0]
    asked = {"figure": "seeds", "evaluation": "test", "metrics": ["pass@32"], "best": "pass@1"}
    best = drawn(results, asked)[0]
    assert list(lines(plain.panels[0])) == ["rl"]
    assert "best" not in plain.caption
    rl, chosen = lines(best.panels[0]).values()
    assert chosen.label == "rl, best of 3 by pass@1"
    assert chosen.chosen
    assert "biased upwards" in best.caption
    assert len(rl.replicates) == 3 * len(STEPS)
    # Best by pass@1, shown by its pass@32, which need not be the highest.
    for spot, x in zip(chosen.spots, chosen.xs, strict=True):
        dots = {dot.cells[0].replicate: dot.estimate.value for dot in rl.replicates if dot.across == x}
        levels = {d.cells[0].replicate: d.cells[0].metrics["pass@1"] for d in rl.replicates if d.across == x}
        assert spot.cells[0].replicate == max(levels, key=lambda replicate: levels[replicate])
        assert spot.estimate.value == dots[spot.cells[0].replicate]


@pytest.mark.parametrize(("recipes", "is_said"), [(["base", "rl"], False), (["rl", "sft"], True)])
def test_what_was_trained_once_among_others_is_said(
    results: Results, recipes: list[str], is_said: bool
) -> None:
    cells = [number for number, cell in enumerate(results.plan.report["cells"]) if cell["recipe"] in recipes]
    asked = {"figure": "panels", "evaluation": "test", "on": {"recipes": recipes}, "cells": cells}
    for drawing in drawn(results, asked, {**asked, "figure": "gains"}):
        assert "up to 3 replicates" in drawing.caption
        assert ("Where there is only one, the interval does not cover" in drawing.caption) == is_said


def test_a_sweep_has_a_bar_for_each_value_and_reference_lines(paper: Study, results: Results) -> None:
    (drawing,) = drawn(
        results, one_place(paper, "sweep", evaluation="test", axis="sft_lr", references=["rl"])
    )
    assert [panel.title for panel in drawing.panels] == ["pass@1", "pass@8", "pass@32", "general: mean"]
    assert drawing.columns == 2
    first = drawing.panels[0]
    assert isinstance(first, Panel)
    assert first.bars
    assert [name for _, name in first.across.names] == ["1e-07", "1e-06", "4e-05"]
    found = lines(first)
    assert list(found) == ["joint[kl=on]", "joint[kl=off]", "rl (reference)"]
    expected = [share(paper, f"joint[sft_lr={rate},kl=off]", LAST) for rate in ("1e-07", "1e-06", "4e-05")]
    assert [estimate.value for estimate in found["joint[kl=off]"].estimates] == pytest.approx(expected)
    assert found["rl (reference)"].level


def test_a_sweep_without_an_axis_has_a_bar_for_each_recipe(paper: Study, results: Results) -> None:
    metrics = ["pass@8", "general/mean"]
    (drawing,) = drawn(results, one_place(paper, "sweep", evaluation="test", metrics=metrics))
    assert [panel.metric for panel in drawing.panels if isinstance(panel, Panel)] == ["pass@8", "mean"]
    assert set(lines(drawing.panels[0])) >= {"base", "rl", "sft", "sft-rl", "joint[sft_lr=1e-07,kl=on]"}


def test_baselines_compare_prompts_of_the_base_model(paper: Study, results: Results) -> None:
    found = drawn(results, {"figure": "baselines", "metrics": ["pass@1"]})
    # `test` and `train` are other rows, and so no baselines of each other.
    assert [drawing.name for drawing in found] == [
        "baselines-test-1B-50B",
        "baselines-test-1B-60B",
    ]
    own = lines(found[0].panels[0])
    assert list(own) == ["0-shot", "1-shot", "4-shot"]
    expected = [share(paper, "base", at) for at in STEPS]
    assert [estimate.value for estimate in own["4-shot"].estimates] == pytest.approx(expected)


def test_baselines_differ_in_their_exemplars_alone(results: Results) -> None:
    asked = {"figure": "baselines", "metrics": ["pass@1"]}
    hot = {**results.evaluations["test"], "temperature": 1.5}
    apart = replace(results, evaluations={**results.evaluations, "test": hot})
    assert list(lines(drawn(apart, asked)[0].panels[0])) == ["0-shot", "1-shot"]
    # Of two with equally many exemplars one is drawn.
    twice = {**results.evaluations["zero-shot"], "num_fewshot": {"base": 1, "trained": 1}}
    alike = replace(results, evaluations={**results.evaluations, "zero-shot": twice})
    assert list(lines(drawn(alike, asked)[0].panels[0])) == ["1-shot", "4-shot"]


def test_no_mark_lies_under_the_note_of_a_predictor(results: Results) -> None:
    panels = drawn(results, {"figure": "predictor", "x": "train/pass@1", "y": "test/pass@1"})[0].panels
    for panel in panels:
        assert isinstance(panel, Scatter)
        assert panel.note
        _, up = cloud_frame([panel], 500)
        line = up.end + 15  # where the note stands, from the top of the picture
        assert all(up.place(bounds([m.y.estimate], panel.scales[1])[1][0]) > line for m in panel.marks)


def test_labels_of_marks_end_within_the_picture(results: Results) -> None:
    (panel,) = drawn(results, {"figure": "predictor", "x": "train/pass@1", "y": "test/pass@1"})[0].panels[:1]
    assert isinstance(panel, Scatter)
    places = [(100.0 * number, 50.0 * number) for number, _ in enumerate(panel.marks)]
    edge = places[-1][0] + 10
    sides = {id(mark): right for mark, right, _ in named_marks(panel, places, (38.0, 11.0), edge)}
    assert [sides[id(mark)] for mark in panel.marks] == [1] * (len(places) - 1) + [-1]


def test_general_has_the_mean_and_every_task(results: Results) -> None:
    first, tasks = drawn(results, "general")[:2]
    assert [panel.metric for panel in first.panels if isinstance(panel, Panel)] == ["mean", "mean"]
    assert [panel.title for panel in tasks.panels] == list(TASKS)
    assert all(task in first.caption for task in TASKS)
    base = lines(first.panels[0])["base"]
    cell = base.spots[0].cells[0]
    assert base.estimates[0].value == pytest.approx(np.mean([cell.metrics[task] for task in TASKS]))
    (task,) = [panel for panel in tasks.panels if panel.title == TASKS[0]]
    assert lines(task)["base"].estimates[0].num_units == 150
    assert base.estimates[0].num_units == 150 * len(TASKS)


def test_gains_of_all_trunks_are_one_figure_in_their_colours(paper: Study, results: Results) -> None:
    rl = [n for n, cell in enumerate(paper.cells) if cell["recipe"] == "rl"]
    told = {"metrics": ["pass@1"], "against": ["base"], "evaluation": "test", "together": True}
    (drawing,) = drawn(results, {"figure": "gains", "on": {"recipes": ["rl"]}, "cells": rl, **told})
    found = lines(drawing.panels[0])
    assert list(found) == ["1B-50B", "1B-60B"]
    for trunk, series in found.items():
        expected = [share(paper, "rl", at, trunk) - share(paper, "base", at, trunk) for at in STEPS]
        assert [estimate.value for estimate in series.estimates] == pytest.approx(expected)


def test_gains_may_be_over_the_input_alone(results: Results) -> None:
    (drawing, _) = drawn(results, {"figure": "gains", "evaluation": "test", "against": ["input"]})
    assert list(lines(drawing.panels[0])) == ["sft-rl \u2212 sft"]
    assert not lines(drawing.panels[0])["sft-rl \u2212 sft"].dashed


def test_metrics_of_answers_can_be_drawn(paper: Study) -> None:
    figure = {"figure": "panels", "metrics": ["maj@32", "entropy", "parse_rate"], "evaluation": "test"}
    plan = replace(paper.plan(), report={**paper.plan().report, "figures": [figure]})
    (drawing, _), notes = drawings_of(analyse(plan, paper.store))
    assert notes == []
    votes, entropy, parsed = (lines(panel)["base"] for panel in drawing.panels)
    assert votes.estimates[0].value == pytest.approx(votes.spots[0].cells[0].metrics["maj@32"])
    assert votes.estimates[0].low is not None
    assert entropy.estimates[0].value == pytest.approx(0.5 + 59 / 2000)
    # One replicate, and nothing by problem: the number alone.
    assert (parsed.estimates[0].value, parsed.estimates[0].low) == (0.98, None)


@pytest.mark.slow
def test_the_page_and_its_files_have_all_figures(paper: Study, tmp_path: Path) -> None:
    page = write_report(paper.plan(), paper.store.root, tmp_path / "report")
    html = page.read_text(encoding="utf-8")
    names = sorted(path.stem for path in (page.parent / "figures").glob("*.pdf"))
    assert len(names) == 22
    for name in names:
        assert f'id="figure-{name}"' in html
        for suffix in ("svg", "png", "csv"):
            assert (page.parent / "figures" / f"{name}.{suffix}").stat().st_size > 200
    with (page.parent / "figures" / f"dynamics-test-1B-50B-{LAST}.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["series"] == "rl" and row["drawn"] == "mean"]
    assert [row["place"] for row in rows if row["panel"] == "pass@1"] == ["Pretrain", *map(str, KEPT)]
    assert [row["model"] for row in rows if row["panel"] == "pass@1"][1:3] == ["rl@50", "rl@100"]
