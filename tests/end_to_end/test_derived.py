"""Fine-tuning on a branch's own right samples, from spec to results; and data of which nothing is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow

SPEC = """\
extends: own-samples.yaml
version: 1
experiment: rejection
data:
  right: {data: rated, where: {num_correct: {min: 1}}}
tasks: {sums: {splits: {own: {data: right}}}}
recipes:
  rft:
    - rft:
        sft: {task: sums, split: own, demonstrations: all, batch_size: 4, max_steps: 4,
              args: {learning_rate: 1.0e-3, max_length: 32}}
  dpo:
    - dpo: {dpo: {task: sums, split: pairs, batch_size: 2, max_steps: 2, args: {max_length: 32}}}
evaluations:
  sums: {pass_at_k: {task: sums, k: [1], num_samples: 4, max_new_tokens: 6}}
  drawn: {pass_at_k: {task: sums, split: train, k: [1], num_samples: 4, max_new_tokens: 6}}
"""


def project(folder: Path, spec: str = SPEC) -> Project:
    made = Project.new(folder)
    (folder / "experiment.yaml").write_text(spec, encoding="utf-8")
    return made


def rows(made: Project, job_id: str) -> list[dict[str, Any]]:
    path = made.artifact(made.plan.job(job_id).artifacts()[0]) / "rows.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def metrics(made: Project, job_id: str) -> dict[str, float]:
    path = made.artifact(made.plan.job(job_id).artifacts()[0]) / "artifact.json"
    found: dict[str, float] = json.loads(path.read_bytes())["metrics"]
    return found


def test_a_branch_learns_from_what_its_own_base_got_right(tmp_path: Path) -> None:
    made = project(tmp_path / "rejection")
    made.ok("compile")
    made.ok("submit")
    assert set(made.states().values()) == {"done"}
    for at in (30, 60):
        rated, right = rows(made, f"mini/{at}/data/rated"), rows(made, f"mini/{at}/data/right")
        assert len(rated) == 12
        assert right == [row for row in rated if row["num_correct"] >= 1]
        learnt = rows(made, f"mini/{at}/tasks/sums/own.demonstrations")
        assert [row["demonstrations"] for row in learnt] == [row["demonstrations"] for row in right]
        for row in right:
            assert all(_is_right(text, row["answer"]) for text in row["demonstrations"])
            assert not any(_is_right(text, row["answer"]) for text in row["wrong"])
        found = metrics(made, f"mini/{at}/data/rated")
        # The evaluation of the same model on the same split judges the same samples.
        assert found["share_correct"] == pytest.approx(
            metrics(made, f"mini/pretrain/{at}.drawn.score")["pass@1"]
        )
        assert metrics(made, f"mini/{at}/data/right") == {"rows_in": 12, "rows_out": len(right)}
        pairs = rows(made, f"mini/{at}/data/pairs")
        both = [row for row in rated if row["demonstrations"] and row["wrong"]]
        wanted = [(row["question"], row["demonstrations"][0], row["wrong"][0]) for row in both]
        assert [(row["question"], row["chosen"], row["rejected"]) for row in pairs] == wanted
    assert rows(made, "mini/30/data/rated") != rows(made, "mini/60/data/rated")
    kinds = [job.kind for job in made.plan.jobs]
    assert kinds.count("sample") == 12  # 2 checkpoints and 4 branches, on 2 splits; none for the data alone

    made.edit("num_correct: {min: 1}", "num_correct: {min: 2}")
    assert "where.num_correct.min 1 -> 2 (experiment.yaml:5:46)" in made.ok("plan")
    made.ok("compile")
    before = made.started()
    made.ok("submit")
    again = {job_id.split("/", 2)[-1] for job_id in made.started() - before if job_id in made.ids}
    assert again >= {"data/right", "tasks/sums/own.demonstrations"}
    assert not again & {"data/rated", "data/rated.sample.0"}


def test_data_of_which_nothing_is_left_says_so(tmp_path: Path) -> None:
    made = project(
        tmp_path / "nothing", SPEC.replace("{min: 1}", "{min: 4.5}") + "trunks: {mini: {checkpoints: [60]}}\n"
    )
    made.ok("compile")
    assert made.exc("submit").code == 1
    done = made.exc("status")
    assert done.code == 1
    text = " ".join((done.out + done.err).split())
    assert "nothing is left of the data `right` (12 rows; where num_correct: 0)" in text
    failed = [job for job in made.status() if job["state"] == "failed"]
    assert [job["id"] for job in failed] == ["mini/60/data/right"]
    assert made.states()["mini/pretrain/60.sums.score"] == "done"


def _is_right(text: str, answer: object) -> bool:
    digits = [character for character in text if character.isdigit()]
    return bool(digits) and int(digits[-1]) % 2 == int(str(answer)) % 2
