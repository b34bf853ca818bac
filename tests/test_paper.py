"""The paper as specs: they compile at its size, the page names what they say, miniatures are no copies."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exc.compiler.folder import plan_folder
from exc.compiler.plan import Plan
from exc.pipeline import Compiled, compile_spec
from exc.spec.diagnostics import Diagnostics
from exc.spec.extends import extend
from exc.spec.nodes import Mapping, plain
from exc.spec.source import parse

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "paper.md"
STUDIES = ("gsm8k", "math", "parallel", "rollouts")

# What the plan of each holds, by kind of job.
JOBS = {
    "paper/gsm8k.yaml": {
        "fetch": 10, "tokenizer": 1, "tokens": 6, "smoke": 8, "pretrain": 9, "derive": 1, "rows": 3,
        "grpo": 32, "sft": 18, "sample": 228, "score": 114, "lm_eval": 73,
    },
    "paper/math.yaml": {
        "fetch": 10, "tokenizer": 1, "tokens": 7, "smoke": 14, "pretrain": 11, "derive": 1, "rows": 2,
        "grpo": 11, "sft": 8, "sample": 88, "score": 44,
    },
    "paper/parallel.yaml": {
        "fetch": 10, "tokenizer": 1, "tokens": 6, "smoke": 10, "pretrain": 9, "derive": 1, "rows": 3,
        "grpo": 16, "sft": 10, "parallel": 7, "interleave": 1, "combined": 1, "sample": 190,
        "score": 95, "lm_eval": 49,
    },
    "paper/rollouts.yaml": {
        "fetch": 4, "derive": 3, "rows": 5, "smoke": 7, "sample": 70, "rate": 1, "grpo": 4, "score": 33,
    },
    "mini-paper/gsm8k.yaml": {
        "tokenizer": 1, "tokens": 2, "pretrain": 6, "derive": 1, "rows": 3, "grpo": 19, "sft": 12,
        "sample": 140, "score": 70, "lm_eval": 46,
    },
    "mini-paper/math.yaml": {
        "tokenizer": 2, "tokens": 7, "pretrain": 11, "derive": 1, "rows": 2, "grpo": 13, "sft": 10,
        "sample": 96, "score": 48,
    },
    "mini-paper/parallel.yaml": {
        "tokenizer": 1, "tokens": 2, "pretrain": 6, "derive": 1, "rows": 2, "grpo": 8, "sft": 8,
        "parallel": 6, "interleave": 1, "combined": 1, "sample": 104, "score": 52, "lm_eval": 34,
    },
    "mini-paper/rollouts.yaml": {
        "tokenizer": 1, "tokens": 2, "pretrain": 1, "derive": 3, "rows": 4, "sample": 18, "rate": 1,
        "grpo": 4, "score": 17,
    },
}  # fmt: skip


@cache
def compiled(file: str) -> Compiled:
    return compile_spec(EXAMPLES / file, profile_name="cluster" if file.startswith("paper/") else "local")


def plan_of(file: str) -> Plan:
    plan = compiled(file).plan
    assert plan is not None, [(found.code, found.message) for found in compiled(file).diagnostics]
    return plan


@cache
def tree(file: str) -> dict[str, Any]:
    """What the spec says with what it extends, as it is written."""
    path, diagnostics = EXAMPLES / file, Diagnostics()
    text = path.read_text(encoding="utf-8")
    root = parse(text, str(path), diagnostics)
    assert isinstance(root, Mapping)
    said = plain(extend(root, str(path), text, diagnostics).root)
    assert isinstance(said, dict)
    assert not diagnostics.has_errors
    return said


def test_every_spec_is_counted() -> None:
    specs = {
        path.relative_to(EXAMPLES).as_posix()
        for folder in ("paper", "mini-paper")
        for path in (EXAMPLES / folder).glob("*.yaml")
        if "\nexperiment:" in path.read_text(encoding="utf-8")
    }
    assert specs == set(JOBS)
    assert set(JOBS) == {f"{folder}/{study}.yaml" for folder in ("paper", "mini-paper") for study in STUDIES}


@pytest.mark.parametrize("file", JOBS)
def test_it_compiles_to_the_jobs_that_are_meant(file: str) -> None:
    assert Counter(job.kind for job in plan_of(file).jobs) == JOBS[file]


@pytest.mark.parametrize("file", JOBS)
def test_what_is_found_is_accepted_with_a_reason(file: str) -> None:
    """But that names on the hub are not locked, of which the miniatures have none."""
    plan_of(file)
    found = {finding.code for finding in compiled(file).diagnostics} - tree(file)["accept"].keys()
    assert found == ({"unlocked"} if file.startswith("paper/") else set())


@pytest.mark.parametrize("study", ["gsm8k", "math", "parallel"])
def test_a_plan_at_full_size_counts_gpu_hours_and_shared_work(study: str) -> None:
    text = plan_folder(plan_of(f"paper/{study}.yaml"))["PLAN.md"].decode()
    row = re.search(r"^\| GPU-hours \| ([\d,]+) \| ([\d,]+) \|", text, re.MULTILINE)
    assert row is not None
    planned, naive = (int(number.replace(",", "")) for number in row.groups())
    assert 0 < planned < naive  # than each branch by itself, from the first step
    assert "## Shared work" in text


def test_a_plan_does_not_count_what_it_cannot_know() -> None:
    """The size of a published model is known when it is locked."""
    text = plan_folder(plan_of("paper/rollouts.yaml"))["PLAN.md"].decode()
    assert "The operations of 4 jobs are not counted either" in text
    assert "GPU-hours" not in text


# --- the miniatures -----------------------------------------------------------------------------------------


def shape_of(said: Any) -> Any:
    """What a recipe does: names and kinds of stages, names of axes. A miniature may change the numbers."""
    stages = said["stages"] if isinstance(said, dict) else said
    axes = tuple(said["matrix"]) if isinstance(said, dict) else ()
    return axes, [
        (name, *(key for key in stage if key != "from"), from_recipe(stage.get("from")))
        for entry in stages
        for name, stage in entry.items()
    ]


def from_recipe(said: Any) -> Any:
    """The recipe that is named, without its step or checkpoint."""
    return said.get("recipe") if isinstance(said, dict) else said


def name_of(figure: Any) -> str:
    return figure if isinstance(figure, str) else str(next(iter(figure)))


@pytest.mark.parametrize("study", STUDIES)
def test_a_miniature_extends_the_spec_of_the_paper(study: str) -> None:
    large, small = f"paper/{study}.yaml", f"mini-paper/{study}.yaml"
    assert tree(small)["extends"][0] == f"../{large}"
    assert tree(small)["recipes"].keys() == tree(large)["recipes"].keys()
    for recipe, said in tree(large)["recipes"].items():
        assert shape_of(tree(small)["recipes"][recipe]) == shape_of(said), recipe
    kinds = [{name: set(said) - {"on", "like"} for name, said in tree(file)["evaluations"].items()}
             for file in (small, large)]  # fmt: skip
    assert kinds[0] == kinds[1]
    figures = [[name_of(figure) for figure in tree(file)["report"]["figures"]] for file in (small, large)]
    assert figures[0] == figures[1]
    asked = [
        [
            (from_recipe(pair["a"]), from_recipe(pair["b"]))
            for pair in tree(file)["report"].get("contrasts", [])
        ]
        for file in (small, large)
    ]
    assert asked[0] == asked[1]


@pytest.mark.parametrize("study", STUDIES)
def test_a_miniature_measures_what_the_paper_measures(study: str) -> None:
    """Every recipe by every evaluation, whatever the checkpoints are."""
    measured = [
        {(cell["recipe"].partition("[")[0], cell["evaluation"]) for cell in plan_of(file).report["cells"]}
        for file in (f"mini-paper/{study}.yaml", f"paper/{study}.yaml")
    ]
    assert measured[0] == measured[1]
    assert len(measured[0]) > 1


# --- the page -----------------------------------------------------------------------------------------------


def rows() -> list[tuple[str, list[str]]]:
    """Of the page's table: a file, and the dotted paths that are said to be in it."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [
        line.strip("| ").split(" | ") for line in lines if re.match(r"\| .* \| `\w[\w-]*\.yaml` \| ", line)
    ]
    return [(file.strip("`"), re.findall(r"`([^`]+)`", paths)) for _, file, paths in cells]


def test_the_page_names_lines_that_are_in_the_specs() -> None:
    absent = []
    for file, paths in rows():
        assert paths, file
        for path in paths:
            node: Any = tree(f"paper/{file}")
            for key in path.split("."):
                node = node.get(key) if isinstance(node, dict) else None
            absent += [] if node else [f"{file}: {path}"]
    assert absent == []
    assert {file for file, _ in rows()} == {f"{name}.yaml" for name in (*STUDIES, "pretraining")}


def test_the_page_counts_what_the_plan_holds() -> None:
    plan = plan_of("paper/gsm8k.yaml")
    said = f"{len(plan.jobs)} jobs, {len({job.cls for job in plan.jobs})} classes"
    assert said in PAGE.read_text(encoding="utf-8")
