"""`exc adopt`: what was made elsewhere comes in whole or not at all, and bears its mark to the end."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import exc
from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow

SHRUNK, SFT = "mini/30/shrunk/r0/shrink", "mini/30/sft/r0/sft"
SAMPLE, SCORE = f"{SFT}.sums.sample.0", f"{SFT}.sums.score"
TEXT = f"{SFT}.prose.bits_per_byte"
WHY = ("--why", "made on the old cluster", "--from", "node 7")


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return finished.copy(tmp_path / "mini")


def folder_of(project: Project, job: str) -> Path:
    return project.artifact(project.plan.job(job).artifact)


def forget(project: Project, *jobs: str) -> None:
    """Remove what jobs left, as a person does who wants it made anew."""
    for job in jobs:
        for ref in project.plan.job(job).artifacts():
            shutil.rmtree(project.artifact(ref))


def taken_out(project: Project, job: str) -> Path:
    """Move what a job left out of the store, without its record."""
    outside = project.folder.parent / "outside"
    shutil.copytree(folder_of(project, job), outside)
    (outside / "artifact.json").unlink()
    forget(project, job)
    return outside


def test_a_model_is_adopted_and_everything_after_it_says_so(project: Project) -> None:
    after = [job.id for job in project.plan.jobs if job.id.startswith(f"{SHRUNK}.")]
    forget(project, SHRUNK, *after)
    model = folder_of(project, SFT) / "model"
    said = project.ok("adopt", SHRUNK, str(model), *WHY)
    assert f"{SHRUNK}: adopted as command/" in said
    record = json.loads((folder_of(project, SHRUNK) / "artifact.json").read_bytes())
    assert record["adopted"]["why"] == "made on the old cluster"
    assert record["adopted"]["from"] == "node 7"
    assert set(record["adopted"]) == {"job", "why", "from", "when", "by", "digest"}
    planned = project.json("plan")
    (verdict,) = [job for job in planned["jobs"] if job["id"] == SHRUNK]
    assert (verdict["verdict"], verdict["reason"]) == ("reused", "adopted: made on the old cluster")

    project.ok("submit")
    assert project.started()[SHRUNK] == 1  # when the project was made, not again
    assert f"adopted, not computed here: 1 job ({SHRUNK})" in project.ok("status")
    assert project.json("status")["adopted"] == [SHRUNK]
    rows = project.json("results")
    assert {row["job"] for row in rows if row["adopted"]} == {
        f"{SHRUNK}.sums.score",
        f"{SHRUNK}.prose.bits_per_byte",
    }
    assert "\u2020 " + SHRUNK in project.ok("results").replace("\n", " ")
    project.ok("report")
    page = (project.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("shrunk \u2020") >= 2
    assert "made elsewhere and adopted: made on the old cluster (from node 7" in page
    assert "\u2020 Adopted: shrunk at 7.68k tokens." in page
    cells = list(csv.DictReader(io.StringIO((project.folder / "report/tables/cells.csv").read_text())))
    assert {row["recipe"] for row in cells if row["adopted"]} == {"shrunk"}
    project.ok("export", f"{SHRUNK}", "-o", "out")
    assert "Not all of this was computed here" in (project.folder / "out/README.md").read_text(
        encoding="utf-8"
    )


def test_the_mark_does_not_outlive_what_it_was_about(project: Project) -> None:
    outside = taken_out(project, SHRUNK)
    project.ok("adopt", SHRUNK, str(outside), *WHY)
    assert project.json("status")["adopted"] == [SHRUNK]
    forget(project, SHRUNK)
    project.ok("submit")  # its scores are there and needed it no more; it is made again only if asked for
    assert project.json("status")["adopted"] == []
    assert not any(row["adopted"] for row in project.json("results"))


@pytest.mark.parametrize("job", [SAMPLE, SCORE, TEXT, "mini/pretrain/60", "mini/30/rl/r0/rl@3"])
def test_what_any_kind_of_job_leaves_can_be_adopted(project: Project, job: str) -> None:
    name, _, step = job.partition("@")
    ref = f"grpo/{project.plan.job(name).kept[int(step)]}" if step else project.plan.job(name).artifact
    before = json.loads((project.artifact(ref) / "artifact.json").read_bytes())
    outside = project.folder.parent / "outside"
    shutil.move(project.artifact(ref), outside)
    project.ok("adopt", job, str(outside), "--why", "the disk was lost")
    after = json.loads((project.artifact(ref) / "artifact.json").read_bytes())
    assert after["files"] == before["files"]
    assert {name: after["metrics"][name] for name in before["metrics"]} == pytest.approx(before["metrics"])
    assert after["counts"] == before["counts"]
    assert after["adopted"]["made_as"]["identity"] == before["identity"]
    assert after["adopted"]["from"] == str(outside)
    assert "nothing to do" in project.ok("submit")


def cut_short(folder: Path) -> None:
    path = next(folder.glob("model/*.safetensors"))
    path.write_bytes(path.read_bytes()[:-10])


def another_shape(folder: Path) -> None:
    change(folder / "model" / "config.json", intermediate_size=64)


def another_model(folder: Path) -> None:
    change(folder / "model" / "config.json", rms_norm_eps=0.5)


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("model/tokenizer*"):
        path.unlink()


def not_a_number(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"][0] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})


def other_words(folder: Path) -> None:
    path = folder / "model" / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    vocab = tokenizer["model"]["vocab"]
    first, second = list(vocab)[5:7]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    path.write_text(json.dumps(tokenizer), encoding="utf-8")


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_short, "is cut short"),
        (another_shape, "by its config.json"),
        (another_model, "in mini/pretrain/30"),
        (no_tokenizer, "tokenizer"),
        (not_a_number, "tensor model.norm.weight has numbers that are not finite"),
        (other_words, "its tokenizer is not that of mini/pretrain/30"),
    ],
)
def test_a_model_that_is_not_right_leaves_the_store_as_it_was(
    project: Project, spoil: Callable[[Path], None], said: str
) -> None:
    outside = taken_out(project, SFT)
    spoil(outside)
    done = project.exc("adopt", SFT, str(outside), *WHY)
    assert done.code == 1, done
    assert said in done.err
    assert not folder_of(project, SFT).exists()
    assert not (project.store / "adopted").exists()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("job", "name", "spoil", "said"),
    [
        (SAMPLE, "samples.jsonl", lambda lines: lines[:-1], "has 15 of its samples 0 to 15"),
        (SAMPLE, "samples.jsonl", lambda lines: lines[16:], "lacks 1 of the task's problems, the first is 0"),
        (SAMPLE, "samples.jsonl", lambda lines: [{**lines[0], "text": None}, *lines[1:]], "`text` is None"),
        (SCORE, "problems.jsonl", lambda lines: lines[1:], "not about the same problems"),
        (SCORE, "problems.jsonl", lambda lines: [{**lines[0], "num_samples": 3}, *lines[1:]], "on 4 samples"),
        (
            TEXT,
            "documents.jsonl",
            lambda lines: [{**lines[0], "bits": float("nan")}],
            "expected a finite number",
        ),
        (TEXT, "documents.jsonl", lambda lines: lines[:0], "is empty"),
    ],
)
def test_measurements_that_are_not_whole_are_refused(
    project: Project,
    job: str,
    name: str,
    spoil: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    said: str,
) -> None:
    outside = taken_out(project, job)
    write_lines(outside / name, spoil(lines_of(outside / name)))
    done = project.exc("adopt", job, str(outside), *WHY)
    assert (done.code, said in done.err) == (1, True), done
    assert not folder_of(project, job).exists()


def test_metrics_have_to_agree_with_what_was_counted(project: Project) -> None:
    outside = taken_out(project, SCORE)
    (outside / "metrics.json").write_text('{"pass@1": 0.99}', encoding="utf-8")
    assert "pass@1 is given as 0.99" in project.exc("adopt", SCORE, str(outside), *WHY).err
    (outside / "metrics.json").write_text('{"maj@4": Infinity}', encoding="utf-8")
    assert (
        "the metric maj@4 is inf, not a finite number" in project.exc("adopt", SCORE, str(outside), *WHY).err
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((SFT, "store"), "is there already, and adopting overwrites nothing"),
        (("mini/tokenizer", "store"), "is there already"),
        (("mini/30/rl/r0/rl", "store"), "name one: mini/30/rl/r0/rl@3, mini/30/rl/r0/rl@6"),
        (("mini/30/rl/r0/rl@4", "store"), "keeps 3, 6, not 4"),
        (("mini/30/sfd/r0/sft", "store"), "the nearest: mini/30/sft/r0/sft"),
    ],
)
def test_what_cannot_be_meant_is_refused(finished: Project, arguments: tuple[str, ...], said: str) -> None:
    done = finished.exc("adopt", *arguments, *WHY)
    assert (done.code, said in done.err) == (1, True), done
    assert "say why" in finished.exc("adopt", *arguments, "--why", " ").err


def test_a_segment_that_goes_on_from_it_needs_more_than_a_model(project: Project) -> None:
    model = project.folder.parent / "model"
    shutil.copytree(folder_of(project, "mini/pretrain/30") / "model", model)
    forget(project, "mini/pretrain/30", "mini/pretrain/60")
    done = project.exc("adopt", "mini/pretrain/30", str(model), *WHY)
    assert "mini/pretrain/60 goes on from the training state of mini/pretrain/30" in done.err


TABLE = """\
trunk,step,recipe,evaluation,metric,value,low,high,problems
mini,30,rl,sums,pass@1,0.25,0.2,0.3,1319
mini,60,rl,sums,pass@4,0.5,,,
"""


def test_numbers_are_shown_beside_what_was_measured_and_change_nothing_of_it(project: Project) -> None:
    project.ok("report")
    before = {
        name: (project.folder / "report/tables" / name).read_bytes()
        for name in ("points.csv", "contrasts.csv")
    }
    table = project.folder / "paper.csv"
    table.write_text(TABLE, encoding="utf-8")
    assert "adopted 2 numbers" in project.ok(
        "adopt", "--values", "paper.csv", "--why", "the paper's", "--from", "T. 3"
    )
    project.ok("report")
    for name, content in before.items():
        assert (project.folder / "report/tables" / name).read_bytes() == content
    page = (project.folder / "report/index.html").read_text(encoding="utf-8")
    assert "rl \u2020" in page
    assert "T. 3" in page
    rows = [row for row in exc.result_rows(project.folder / "plan") if not row.job]
    assert [(row.step, row.metric, row.value, row.problems, row.adopted) for row in rows] == [
        (30, "pass@1", 0.25, 1319, True),
        (60, "pass@4", 0.5, None, True),
    ]
    assert "was adopted already" in project.exc("adopt", "--values", "paper.csv", "--why", "again").err
    table.write_text(TABLE.splitlines()[0] + "\nmini,30,rl,sums,pass@1,0.9,,,\n", encoding="utf-8")
    assert "have an adopted number already" in project.exc("adopt", "--values", "paper.csv", "--why", "x").err


def test_every_mistake_of_a_table_is_told(finished: Project, tmp_path: Path) -> None:
    table = tmp_path / "wrong.csv"
    table.write_text(
        "trunk,step,recipe,evaluation,metric,value\n"
        "mini,31,rl,sums,pass@1,0.25\n"
        "mni,30,rl,sums,pass@4,0.5\n"
        "mini,30,rl,sums,pass@4,50\n"
        "mini,30,rl,sms,pass@4,.5\n"
        "mini,30,rl,sums,pass@1,many\n"
        "mini,30,rl,prose,bits,2\n",
        encoding="utf-8",
    )
    done = finished.exc("adopt", "--values", str(table), "--why", "x")
    assert done.code == 1
    assert [line.partition(": ")[2] for line in done.err.replace("error: ", "").splitlines()] == [
        "the plan has no mini/31/rl sums pass@1; its checkpoints: 30, 60",
        "sums is of no trunk `mni`; did you mean `mini`?",
        "pass@4 is a share between 0 and 1, not 50: 42% is 0.42",
        "no evaluation `sms`; did you mean `sums`?",
        "value is 'many', expected a finite number",
        "prose has no metric `bits`; there is bits_per_byte",
    ]
    assert not (finished.store / "adopted").exists()
