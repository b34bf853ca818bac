"""What training logged, as a figure: attempts put together, steps averaged, and what is said of the rest."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exc.compiler.plan import Job
from exc.runtime.report import write_report
from exc.runtime.report.drawings import drawings_of
from exc.runtime.report.logs import read_log
from exc.runtime.report.panels import Drawing, Panel, Series
from exc.runtime.report.results import analyse
from tests.runtime.report.study import ARITHMETIC, Study, base_chances

STEPS = (300, 600)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Base, sft and rl with two replicates at two checkpoints; all measured, no attempts in the store."""
    made = Study(tmp_path, num_problems=20, evaluations={"arithmetic": ARITHMETIC})
    made.report = {"figures": ["training"]}
    for at in STEPS:
        trunk = made.job(f"tiny/pretrain/{at}", "pretrain")
        models = [("base", 0, trunk)]
        models += [("rl", n, made.job(f"tiny/{at}/rl/r{n}/rl", "grpo", ("model", trunk.id))) for n in (0, 1)]
        models.append(("sft", 0, made.job(f"tiny/{at}/sft/r0/sft", "sft", ("model", trunk.id))))
        for recipe, replicate, model in models:
            made.publish(model)
            score = made.cell("arithmetic", "tiny", at, recipe, model, model, replicate)
            made.scores(score, base_chances(20, at), at + replicate)
    return made


def rl(study: Study, replicate: int = 0, at: int = STEPS[0]) -> Job:
    return study.jobs[f"tiny/{at}/rl/r{replicate}/rl"]


def rewards(values: Iterable[float], first: int = 1) -> list[dict[str, Any]]:
    return [{"step": step, "total": 9, "reward": value} for step, value in enumerate(values, start=first)]


def drawn(study: Study, **told: Any) -> tuple[list[Drawing], list[str]]:
    figure = {"figure": "training", **told} if told else "training"
    report = {**study.plan().report, "figures": [figure]}
    return drawings_of(analyse(replace(study.plan(), report=report), study.store))


def lines(drawing: Drawing, panel: int = 0) -> dict[str, Series]:
    found = drawing.panels[panel]
    assert isinstance(found, Panel)
    return {series.label: series for series in found.series}


def values(series: Series) -> dict[float, float]:
    return {spot.across: spot.estimate.value for spot in series.spots}


def test_a_panel_for_each_checkpoint_has_the_mean_over_replicates(study: Study) -> None:
    for at in STEPS:
        study.logs(rl(study, 0, at), *rewards([0.1, 0.2, 0.3]))
        study.logs(rl(study, 1, at), *rewards([0.3, 0.4]))
    (drawing,), notes = drawn(study)
    assert notes == []
    assert drawing.name == "training-reward-tiny"
    assert [panel.title for panel in drawing.panels] == ["461k tokens", "922k tokens"]
    found = lines(drawing)["rl"]
    assert values(found) == pytest.approx({1: 0.2, 2: 0.3, 3: 0.3})
    assert [e.num_replicates for e in found.estimates] == [(2,), (2,), (1,)]
    assert all(e.low is None and e.high is None for e in found.estimates)
    assert "one number for its batch, so there is no interval. Up to 2 replicates" in drawing.caption
    assert "Not drawn, because the store has no attempts at them: sft." in drawing.caption


def test_replicates_of_one_identity_count_once(study: Study) -> None:
    study.logs(rl(study), *rewards([0.5]))
    again = next(cell for cell in study.cells if cell["model"]["job"] == rl(study).id)
    study.cells.append({**again, "replicate": 5})
    (drawing,), _ = drawn(study)
    assert lines(drawing)["rl"].estimates[0].num_replicates == (1,)


def test_of_a_step_that_was_done_again_the_newest_attempt_counts(study: Study) -> None:
    job = rl(study)
    study.logs(job, *rewards([0.1] * 6))
    # The sixth step was too short to be logged again: what the lost one had logged is no part of the run.
    resumed = [{"step": 4, "total": 9, "resumed": True}, *rewards([0.5], 5), *rewards([0.7] * 3, 7)]
    study.logs(job, *resumed)
    study.logs(job, '{"time": 1, "event": "start"}\n')  # died before its first step
    (drawing,), _ = drawn(study)
    expected = {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.5, 7: 0.7, 8: 0.7, 9: 0.7}
    assert values(lines(drawing)["rl"]) == pytest.approx(expected)


def test_attempts_are_in_the_order_of_their_numbers(study: Study) -> None:
    for number in range(11):
        study.logs(rl(study), *rewards([number / 10]))
    assert read_log(study.store, rl(study)).of("reward") == {1: 1.0}


def test_a_run_that_was_made_longer_has_its_first_part(study: Study) -> None:
    short, kept = rl(study), "ab" * 32
    longer = replace(short, identity=kept, kept={2: short.identity, 4: kept})
    study.logs(short, *rewards([0.1, 0.2]))
    study.logs(longer, {"step": 2, "resumed": True}, *rewards([0.3, 0.4, 9.0], 3))  # the last is past its end
    log = read_log(study.store, longer)
    assert log.of("reward") == {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}
    assert log.num_attempts == 2


def test_lines_that_are_torn_or_odd_are_passed_over(study: Study) -> None:
    odd: list[dict[str, Any]] = [
        {"step": "2", "reward": 9},
        {"step": True, "reward": 9},
        {"step": -1, "reward": 9},
        {"step": 2.0, "reward": 9},
        {"reward": 9},
        {"step": 3, "reward": "nan"},
        {"step": 4, "reward": float("inf")},
        {"step": 5, "reward": float("nan")},
        {"step": 6, "reward": 10**400},
        {"step": 7, "reward": False},
        {"step": 8, "reward": None},
        {"step": 9, "resumed": True, "time": "then"},
    ]
    whole = rewards([0.5])
    torn = json.dumps({"event": "progress", "step": 10, "reward": 9})[:-4]
    study.logs(rl(study), '{"event": "progr\n', "[1, 2]\n", "\x00\n", *odd, *whole, torn)
    (study.store.attempts_path(rl(study).identity) / "2").write_text("no folder")
    (study.store.attempts_path(rl(study).identity) / "last").mkdir()
    study.store.attempts_path(rl(study, 1).identity).write_text("no folder either")
    (drawing,), _ = drawn(study)
    assert values(lines(drawing)["rl"]) == {1: 0.5}
    assert "replicate 1 of rl at 461k tokens" in drawing.caption


_ODD = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), st.lists)
_LINES = st.binary(max_size=30) | st.builds(
    lambda step, value, more: json.dumps(
        {"event": "progress", "step": step, "reward": value, "resumed": more}
    ).encode(),
    *[_ODD] * 3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.lists(_LINES, max_size=6), min_size=1, max_size=3))
def test_whatever_events_hold_they_are_read(study: Study, attempts: list[list[bytes]]) -> None:
    folder = study.store.attempts_path(rl(study).identity)
    for number, found in enumerate(attempts, start=1):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
        (folder / str(number) / "events.jsonl").write_bytes(b"\n".join(found))
    log = read_log(study.store, rl(study))
    assert all(step >= 0 and abs(value) < 1e300 for step, value in log.of("reward").items())


def test_a_store_without_attempts_is_told(study: Study) -> None:
    drawings, notes = drawn(study)
    assert drawings == []
    why = "no attempt that is left in the store logged anything of its training"
    assert notes == [f"the figure `training` has nothing to draw: {why}"]


def test_what_no_stage_trained_has_no_training(study: Study) -> None:
    base = [n for n, cell in enumerate(study.cells) if cell["recipe"] == "base"]
    drawings, notes = drawn(study, on={"recipes": ["base"]}, cells=base)
    assert drawings == []
    assert "it needs a recipe whose last stage trains" in notes[0]


def test_what_is_not_drawn_is_named(study: Study) -> None:
    study.logs(rl(study, 0), *rewards([0.1]))
    study.logs(study.jobs["tiny/300/sft/r0/sft"], {"step": 1, "loss": 2.0})
    (drawing,), _ = drawn(study)
    gone = "rl at 922k tokens, sft at 922k tokens and replicate 1 of rl at 461k tokens"
    assert f"Not drawn, because the store has no attempts at them: {gone}." in drawing.caption
    assert "Not drawn, because they logged no reward: sft at 461k tokens." in drawing.caption


def test_of_long_runs_neighbouring_steps_are_averaged(study: Study) -> None:
    study.logs(rl(study), *rewards([step / 100 for step in range(1, 199)]))
    (drawing,), _ = drawn(study)
    found = lines(drawing)["rl"]
    assert len(found.spots) == 50
    assert (found.xs[0], found.xs[-1]) == (2.5, 197.5)
    assert (found.estimates[0].value, found.estimates[-1].value) == pytest.approx((0.025, 1.975))
    assert [spot.cells[0].arm for spot in (found.spots[0], found.spots[-1])] == ["rl@1-4", "rl@197-198"]
    assert [e.num_units for e in (found.estimates[0], found.estimates[-1])] == [4, 2]
    assert "Each point is the mean of 4 neighbouring steps, of those that were logged." in drawing.caption


def test_recipes_of_different_lengths_are_averaged_each_in_its_way(study: Study) -> None:
    study.logs(rl(study), *({"step": step, "loss": 1.0} for step in range(1, 41)))
    study.logs(study.jobs["tiny/300/sft/r0/sft"], *({"step": step, "loss": 1.0} for step in range(1, 501)))
    (drawing,), _ = drawn(study)
    assert {name: len(line.spots) for name, line in lines(drawing).items()} == {"rl": 40, "sft": 50}
    assert "of those that were logged: 1 of rl and 10 of sft." in drawing.caption


def test_replicates_that_logged_other_steps_are_still_averaged(study: Study) -> None:
    """Of one replicate the even steps, of the other the odd ones: no place shows one of them alone."""
    study.logs(rl(study, 0), *({"step": step, "reward": 0.2} for step in range(1, 40, 2)))
    study.logs(rl(study, 1), *({"step": step, "reward": 0.6} for step in range(2, 41, 2)))
    (drawing,), _ = drawn(study)
    found = lines(drawing)["rl"]
    assert len(found.spots) == 20
    assert set(found.estimates[3].num_replicates) == {2}
    assert [e.value for e in found.estimates] == pytest.approx([0.4] * 20)


def test_a_loss_is_drawn_where_nothing_logged_a_reward(study: Study) -> None:
    study.logs(study.jobs["tiny/300/sft/r0/sft"], {"step": 1, "loss": 2.5, "grad_norm": 1.0})
    (drawing,), _ = drawn(study)
    assert drawing.name == "training-loss-tiny"
    assert list(lines(drawing)) == ["sft"]


def test_metrics_are_a_figure_each_and_a_wrong_name_is_told(study: Study) -> None:
    study.logs(rl(study), {"step": 1, "reward": 0.1, "learning_rate": 2e-5, "entropy": 1.5})
    drawings, notes = drawn(study, metrics=["learning_rate", "entropy", "rewrad"])
    assert [drawing.name for drawing in drawings] == ["training-learning_rate-tiny", "training-entropy-tiny"]
    said = "which no job logged: did you mean `reward`?"
    assert notes == [f"the figure `training` has nothing to draw of `rewrad`, {said}"]


def test_metrics_of_training_are_none_of_evaluations(study: Study) -> None:
    report = {**study.plan().report, "figures": [{"figure": "training", "metrics": ["entropy"]}]}
    results = analyse(replace(study.plan(), report=report), study.store)
    assert results.evaluations["arithmetic"]["metrics"] == ARITHMETIC["metrics"]


def test_runs_whose_models_are_not_measured_yet_are_drawn(study: Study) -> None:
    running = study.job("tiny/600/new/r0/rl", "grpo", ("model", "tiny/pretrain/600"))
    study.cell("arithmetic", "tiny", 600, "new", running, running)
    study.logs(running, *rewards([0.1, 0.2]))
    cells = [n for n, cell in enumerate(study.cells) if cell["recipe"] == "new"]
    (drawing,), _ = drawn(study, cells=cells)
    assert values(lines(drawing)["new"]) == {1: 0.1, 2: 0.2}


def test_the_page_says_that_there_are_no_intervals_and_rows_lead_to_the_training(
    study: Study, tmp_path: Path
) -> None:
    study.logs(rl(study), *({"step": step, "learning_rate": 2e-5 * step} for step in (1, 2)))
    study.report = {"figures": [{"figure": "training", "metrics": ["learning_rate"]}]}
    pages = [write_report(study.plan(), study.store.root, tmp_path / name) for name in ("a", "b")]
    html = pages[0].read_text(encoding="utf-8")
    figure = html[html.index('<figure id="figure-training-learning_rate-tiny">') :]
    figure = figure[: figure.index("</figure>")]
    assert "interval" not in figure.replace("no interval", "")
    assert "n counts steps" in figure
    assert "<b>2e-05</b>" in figure  # a rate of learning is no share
    assert f'data-artifact="{rl(study).artifact}">{rl(study).id}</a>' in figure
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("training-*"))
    assert [path.suffix for path in files] == [".csv", ".pdf", ".png", ".svg"]
    for path in (Path("index.html"), *files):
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
    with (tmp_path / "a" / files[0]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["job"], row["artifact"]) for row in rows] == [(rl(study).id, rl(study).artifact)] * 2
    assert [(row["model"], row["place"], row["low"]) for row in rows] == [
        ("rl@1", "1.0", ""),
        ("rl@2", "2.0", ""),
    ]
