"""Divergence, memory, hanging verifiers, kills, full disks: each told whole, and over once its cause is."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.project import Done, Project, wait_until
from tests.end_to_end.test_bad_input import resize, small_disk

pytestmark = pytest.mark.ci

COMPILE = "exc compile failures.yaml && exc submit"
MEMORY = "after lowering `micro_batch_size` or `slots` in the profile, or what the job itself holds"
MENDING = "after mending what it names"
# Job -> class, what its message begins with, its spec line, a line of its log or message, advice and command.
FAILURES = {
    "mini/20/diverging/r0/sft": (
        "diverged",
        "loss is nan at step 2; the last finite loss was ",
        "failures.yaml:52:7",
        "  | mini/20/diverging/r0/sft: step 1/20",
        "after lowering its learning rate, warming up longer or clipping harder in the spec",
        COMPILE,
    ),
    "tasks/greedy/train.demonstrations": (
        "out-of-memory",
        "`faults:greedy` failed after row 1: faults.py:",
        "failures.yaml:20:14",
        ": MemoryError\n",
        MEMORY,
        COMPILE,
    ),
    "mini/20/hungry/r0/run": (
        "out-of-memory",
        "the command exited with 1\n  its last lines:\n",
        "failures.yaml:56:7",
        "\n  MemoryError\n",
        MEMORY,
        COMPILE,
    ),
    "mini/20/killed/r0/run": (
        "killed",
        "killed by signal 9 (SIGKILL), which exc did not send",
        "failures.yaml:58:7",
        "",
        "to try again",
        "exc submit",
    ),
    "mini/20/unjudged-rl/r0/rl": (
        "verifier",
        "no completion of a rollout could be verified: `faults:judge_never` had not returned after 1 s on ",
        "failures.yaml:60:7",
        ": it was at faults.py:",
        MENDING,
        COMPILE,
    ),
    "mini/pretrain/20.hanging.score": (
        "verifier",
        "2 of 16 samples (12.5%) could not be judged, which is more than max_unverifiable = 0.05; the first: "
        "`faults:judge_never` had not returned after 1 s on row 0, completion ",
        "failures.yaml:70:3",
        ": it was at faults.py:",
        MENDING,
        COMPILE,
    ),
}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Done]:
    project = Project.new(tmp_path_factory.mktemp("failures") / "mini")
    project.ok("compile", "failures.yaml")
    return project, project.exc("submit")


def test_the_rest_of_the_plan_is_done(failed: tuple[Project, Done]) -> None:
    project, submitted = failed
    assert submitted.code == 1, submitted
    assert 'Traceback (most recent call last):\n  File "/' not in submitted.out + submitted.err
    states = project.states()
    assert {name for name, state in states.items() if state == "failed"} == set(FAILURES)
    broken = ("diverging", "greedy", "hungry", "killed", "unjudged-rl")
    held = {name for name in states if name.count("/") > 2 and name.split("/")[2] in broken} - set(FAILURES)
    assert {name for name, state in states.items() if state == "blocked"} == held
    assert states["mini/20/fine/r0/sft.sums.score"] == "done"
    assert project.started()["mini/20/killed/r0/run"] == 3, "twice tried again"


@pytest.mark.parametrize("name", FAILURES)
def test_status_tells_each_whole(failed: tuple[Project, Done], name: str) -> None:
    kind, cause, place, line, advice, command = FAILURES[name]
    shown = failed[0].exc("status").out
    block = next(part for part in shown.split("\n\n") if part.startswith(f"failed {name} "))
    assert block.startswith(f"failed {name} ({kind})\n  {cause}")
    assert f"\n  spec: {place}\n" in block
    assert line in block
    assert "\n  log: store/attempts/" in block
    assert block.endswith(f"\n  {advice}: {command}")


def test_the_one_command_completes_the_plan(failed: tuple[Project, Done], tmp_path: Path) -> None:
    project = failed[0].copy(tmp_path / "mini")
    before = project.started()
    project.edit("1.0e+30", "1.0e-3", file="failures.yaml")
    project.edit("ulimit -v 500000; python -c 'x = bytearray(1 << 30)'; ", "", file="failures.yaml")
    project.edit('"x" * (1 << 31)', '"2+2"', file="faults.py")
    project.edit("while completion is not answer", "while False", file="faults.py")
    (project.folder / "calm").touch()
    done = project.run("bash", "-c", COMPILE)
    assert done.code == 0, done
    assert set(project.states().values()) == {"done"}
    assert not (project.started() - before)["mini/20/fine/r0/sft"], "what was done is not done again"


def test_a_command_ends_with_its_job(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "mini")
    project.edit("test -e calm || kill -9 $PPID; ", "echo $$ > pid; sleep 1000; ", file="failures.yaml")
    project.edit("echo $$ > pid", "test -e pid || { echo $$ > pid; sleep 1000 & wait; }", "failures.yaml")
    project.edit("; sleep 1000; python", "; python", file="failures.yaml")
    project.ok("compile", "failures.yaml")
    pid = project.folder / "pid"
    with project.start("submit") as submit:
        wait_until(lambda: submit.poll() is not None or (pid.exists() and pid.read_text()[-1:] == "\n"))
        shell = psutil.Process(int(pid.read_text()))
        family = [shell, *shell.children(recursive=True)]
        os.kill(shell.ppid(), signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert alive == []
        said, _ = submit.communicate()
    assert "killed mini/20/killed/r0/run, which is tried again in 1.0 s" in said
    assert project.states()["mini/20/killed/r0/run"] == "done"


def test_a_limit_on_file_sizes_is_told_and_the_rest_is_done(finished: Project, tmp_path: Path) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile")
    limited = project.run("bash", "-c", "ulimit -f 40; exc submit")
    assert limited.code in (1, 3), limited
    assert "exc/runtime" not in limited.out + limited.err
    failures = [job["failure"] for job in project.status() if "failure" in job]
    assert failures
    assert {failure["class"] for failure in failures} == {"disk"}
    assert any("file sizes (`ulimit -f`)" in failure["message"] for failure in failures)
    states = project.states()
    assert states["tasks/sums/test"] == states["mini/tokenizer"] == "done"
    shown = project.exc("status").out
    assert "\n  after freeing disk space: exc submit\n" in shown
    project.ok("submit")
    assert project.contents() == finished.contents()


@pytest.mark.parametrize("size_kb", [300, 900, 1400])
def test_a_full_disk_stops_what_needs_it_and_is_said_once(
    finished: Project, tmp_path: Path, size_kb: int
) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile")
    disk = small_disk(tmp_path / "disk", size_kb)
    folder = next(disk)
    try:
        project.env["EXC_STORE"] = str(folder / "store")
        full = project.run("bash", "-c", f"exc submit > {folder}/said 2>&1 || exit $?")
        assert full.code == 3, full
        again = project.exc("submit")
        assert again.code == 3, again
        text = again.out + again.err + full.out + full.err
        assert "Traceback" not in text
        assert again.out.count("the disk is full: ") >= 1
        assert again.out.count("nothing is started that does not fit") <= 1
        shown = project.exc("status")
        assert "Traceback" not in shown.out + shown.err
        assert "the disk is full: " in shown.out
        resize(folder, 200_000)
        assert project.run("bash", "-c", "exc submit").code == 0
        assert project.contents() == finished.contents()
    finally:
        next(disk, None)


def test_jobs_that_fit_go_on_beside_one_that_does_not(tmp_path: Path) -> None:
    """A command fills the disk, and frees it with its end: only what reads from it is held up."""
    project = Project.new(tmp_path / "mini")
    fill = "head -c 100000000 /dev/zero > $EXC_OUTPUT/big; "
    project.edit("ulimit -v 500000; python -c 'x = bytearray(1 << 30)'; ", fill, file="failures.yaml")
    (project.folder / "calm").touch()
    project.ok("compile", "failures.yaml")
    disk = small_disk(tmp_path / "disk", 40_000)
    folder = next(disk)
    try:
        project.env["EXC_STORE"] = str(folder / "store")
        project.exc("submit")
        job = next(job for job in project.status() if job["id"] == "mini/20/hungry/r0/run")
        assert job["failure"]["class"] == "disk"
        assert "No space left on device" in job["failure"]["message"]
        states = project.states()
        assert states["mini/20/fine/r0/sft.sums.score"] == "done"
        assert states["mini/20/killed/r0/run.sums.score"] == "done"
    finally:
        next(disk, None)
        subprocess.run(["umount", str(folder)], capture_output=True)
