"""What only shows at run time: each fault is told with its place, and costs only what reads from it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.project import Done, Project, wait_until

# Job -> failure class, and what its message holds.
FAULTS = {
    "tasks/holes/train.demonstrations": (
        "data",
        "holes.jsonl row 5 has no column `problem` (it has: answer, demonstrations, task)",
    ),
    "tasks/nothing/train.demonstrations": ("data", "data `nothing` has no rows"),
    "tasks/raising/train.demonstrations": (
        "data",
        "`faults:raising` failed after row 1: faults.py:14: ValueError: the second row cannot be made",
    ),
    "mini/20/diverging/r0/sft": ("diverged", "is nan at step 2; the last finite loss was "),
    "mini/20/failing/r0/run": (
        "command",
        "the command exited with 7\nits last lines:\none line before the end",
    ),
    "mini/20/unjudged-rl/r0/rl": ("verifier", "faults.py:24: RuntimeError: the judge is away"),
    "mini/pretrain/20.none-judged.score": (
        "verifier",
        "16 of 16 samples (100.0%) could not be judged, which is more than max_unverifiable = 0.05; "
        "the first: `faults:judge_none` failed on row 0: faults.py:24: RuntimeError: the judge is away",
    ),
}


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Done]:
    """The spec of faults, submitted; with what that said."""
    project = Project.new(tmp_path_factory.mktemp("faults") / "mini")
    project.ok("compile", "faults.yaml")
    return project, project.exc("submit")


@pytest.mark.slow
def test_all_that_can_be_done_is_done(faults: tuple[Project, Done]) -> None:
    project, submitted = faults
    assert submitted.code == 1
    assert "Traceback" not in submitted.out + submitted.err
    states = project.states()
    assert {id for id, state in states.items() if state == "failed"} == set(FAULTS)
    broken = ("holes", "nothing", "raising", "diverging", "failing", "unjudged-rl")
    blocked = {id for id in states if id.count("/") > 2 and id.split("/")[2] in broken} - set(FAULTS)
    assert {id for id, state in states.items() if state == "blocked"} == blocked
    assert {state for id, state in states.items() if id not in blocked | set(FAULTS)} == {"done"}
    assert states["mini/20/fine/r0/sft.sums.score"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("id", FAULTS)
def test_a_fault_is_told_with_its_place(faults: tuple[Project, Done], id: str) -> None:
    project, submitted = faults
    kind, message = FAULTS[id]
    job = next(job for job in project.status() if job["id"] == id)
    assert job["failure"]["class"] == kind
    assert message in job["failure"]["message"]
    status = project.exc("status")
    assert status.code == 1
    shown = status.out
    for said in (submitted.out, shown):
        assert f"failed {id} ({kind})\n" in said
        assert message.split("\n")[0] in said
        assert f"  log: {Path(job['log']).relative_to(project.folder)}\n" in said
    advice = "lowering its learning rate, warming up longer or clipping harder in the spec"
    advice = advice if kind == "diverged" else "mending what it names"
    assert f"  after {advice}: exc compile faults.yaml && exc submit\n" in shown
    assert shown.endswith("22 jobs to do; to go on: exc submit\n")


@pytest.mark.slow
def test_status_shows_the_end_of_the_log(faults: tuple[Project, Done]) -> None:
    shown = faults[0].exc("status").out
    assert "  | mini/20/diverging/r0/sft: step 1/20" in shown
    assert shown.count("one line before the end") == 1, "what the message says is not said again"


@pytest.mark.slow
def test_what_could_not_be_judged_is_counted(faults: tuple[Project, Done]) -> None:
    rows: list[dict[str, Any]] = faults[0].json("results")
    judged = next(row for row in rows if row["evaluation"] == "some-judged")
    assert judged["metrics"]["unverifiable_rate"] == 1 / 8
    lost = next(row for row in rows if row["evaluation"] == "none-judged")
    assert (lost["metrics"], lost["missing"]) == ({}, "failed")
    held = next(row for row in rows if row["recipe"] == "holes")
    assert held["missing"] == "blocked by tasks/holes/train.demonstrations"


@pytest.mark.slow
def test_what_is_missing_is_in_the_report(faults: tuple[Project, Done]) -> None:
    project, _ = faults
    project.ok("report")
    page = (project.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "holes.jsonl row 5 has no column" in page


@pytest.mark.slow
def test_after_mending_only_what_is_concerned_runs(faults: tuple[Project, Done], tmp_path: Path) -> None:
    project = faults[0].copy(tmp_path / "mini")
    project.edit("exit 7", "cp -r $EXC_INPUT_MODEL $EXC_OUTPUT/model", file="faults.yaml")
    project.edit('"task"', '"problem"', file="holes.jsonl")
    project.ok("compile", "faults.yaml")
    before = project.started()
    assert project.exc("submit").code == 1
    states = project.states()
    assert all(states[id] == "done" for id in states if "/failing/" in id or "/holes/" in id)
    again = {id for id in FAULTS if states[id] == "failed"}
    assert len(again) == 5
    ran = project.started() - before
    assert set(ran) == again | {id for id in states if "/failing/" in id or "holes/" in id}


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("train.jsonl", '"0+0"', '"0 + 0"', "  train.jsonl has changed (experiment.yaml:16:7): 2 jobs ("),
        (
            "sums.py",
            '"documents"',
            '"Documents"',
            "  the code of sums has changed (experiment.yaml:7:3): 1 job (",
        ),
        (
            "prose.txt",
            "week",
            "year",
            "  prose.txt has changed (experiment.yaml:8:3): 1 job (mini/tokens/prose)",
        ),
    ],
)
def test_submit_refuses_when_what_the_plan_reads_has_changed(
    tmp_path: Path, file: str, old: str, new: str, told: str
) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile")
    project.edit(old, new, file=file)
    refused = project.exc("submit")
    assert refused.code == 1
    assert "plan: the plan is not what experiment.yaml says now:" in refused.err
    assert told in refused.err
    assert refused.err.endswith("review the change and run `exc compile`\n")
    assert not project.store.exists()


def test_a_job_by_hand_refuses_data_that_has_changed(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile")
    project.edit('"0+0"', '"0 + 0"', file="train.jsonl")
    refused = project.run(*project.script(project.plan.job("tasks/sums/train")))
    assert refused.code == 1
    assert "train.jsonl is not what the plan was made from" in refused.out
    assert not list(project.store.glob("artifacts/*/*"))


@pytest.mark.slow
@pytest.mark.parametrize("size_kb", [100, 700, 1500])
def test_a_full_disk_is_told_and_loses_nothing(finished: Project, tmp_path: Path, size_kb: int) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile")
    with_disk = small_disk(tmp_path / "disk", size_kb)
    disk = next(with_disk)
    try:
        project.env["EXC_STORE"] = str(disk / "store")
        full = project.exc("submit")
        assert full.code in (1, 3), full
        assert "no space left" in (full.out + full.err).lower(), full
        assert "exc/runtime" not in full.out + full.err  # no traceback of ours
        classes = {job["failure"]["class"] for job in project.status() if "failure" in job}
        assert classes <= {"disk", "command"}  # of its own command a person must read the reason
        project.contents()
        resize(disk, 200_000)
        project.ok("submit")
        assert project.contents() == finished.contents()
    finally:
        next(with_disk, None)


def small_disk(folder: Path, size_kb: int) -> Iterator[Path]:
    """A file system of its own that is soon full; unmounted at the second step."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a full disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        wait_until(lambda: subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0)


def resize(disk: Path, size_kb: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size_kb}k", str(disk)], check=True)
