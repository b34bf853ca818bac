"""What is compared with what, and what replicates count for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exc.runtime.report.contrasts import reference_text
from exc.runtime.report.results import Results, analyse
from tests.runtime.report.study import ARITHMETIC, HELD_OUT, Study, base_chances, expand, sharpen


@pytest.fixture(scope="module")
def results(study: Study) -> Results:
    return analyse(study.plan(), study.store)


def found(results: Results, at: int, evaluation: str = "arithmetic") -> dict[tuple[str, str], str]:
    """Contrasts at a checkpoint: the verdict, "?" without one, by arms."""
    return {
        (c.a.head.arm, c.b.head.arm): c.verdict.label if c.verdict else "?"
        for c in results.contrasts
        if (c.a.head.at, c.a.head.evaluation) == (at, evaluation)
    }


def test_every_arm_is_set_against_base_and_its_input(results: Results) -> None:
    assert found(results, 300) == {
        ("rl", "base"): "sharpened",
        ("sft", "base"): "expanded",
        ("sft-rl", "base"): "expanded",
        ("sft-rl", "sft"): "sharpened",
    }
    assert set(found(results, 300, "held-out")) == set(found(results, 300))


def test_a_contrast_with_a_missing_side_is_there_without_numbers(results: Results) -> None:
    missing = [c for c in results.contrasts if c.a.head.at == 1200 and c.a.head.arm == "sft-rl"]
    assert len(missing) == 4
    assert all(c.deltas == {} and c.verdict is None for c in missing)


def test_measured_replicates_stand_for_those_that_are_missing(results: Results) -> None:
    sizes = {p.head.at: (len(p.measured), len(p.cells)) for p in results.points if p.head.arm == "rl"}
    assert sizes == {300: (3, 3), 600: (3, 3), 1200: (1, 3)}


def test_a_contrast_asked_for_without_cells_is_told(results: Results) -> None:
    assert any("soup \u2212 base is asked for" in note for note in results.notes)


def test_equal_work_counts_once(tmp_path: Path) -> None:
    study = Study(tmp_path, num_problems=30, evaluations={"arithmetic": ARITHMETIC})
    model = study.job("tiny/300/soup/r0/merge", "merge")
    for replicate in (0, 1):  # the same identity twice
        score = study.cell("arithmetic", "tiny", 300, "soup", model, model, replicate)
    study.scores(score, base_chances(30, 300), seed=1)
    (point,) = analyse(study.plan(), study.store).points
    assert (len(point.cells), len(point.measured)) == (2, 1)
    assert point.estimates["pass@1"].num_replicates == (1,)


def test_snapshots_are_compared_where_the_spec_asks(tmp_path: Path) -> None:
    study = Study(tmp_path, num_problems=60, evaluations={"arithmetic": ARITHMETIC})
    trunk = study.job("tiny/pretrain/300", "pretrain")
    arms = {
        "early": study.job("tiny/300/sft/r0/sft@20", "sft", ("model", trunk.id)),
        "late": study.job("tiny/300/sft/r0/sft", "sft", ("model", trunk.id)),
    }
    study.scores(
        study.cell("arithmetic", "tiny", 300, "sft", arms["early"], trunk, step=20, final=False),
        base_chances(60, 300),
        1,
    )
    study.scores(
        study.cell("arithmetic", "tiny", 300, "sft", arms["late"], trunk, step=70),
        expand(base_chances(60, 300)),
        2,
    )
    study.report = {"contrasts": [{"a": "sft", "b": {"recipe": "sft", "step": 20}}]}
    results = analyse(study.plan(), study.store)
    assert found(results, 300) == {("sft", "sft@20"): "expanded"}
    assert results.arms == ("sft",)


@pytest.mark.parametrize(
    ("b", "pairs"),
    [
        ({"recipe": "base", "at": "last"}, {(300, "base on tiny at 600")}),  # at 600 it is beside rl anyway
        ({"recipe": "base", "at": 300}, {(600, "base on tiny at 300")}),
        ({"recipe": "base", "trunk": "other"}, {(300, "base on other at 300")}),
        ({"trunk": "other", "at": "first"}, {(300, "base on other at 300"), (600, "base on other at 300")}),
    ],
)
def test_b_may_stand_at_another_checkpoint(
    tmp_path: Path, b: dict[str, Any], pairs: set[tuple[int, str]]
) -> None:
    study = Study(tmp_path, num_problems=60, evaluations={"arithmetic": ARITHMETIC})
    for name, at in (("tiny", 300), ("tiny", 600), ("other", 300)):
        trunk = study.job(f"{name}/pretrain/{at}", "pretrain")
        study.scores(study.cell("arithmetic", name, at, "base", trunk, trunk), base_chances(60, at), at)
        if name == "tiny":
            model = study.job(f"{name}/{at}/rl/r0/rl", "grpo", ("model", trunk.id))
            study.scores(
                study.cell("arithmetic", name, at, "rl", model, model), sharpen(base_chances(60, at)), 2
            )
    checkpoints = {"tiny": [["300", 300], ["600", 600]], "other": [["300", 300]]}
    trunks = {name: {"checkpoints": steps} for name, steps in checkpoints.items()}
    study.report = {"contrasts": [{"a": "rl", "b": b}], "trunks": trunks}
    results = analyse(study.plan(), study.store)
    apart = [c for c in results.contrasts if c.b_place]
    assert {(c.a.head.at, c.b_arm) for c in apart} == pairs
    assert results.notes == ()
    for contrast in apart:
        change = contrast.a.estimates["pass@1"].value - contrast.b.estimates["pass@1"].value
        assert contrast.deltas["pass@1"].value == pytest.approx(change)


def test_matrix_cells_are_arms_of_their_own_and_their_recipe_names_all(tmp_path: Path) -> None:
    study = Study(tmp_path, num_problems=60, evaluations={"arithmetic": ARITHMETIC})
    trunk = study.job("tiny/pretrain/300", "pretrain")
    study.scores(study.cell("arithmetic", "tiny", 300, "base", trunk, trunk), base_chances(60, 300), 1)
    for rate in (1e-6, 1e-5):
        model = study.job(f"tiny/300/rl[lr={rate}]/r0/rl", "grpo")
        score = study.cell("arithmetic", "tiny", 300, "rl", model, model, matrix={"lr": rate})
        study.scores(score, sharpen(base_chances(60, 300)), 2)
    study.report = {"contrasts": [{"a": "rl", "b": "base"}]}
    results = analyse(study.plan(), study.store)
    assert results.arms == ("rl[lr=1e-06]", "rl[lr=1e-05]")
    assert set(found(results, 300)) == {("rl[lr=1e-06]", "base"), ("rl[lr=1e-05]", "base")}
    assert all(c.against == ("base", "asked") for c in results.contrasts)
    assert results.notes == ()


def test_sides_with_other_problems_are_compared_on_what_they_share(tmp_path: Path) -> None:
    study = Study(tmp_path, evaluations={"held-out": HELD_OUT})
    trunk = study.job("tiny/pretrain/300", "pretrain")
    model = study.job("tiny/300/rl/r0/rl", "grpo", ("model", trunk.id))
    study.bits(study.cell("held-out", "tiny", 300, "base", trunk, trunk), 2.0, 1, num_documents=60)
    study.bits(study.cell("held-out", "tiny", 300, "rl", model, model), 2.0, 1, num_documents=50)
    results = analyse(study.plan(), study.store)
    assert results.contrasts[0].deltas["bits_per_byte"].num_units == 50
    assert "compared on the 50 units that both have" in results.notes[0]


def test_a_snapshot_is_found_as_an_input_by_its_job_and_step(tmp_path: Path) -> None:
    study = Study(tmp_path, num_problems=60, evaluations={"arithmetic": ARITHMETIC})
    trunk = study.job("tiny/pretrain/300", "pretrain")
    study.scores(study.cell("arithmetic", "tiny", 300, "base", trunk, trunk), base_chances(60, 300), 1)
    model = study.job("tiny/300/rl/r0/rl", "grpo", ("model", trunk.id))
    named = {"job": f"{model.id}@20", "artifact": "grpo/" + "0" * 64}
    score = study.cell("arithmetic", "tiny", 300, "rl", model, model, step=20, final=False)
    study.cells[-1]["model"] = named
    study.scores(score, sharpen(base_chances(60, 300)), 2)
    (contrast,) = analyse(study.plan(), study.store).contrasts
    assert (contrast.label, contrast.against) == ("rl@20 \u2212 base", ("base", "input"))


def test_the_spec_sets_the_level_of_intervals(tmp_path: Path) -> None:
    study = Study(tmp_path, num_problems=60, evaluations={"arithmetic": ARITHMETIC})
    trunk = study.job("tiny/pretrain/300", "pretrain")
    study.scores(study.cell("arithmetic", "tiny", 300, "base", trunk, trunk), base_chances(60, 300), 1)
    widths = []
    for level in (0.5, 0.99):
        study.report = {"confidence": level}
        estimate = analyse(study.plan(), study.store).points[0].estimates["pass@1"]
        assert estimate.low is not None
        assert estimate.high is not None
        widths.append(estimate.high - estimate.low)
    assert widths[0] < 0.5 * widths[1]


def test_a_reference_reads_like_the_names_of_models() -> None:
    assert reference_text("rl") == "rl"
    assert reference_text({"recipe": "rl", "step": "best.sums.pass@1"}) == "rl@best.sums.pass@1"
    assert reference_text({"recipe": "rl", "trunk": "tiny", "step": 20}) == "rl@20, trunk tiny"
    assert reference_text({"at": 400}) == "base, at 400"
