"""Jobs as a person names them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exc.compiler.plan import Plan
from exc.runtime.selecting import Place, find_jobs, find_one, jobs_of_recipe, jobs_of_trunk, place_of
from tests.runtime.core.world import job

BRANCH = "t/600/rl/r1/rl"
IDS = (
    "t/pretrain/600",
    BRANCH,
    f"{BRANCH}.gsm8k.score",
    "t/600/par[lr=1e-06]/r0/avg",
    "t/600/sft/r0/sft",
    "u/pretrain/30",
    "tasks/gsm8k/train",
)
PLAN = Plan(
    "tiny",
    0,
    "..",
    "experiment.yaml",
    {"name": "local"},
    tuple(replace(job(name), aliases=("t/600/sft-rl/r0/sft",) if "/sft/" in name else ()) for name in IDS),
    {"cells": []},
)


def ids(jobs: object) -> list[str]:
    return [one.id for one in jobs]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (BRANCH, Place("t", "600", "rl", "1")),
        (f"{BRANCH}.gsm8k.sample.0", Place("t", "600", "rl", "1")),
        ("t/600/par[lr=1e-06]/r0/avg", Place("t", "600", "par[lr=1e-06]", "0")),
        ("t/pretrain/600", Place("t", "600", "", "")),
        ("t/pretrain/600.gsm8k.score", Place("t", "600", "base", "")),
        ("t/tokens/english", Place("t", "", "", "")),
        ("tasks/gsm8k/train", Place()),
        ("data/hard", Place()),
    ],
)
def test_an_id_says_where_its_job_stands(name: str, place: Place) -> None:
    assert place_of(name) == place


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (BRANCH, BRANCH),
        ("t/600/sft-rl/r0/sft", "t/600/sft/r0/sft"),  # an alias
        ("u/", "u/pretrain/30"),  # the beginning of one
        ("t/600/rl", BRANCH),  # of a job and of what measures it
        ("t/600/*/r0/avg", "t/600/par[lr=1e-06]/r0/avg"),
        ("t/600/par[lr=*", "t/600/par[lr=1e-06]/r0/avg"),  # a bracket means itself
    ],
)
def test_one_job_is_found(wanted: str, found: str) -> None:
    assert find_one(PLAN, wanted).id == found


def test_a_name_that_could_be_several_names_them() -> None:
    with pytest.raises(LookupError, match=r"t/600 could be 4 jobs:\n  t/600/rl/r1/rl\n"):
        find_one(PLAN, "t/600")


def test_an_unknown_name_has_near_ones() -> None:
    with pytest.raises(LookupError, match="has no job t/pretrain/60x; the nearest: t/pretrain/600"):
        find_one(PLAN, "t/pretrain/60x")


def test_a_recipe_has_its_cells_and_nothing_that_another_has() -> None:
    assert ids(jobs_of_recipe(PLAN, "rl")) == [BRANCH, f"{BRANCH}.gsm8k.score"]
    assert ids(jobs_of_recipe(PLAN, "par")) == ["t/600/par[lr=1e-06]/r0/avg"]
    with pytest.raises(LookupError, match="has no recipe sft"):
        jobs_of_recipe(PLAN, "sft")  # its one job is sft-rl's as well
    with pytest.raises(LookupError, match="has no recipe rll; did you mean rl"):
        jobs_of_recipe(PLAN, "rll")


def test_a_trunk_has_its_branches() -> None:
    assert ids(jobs_of_trunk(PLAN, "u")) == ["u/pretrain/30"]
    assert ids(find_jobs(PLAN, "t/*/r?/*")) == [
        name for name in IDS if "/r" in name and name.startswith("t/600")
    ]
