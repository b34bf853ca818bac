"""Jobs run by hand through their scripts: the same as `exc submit` does, or a plain word why not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.project import TIMEOUT_S, Project, wait_until

pytestmark = pytest.mark.slow

# One job of every class; the heavier ones of the later checkpoint.
JOBS = (
    "mini/tokenizer",
    "mini/tokens/documents",
    "tasks/sums/train",
    "mini/pretrain/60",
    "mini/60/rl/r0/rl",
    "mini/60/sft/r0/sft",
    "mini/60/sft-rl/r0/rl",
    "mini/60/soup/r0/soup",
    "mini/60/shrunk/r0/shrink",
    "mini/pretrain/60.sums.sample.0",
    "mini/60/rl/r0/rl.sums.score",
    "mini/60/rl/r0/rl.prose.bits_per_byte",
)


def elsewhere(finished: Project, tmp_path: Path) -> Project:
    """The finished project with its store at another place, which only EXC_STORE tells."""
    project = finished.copy(tmp_path / "mini")
    other = tmp_path / "other"
    (project.folder / "store").rename(other)
    project.env["EXC_STORE"] = str(other)
    return project


def forget(project: Project, *ids: str) -> None:
    """Remove everything that jobs left, and their resume state."""
    for id in ids:
        job = project.plan.job(id)
        for ref in job.artifacts():
            shutil.rmtree(project.artifact(ref))
        shutil.rmtree(project.store / "work" / job.work_key)


def test_a_job_of_every_class_is_tried(finished: Project) -> None:
    classes = [finished.plan.job(id).cls for id in JOBS]
    assert sorted(classes) == sorted({job.cls for job in finished.plan.jobs})


@pytest.mark.parametrize("id", JOBS)
def test_a_script_does_what_submit_does(finished: Project, tmp_path: Path, id: str) -> None:
    project = elsewhere(finished, tmp_path)
    job = project.plan.job(id)
    forget(project, id)
    done = project.run(*project.script(job))
    assert done.code == 0, done
    assert f"{id}: done in " in done.out
    assert project.contents() == finished.contents()
    again = project.run(*project.script(job))
    assert again.code == 0, again
    assert again.out == f"{id}: already done (artifact {project.artifact(job.artifact)})\n"
    assert project.started()[id] == 2  # submit's and the first by hand


def test_a_wrong_id_is_answered_with_the_nearest(finished: Project) -> None:
    done = finished.run("bash", "plan/jobs/rl.rl.sh", "mini/60/rl/r0/r")
    assert done.code == 1, done
    assert "the plan of mini has no job mini/60/rl/r0/r; the nearest: mini/60/rl/r0/rl" in done.err
    assert "Traceback" not in done.err


def test_no_id_is_a_mistake_of_usage(finished: Project) -> None:
    done = finished.run("bash", "plan/jobs/rl.rl.sh")
    assert done.code == 2, done
    assert "usage: bash plan/jobs/rl.rl.sh JOB-ID" in done.err


def test_a_missing_input_is_named_with_the_job_that_makes_it(finished: Project, tmp_path: Path) -> None:
    project = elsewhere(finished, tmp_path)
    forget(project, "mini/pretrain/60", "mini/60/rl/r0/rl")
    done = project.run(*project.script(project.plan.job("mini/60/rl/r0/rl")))
    assert done.code == 1, done
    assert "mini/60/rl/r0/rl: its input `model` is missing; job mini/pretrain/60 makes it" in done.err


def test_a_job_by_hand_waits_for_submit(finished: Project, tmp_path: Path) -> None:
    """Both want one job; it is done once, and both see it done."""
    id = "mini/60/shrunk/r0/shrink"
    project = Project.new(tmp_path / "mini")
    gate = tmp_path / "gate"
    project.edit("python shrink.py", f"until [ -e {gate} ]; do sleep 0.1; done; python shrink.py")
    shutil.copytree(finished.store, project.store, symlinks=True)
    project.ok("compile")
    first = project.start("submit")
    try:
        wait_until(lambda: project.started()[id] > finished.started()[id])
        second = subprocess.Popen(
            project.script(project.plan.job(id)),
            cwd=project.folder,
            env={**project.environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert second.stdout is not None
        line = second.stdout.readline()
        while line and "waiting" not in line:
            line = second.stdout.readline()
        assert f"{id}: process " in line
        assert line.endswith(" works on it now; waiting\n")
        gate.touch()
        shown, _ = second.communicate(timeout=TIMEOUT_S)
        assert second.returncode == 0, shown
        assert "already done" in shown
    finally:
        gate.touch()
        said, _ = first.communicate(timeout=TIMEOUT_S)
    assert first.returncode == 0, said
    assert project.started()[id] == 1 + finished.started()[id]
