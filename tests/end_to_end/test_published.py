"""Models that others made: named by a branch, locked to a commit, fetched once, measured like any other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.project import Project
from tests.fake_hub import FakeHub, fake_hub

pytestmark = pytest.mark.slow

REPO = "lab/tiny-zero"
RECIPE = "  shrunk:\n"
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing answers there


@pytest.fixture
def hub(finished: Project) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        hub.push(REPO, finished.artifact(finished.plan.job("mini/30/sft/r0/sft").artifact) / "model")
        yield hub


def with_recipe(finished: Project, folder: Path, stage: str) -> Project:
    project = finished.copy(folder)
    project.edit(RECIPE, f"  zero:\n    - rl: {stage}\n{RECIPE}")
    return project


def reached(project: Project, hub: FakeHub) -> Project:
    project.env.update(HF_ENDPOINT=hub.url, HF_HOME=str(project.folder.parent / "hf"), HF_HUB_OFFLINE="0")
    return project


def pretrained(project: Project, job_id: str) -> bytes:
    return (project.artifact(project.plan.job(job_id).artifact) / "model/model.safetensors").read_bytes()


def test_a_model_on_the_hub(finished: Project, hub: FakeHub, tmp_path: Path) -> None:
    project = reached(with_recipe(finished, tmp_path / "mini", f"{{hub: {REPO}}}"), hub)
    commit = hub.branches[REPO]["main"]
    assert f"locked {REPO}@main: {commit}" in project.ok("compile")
    assert json.loads((project.folder / "exc.lock").read_text())["hub"][f"{REPO}@main"]["commit"] == commit
    job = project.plan.job("mini/30/zero/r0/rl")
    assert project.plan.job("mini/60/zero/r0/rl").id == job.id  # one model, under both checkpoints
    project.ok("submit")
    assert pretrained(project, job.id) == pretrained(finished, "mini/30/sft/r0/sft")
    fetched = [request for request in hub.asked if request.startswith("GET") and "safetensors" in request]
    assert len(fetched) == 1
    mine = [row for row in project.json("results") if (row["recipe"], row["evaluation"]) == ("zero", "sums")]
    assert len(mine) == 2


def test_a_branch_that_moves_changes_nothing_until_asked(
    finished: Project, hub: FakeHub, tmp_path: Path
) -> None:
    project = reached(with_recipe(finished, tmp_path / "mini", f"{{hub: {REPO}}}"), hub)
    project.ok("compile")
    before = project.plan
    other = finished.artifact(finished.plan.job("mini/60/sft/r0/sft").artifact) / "model"
    commit = hub.push(REPO, other)
    project.ok("compile")
    assert project.plan == before
    assert commit in project.ok("lock", "--update")
    stale = project.exc("submit")
    assert stale.code == 1
    assert "the plan is not what experiment.yaml says now" in stale.err
    assert commit in stale.err


def test_without_the_hub_the_plan_can_be_read_but_not_run(finished: Project, tmp_path: Path) -> None:
    project = with_recipe(finished, tmp_path / "mini", f"{{hub: {{repo: {REPO}, revision: v1}}}}")
    project.env.update(HF_ENDPOINT=NOBODY, HF_HUB_OFFLINE="0")
    compiled = project.exc("compile")
    assert compiled.code == 0, compiled
    assert "warning[unlocked]" in compiled.err + compiled.out
    assert "not locked" in (project.folder / "plan/PLAN.md").read_text(encoding="utf-8")
    refused = project.exc("submit")
    assert refused.code == 1
    assert f"{REPO} is not locked to a commit" in refused.err
    assert "exc lock" in refused.err
    locking = project.exc("lock")
    assert locking.code == 3
    assert "the hub cannot be reached" in locking.err


def test_what_the_hub_does_not_know_is_named_with_its_line(
    finished: Project, hub: FakeHub, tmp_path: Path
) -> None:
    project = reached(with_recipe(finished, tmp_path / "mini", "{hub: lab/tiny-zebra}"), hub)
    done = project.exc("lock")
    assert done.code == 1
    assert "error[unknown-on-hub]: the hub has no repository lab/tiny-zebra" in done.err + done.out
    assert "- rl: {hub: lab/tiny-zebra}" in done.err + done.out


def test_a_file_that_is_not_what_was_locked_fails_the_job(
    finished: Project, hub: FakeHub, tmp_path: Path
) -> None:
    project = reached(with_recipe(finished, tmp_path / "mini", f"{{hub: {REPO}}}"), hub)
    project.ok("compile")
    commit = hub.branches[REPO]["main"]
    files = dict(hub.commits[REPO][commit])
    weights = bytearray(files["model.safetensors"])
    weights[-1] ^= 1
    hub.commits[REPO][commit] = {**files, "model.safetensors": bytes(weights)}
    assert project.exc("submit").code == 1
    status = project.exc("status")
    said = " ".join(status.out.split())
    assert "model.safetensors is not the file that was planned" in said, status.out


def test_a_model_in_a_folder(finished: Project, tmp_path: Path) -> None:
    project = with_recipe(finished, tmp_path / "mini", "{folder: ours}")
    source = finished.artifact(finished.plan.job("mini/30/sft/r0/sft").artifact) / "model"
    shutil.copytree(source, project.folder / "ours")
    project.ok("compile")
    project.ok("submit")
    assert pretrained(project, "mini/60/zero/r0/rl") == pretrained(finished, "mini/30/sft/r0/sft")
    (project.folder / "ours/model.safetensors").unlink()
    done = project.exc("check")
    assert done.code == 1
    assert "the folder `ours` holds no model in safetensors form" in done.err + done.out


def test_a_model_brought_in_another_way_is_adopted_if_it_is_the_one_planned(
    finished: Project, tmp_path: Path
) -> None:
    project = with_recipe(finished, tmp_path / "mini", "{folder: ours}")
    model = finished.artifact(finished.plan.job("mini/30/sft/r0/sft").artifact) / "model"
    other = finished.artifact(finished.plan.job("mini/60/sft/r0/sft").artifact) / "model"
    shutil.copytree(model, project.folder / "ours")
    project.ok("compile")
    refused = project.exc("adopt", "mini/30/zero/r0/rl", str(other), "--why", "no way to the hub")
    assert (refused.code, "not the file that mini/30/zero/r0/rl would fetch" in refused.err) == (1, True)
    project.ok("adopt", "mini/30/zero/r0/rl", str(model), "--why", "no way to the hub")
    assert project.states()["mini/30/zero/r0/rl"] == "done"
    project.ok("export", "mini/30/zero/r0/rl", "-o", str(tmp_path / "out"))
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "published by others and measured by `exc`" in card
    assert "no way to the hub" in card


def test_a_data_set_on_the_hub(finished: Project, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [json.loads(line) for line in (finished.folder / "train.jsonl").read_text().splitlines()]
    part = tmp_path / "repo" / "main" / "train"
    part.mkdir(parents=True)
    half = len(rows) // 2
    pq.write_table(pa.Table.from_pylist(rows[:half]), part / "0000.parquet")
    pq.write_table(pa.Table.from_pylist(rows[half:]), part / "0001.parquet")
    with fake_hub() as hub:
        hub.push("lab/sums", tmp_path / "repo", "refs/convert/parquet")
        project = reached(finished.copy(tmp_path / "mini"), hub)
        project.edit("train: {jsonl: train.jsonl}", "train: {hub: {repo: lab/sums, config: main}}")
        project.ok("compile")
        assert len(project.plan.job("data/train").config["hub"]["files"]) == 2
        done = project.exc("submit")
        assert done.code == 0, done
        text = (project.artifact(project.plan.job("data/train").artifact) / "rows.jsonl").read_text()
        assert [json.loads(line) for line in text.splitlines()] == rows
        project.edit("config: main", "config: main, split: test")
        said = project.exc("lock")
        assert said.code == 1
        assert "lab/sums at `refs/convert/parquet` has no main/test/*.parquet; it has main/train" in " ".join(
            (said.err + said.out).split()
        )


def test_a_tokenizer_on_the_hub_is_fetched_without_its_model(
    finished: Project, hub: FakeHub, tmp_path: Path
) -> None:
    project = reached(finished.copy(tmp_path / "mini"), hub)
    made = finished.artifact(finished.plan.job("mini/tokenizer").artifact)
    hub.push("lab/words", finished.artifact(finished.plan.job("mini/30/sft/r0/sft").artifact) / "model")
    project.edit("tokenizer: {bpe: {vocab_size: 290}}", "tokenizer: {hub: lab/words}")
    assert "locked lab/words@main#tokenizer" in project.ok("compile")
    for name in ("mini/tokenizer.fetch", "mini/tokenizer"):
        done = project.run(*project.script(project.plan.job(name)))
        assert done.code == 0, done
    taken = project.artifact(project.plan.job("mini/tokenizer").artifact)
    assert (taken / "tokenizer.json").read_bytes() == (made / "tokenizer.json").read_bytes()
    assert not [request for request in hub.asked if request.startswith("GET") and "safetensors" in request]
