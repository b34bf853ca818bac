"""Cells of a matrix in a plan: names with brackets survive wherever they are written, and are found again."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from exc.commands.stale import where
from exc.compiler.diff import diff_plans
from exc.compiler.folder import plan_folder
from exc.compiler.plan import Plan, read_plan
from exc.runtime.results import ResultRow, results_table
from tests.compiler.study import SpecData, edited, load, plan_of

SFT = {"task": "sums", "batch_size": 16, "max_steps": 60, "args": {"learning_rate": "$lr"}}
ASKED = {"task": "sums", "k": [1], "num_samples": 16, "max_new_tokens": 32, "temperature": "$t"}


def sweep(limit: int = 10) -> SpecData:
    """Two cells of a recipe and of an evaluation, which comes last: PLAN.md names a job of the last class."""
    return edited(
        {
            "recipes": {"sft": {"matrix": {"lr": [1e-6, 0.5]}, "stages": [{"sft": {"sft": SFT}}]}},
            "evaluations": {"sums": {"matrix": {"t": [0.5, 1]}, "pass_at_k": {**ASKED, "limit": limit}}},
        }
    )


def written(plan: Plan, folder: Path) -> Path:
    for name, content in plan_folder(plan).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_scripts_are_called_by_the_entry_and_jobs_by_the_cell(tmp_path: Path) -> None:
    plan = plan_of(sweep())
    folder = written(plan, tmp_path)
    names = {path.name for path in (folder / "jobs").iterdir()}
    assert {"sft.sft.sh", "sums.sample.sh", "sums.score.sh"} <= names
    assert not any("[" in name for name in names)
    table = yaml.safe_load((folder / "jobs" / "sft.sft.yaml").read_text(encoding="utf-8"))
    assert list(table["jobs"]) == [job.id for job in plan.jobs if job.kind == "sft"]
    assert "tiny/400/sft[lr=1e-06]/r0/sft" in table["jobs"]
    assert read_plan(folder) == plan


def test_the_command_in_the_plan_is_one_that_a_shell_reads(tmp_path: Path) -> None:
    plan = plan_of(sweep())
    text = (written(plan, tmp_path) / "PLAN.md").read_text(encoding="utf-8")
    (line,) = [line for line in text.split("\n") if line.startswith("bash jobs/sums.")]
    words = shlex.split(line, comments=True)
    assert words[2] in plan.by_id
    assert "[" in words[2]
    assert f"'{words[2]}'" in line


def test_a_changed_field_is_told_at_its_cell() -> None:
    old, new = plan_of(sweep(10)), plan_of(sweep(20))
    experiment = load(sweep(20)).experiment
    assert experiment is not None
    text = json.dumps(sweep(20), indent=1).split("\n")
    found = [(changed.job, field) for changed in diff_plans(old, new).changed for field in changed.fields]
    assert {job.kind for job, _ in found} == {"sample"}
    for job, field in found:
        line = int(where(experiment, job, field).split(":")[1])
        assert '"limit": 20' in text[line - 1]


def row(**values: Any) -> ResultRow:
    usual: dict[str, Any] = dict.fromkeys(ResultRow.__dataclass_fields__, "")
    numbers: dict[str, Any] = {
        "at": 60,
        "tokens": 1,
        "replicate": 0,
        "step": None,
        "matrix": {},
        "metrics": {"pass@1": 0.5},
    }
    fields: dict[str, Any] = {**usual, **numbers, "adopted": (), "problems": None, **values}
    return ResultRow(**fields)


def test_names_in_brackets_are_not_taken_for_markup() -> None:
    rows = [row(evaluation="sums[t=0.5]", trunk="tiny[lr=1]", recipe="sft[lr=1e-06,num=2]")]
    out = io.StringIO()
    Console(file=out, width=120).print(results_table(rows, "sums[t=0.5]", ["pass@1"]))
    for name in ("sums[t=0.5]", "tiny[lr=1]/60", "sft[lr=1e-06,num=2]"):
        assert name in out.getvalue()
