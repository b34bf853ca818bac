"""What `exc status` and `exc results` say of a plan that is half done."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from exc.runtime.results import result_rows, results_csv, results_table
from exc.runtime.status import print_status, status_json
from exc.runtime.submit import submit
from tests.runtime.core.world import World, job, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A base and two branches, of which one fails."""
    base = job("t/600", cls="pretrain")
    good, bad = job("t/600/rl", reads=[base]), job("t/600/sft", "fail", [base])
    scores = [job(f"{one.id}.score", reads=[one], cls="score") for one in (good, bad)]
    made = make_world(tmp_path, base, good, bad, *scores)
    cells = [
        {
            "evaluation": "sums",
            "trunk": "t",
            "at": 600,
            "recipe": name,
            "job": score.id,
            "artifact": score.artifact,
        }
        for name, score in zip(("rl", "sft"), scores, strict=True)
    ]
    made = World(made.root, replace(made.plan, report={"cells": cells}))
    submit(made.plan, made.plan_folder, made.store, console=Console(file=io.StringIO()), slots=2)
    return made


def test_status_counts_by_class_and_explains_failures(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.root)
    out = io.StringIO()
    code = print_status(world.plan, world.plan_folder, world.store, Console(file=out, width=120))
    shown = out.getvalue()
    assert code == 1
    rows = [line.split() for line in shown.splitlines()[:5]]
    assert rows[0] == ["class", "jobs", "done", "failed", "blocked"]
    assert ["score", "2", "1", "1"] in rows
    assert "failed t/600/sft (data)\n  gsm8k.jsonl row 17 has no column `question`\n  holds up 1 job" in shown
    assert "Traceback" not in shown
    assert shown.endswith("2 jobs to do; to go on: exc submit\n")


def test_status_as_data(world: World) -> None:
    data = status_json(world.plan, world.store)
    assert data["counts"]["done"] == 3
    states = {entry["id"]: entry for entry in data["jobs"]}
    assert states["t/600/sft"]["failure"]["class"] == "data"
    assert states["t/600/sft.score"] == {
        "id": "t/600/sft.score",
        "state": "blocked",
        "blocked_by": "t/600/sft",
    }


def test_results_lead_back_to_their_jobs(world: World) -> None:
    rows = result_rows(world.plan, world.store)
    assert [(row.recipe, dict(row.metrics), row.missing) for row in rows] == [
        ("rl", {"value": 1.5}, ""),
        ("sft", {}, "blocked by t/600/sft"),
    ]
    lines = results_csv(rows).splitlines()
    assert lines[0] == "evaluation,trunk,at,tokens,recipe,replicate,step,value,missing,job,artifact"
    assert lines[1] == f"sums,t,600,,rl,,,1.5,,t/600/rl.score,{rows[0].artifact}"
    out = io.StringIO()
    Console(file=out, width=120).print(results_table(rows, "sums", ["value"]))
    assert "1.500" in out.getvalue()
    assert "blocked by t/600/sft" in out.getvalue()
