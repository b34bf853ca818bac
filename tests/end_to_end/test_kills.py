"""Killed at any moment and started again, the plan ends in the bytes of a run that nobody disturbed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from exc.compiler.plan import Job
from tests.end_to_end.project import TIMEOUT_S, Done, Project, wait_until

pytestmark = pytest.mark.ci

NUM_KILLS = 10
MOST_RUNS = 40  # of `exc submit`, until everything is done
SMALLER = {  # one checkpoint and one evaluation, for the runs in which every job imports torch itself
    "checkpoints: [30, 60]": "checkpoints: [30]",
    "trained: 0}}": "trained: 0}}\n    on: {recipes: [base, sft-rl]}",
    "{data: prose, limit: 500B}": "{data: prose, limit: 500B}, on: {recipes: [soup]}",
}


def new_project(folder: Path, *, smaller: bool = False) -> Project:
    project = Project.new(folder)
    for old, new in SMALLER.items() if smaller else ():
        project.edit(old, new)
    project.ok("compile")
    return project


# Who can be killed


def server(submit: subprocess.Popen[str]) -> psutil.Process | None:
    """The fork server of a submitting process, if it has one now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(submit.pid).children():
            if "exc.runtime.zygote" in child.cmdline():
                return child
    return None


def running_jobs(project: Project) -> list[psutil.Process]:
    """The processes that now work on jobs."""
    found = []
    for attempt in project.attempts():
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            record = json.loads((attempt / "attempt.json").read_bytes())
            if "ended" not in record:
                process = psutil.Process(record["pid"])
                same = started_ticks(process.pid) == record["started"]
                if same and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found


def started_ticks(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return int(text.rpartition(")")[2].split()[19])


@contextlib.contextmanager
def submitting(project: Project) -> Iterator[subprocess.Popen[str]]:
    """A process that submits; its jobs are gone at the end, too, with it or soon after it."""
    with project.start("submit") as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def kill_one(rng: random.Random, project: Project, submit: subprocess.Popen[str]) -> str:
    """Kill -9 the submitter, its fork server or a job; gives which."""
    jobs = running_jobs(project)
    whom = rng.choice(("submit", "server", "job", "job"))
    if whom == "job" and jobs:
        victim = rng.choice(jobs)
    elif whom == "server" and (found := server(submit)):
        victim = found
    else:
        whom, victim = "submit", psutil.Process(submit.pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        victim.kill()
    return whom


def disturb(rng: random.Random, project: Project, most: int) -> Counter[str]:
    """Submit and kill at random moments, `most` times or until all is done; gives who was killed."""
    killed: Counter[str] = Counter()
    said = ""
    for _ in range(MOST_RUNS):
        with submitting(project) as submit:
            while killed.total() < most and submit.poll() is None:
                begun = len(project.attempts()) + rng.randrange(1, 4)
                wait_until(lambda: submit.poll() is not None or len(project.attempts()) >= begun)  # noqa: B023
                time.sleep(rng.uniform(0.0, 0.8))
                if submit.poll() is None:
                    killed[kill_one(rng, project, submit)] += 1
            said, _ = submit.communicate(timeout=TIMEOUT_S)
        if submit.returncode == 0:
            return killed
        assert submit.returncode in (1, -signal.SIGKILL), said
        assert "Traceback" not in said, said
    raise AssertionError(f"not done after {MOST_RUNS} runs; killed {killed}; the last said:\n{said}")


def check_same(project: Project, undisturbed: Project) -> None:
    assert project.contents() == undisturbed.contents()
    assert set(project.states().values()) == {"done"}
    published = Counter(event["artifact"] for event in project.events("published"))
    assert set(published.values()) == {1}
    assert max(Counter(done_jobs(project)).values()) == 1
    assert list((project.store / "tmp").iterdir()) == []
    links = [path for path in (project.store / "results").rglob("*") if path.is_symlink()]
    assert links
    assert all(link.is_dir() and not link.name.startswith(".") for link in links)


def done_jobs(project: Project) -> list[str]:
    """The job of every attempt that ended by finishing it."""
    found = []
    for attempt in project.attempts():
        record = json.loads((attempt / "attempt.json").read_bytes())
        if record.get("exit") == 0:
            found.append(record["job"])
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_kills_change_nothing(finished: Project, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    killed: Counter[str] = Counter()
    while killed.total() < NUM_KILLS:  # a fast machine is through with a project before all of them fell
        project = new_project(tmp_path / f"mini-{killed.total()}")
        killed += disturb(rng, project, NUM_KILLS - killed.total())
        check_same(project, finished)


def test_kills_change_nothing_where_jobs_are_not_forked(finished: Project, tmp_path: Path) -> None:
    rng = random.Random(2)
    killed: Counter[str] = Counter()
    while killed.total() < NUM_KILLS:
        project = new_project(tmp_path / f"mini-{killed.total()}", smaller=True)
        project.env["EXC_FORK"] = "0"
        killed += disturb(rng, project, NUM_KILLS - killed.total())
        contents = project.contents()
        wanted = {ref for job in project.plan.jobs for ref in job.artifacts()}
        assert contents == {ref: content for ref, content in finished.contents().items() if ref in wanted}
    assert killed["server"] == 0


# Data that jobs make, and choices

CHOOSING = """\
extends: own-samples.yaml
version: 1
experiment: mini
trunks: {mini: {checkpoints: [60]}}
recipes:
  dpo:
    - dpo: {dpo: {task: sums, split: pairs, batch_size: 2, max_steps: 4, keep: [2],
                  lora: {r: 2, lora_alpha: 4}, args: {max_length: 32}}}
  more:
    - more: {from: {recipe: dpo, step: {best: {evaluation: sums, metric: "pass@1"}}},
             sft: {task: sums, batch_size: 4, max_steps: 2, args: {max_length: 32}}}
evaluations:
  sums: {pass_at_k: {task: sums, k: [1], num_samples: 4, max_new_tokens: 6}}
accept: {selected-on-test: this is about kills}
"""


def choosing_project(folder: Path) -> Project:
    project = Project.new(folder)
    (folder / "experiment.yaml").write_text(CHOOSING, encoding="utf-8")
    project.ok("compile")
    assert {"derive", "rate", "dpo", "select"} <= {job.kind for job in project.plan.jobs}
    return project


def test_kills_change_nothing_of_derived_data_and_choices(tmp_path: Path) -> None:
    calm = choosing_project(tmp_path / "calm")
    calm.ok("submit")
    rng = random.Random(4)
    killed: Counter[str] = Counter()
    while killed.total() < NUM_KILLS:
        project = choosing_project(tmp_path / f"killed-{killed.total()}")
        killed += disturb(rng, project, NUM_KILLS - killed.total())
        check_same(project, calm)


# One training job


def training(folder: Path, finished: Project) -> tuple[Project, Job]:
    """A project in which all but one longer job of grpo is done, and that job."""
    project = finished.copy(folder)
    project.edit("rollouts: 6", "rollouts: 80")
    project.edit("keep: [3]", "keep: [3, 7, 8]")
    project.ok("compile")
    job = project.plan.job("mini/60/rl/r0/rl")
    assert not project.artifact(job.artifact).exists()
    return project, job


def start_job(project: Project, job: Job) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "exc.runtime.job", job.id],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )


def moments(project: Project, job: Job) -> Iterator[Callable[[], bool]]:
    """What to wait for before each kill: some rollouts done, or a state or an artifact being written."""
    work = project.store / "work" / job.work_key
    for number in range(NUM_KILLS):
        seen = progress_of(project, job)
        wanted = seen + 1 + (number % 3)

        def going(wanted: int = wanted) -> bool:
            return progress_of(project, job) >= wanted

        def saving(seen: int = seen) -> bool:
            return any(work.glob(".tmp-step-*")) and progress_of(project, job) > seen

        def publishing() -> bool:
            return any((project.store / "tmp").glob("*/artifact"))

        yield saving if number in (3, 6, 8) else publishing if number == 1 else going


def progress_of(project: Project, job: Job) -> int:
    """How many steps all attempts at a job have told of."""
    attempts = (project.store / "attempts" / job.identity).glob("*/events.jsonl")
    return sum(path.read_bytes().count(b'"progress"') for path in attempts)


def test_a_training_job_that_is_killed_ends_in_the_same_weights(finished: Project, tmp_path: Path) -> None:
    calm, job = training(tmp_path / "calm", finished)
    process = start_job(calm, job)
    assert process.wait(timeout=TIMEOUT_S) == 0
    project, job = training(tmp_path / "mini", finished)
    rng = random.Random(3)
    killed = 0
    for moment in moments(project, job):
        process = start_job(project, job)
        wait_until(lambda: process.poll() is not None or moment(), pause_s=0.001)  # noqa: B023
        time.sleep(rng.choice((0.0, rng.uniform(0.0, 0.05))))
        if process.poll() is None:
            process.kill()
            killed += 1
        process.wait()
    assert killed == NUM_KILLS
    assert start_job(project, job).wait(timeout=TIMEOUT_S) == 0
    assert project.contents() == calm.contents()
    assert list((project.store / "tmp").iterdir()) == []
    resumed = [event["step"] for event in project.events("progress") if event.get("resumed")]
    assert resumed, "no attempt went on from a state"


# Ctrl-C


def interrupt(project: Project, times: int) -> Done:
    """Submit, and press Ctrl-C while a training job runs."""
    with submitting(project) as submit:
        wait_until(lambda: submit.poll() is not None or any_training(project))
        for _ in range(times):
            os.killpg(submit.pid, signal.SIGINT)
            time.sleep(0.05)
        said, _ = submit.communicate(timeout=TIMEOUT_S)
    return Done(submit.returncode, said, "")


def any_training(project: Project) -> bool:
    steps = [event for event in project.events("progress") if "loss" in event]
    return bool(steps) and bool(running_jobs(project))


@pytest.mark.parametrize("times", [1, 2])
def test_after_ctrl_c_it_goes_on(finished: Project, tmp_path: Path, times: int) -> None:
    project = new_project(tmp_path / "mini")
    stopped = interrupt(project, times)
    # A second one may come when all is said and done: a shell gives 130 for that, too.
    assert stopped.code == 130 or (times > 1 and stopped.code == -signal.SIGINT), stopped
    assert "stopping" in stopped.out
    assert "to go on: exc submit" in stopped.out
    assert "Traceback" not in stopped.out
    wait_until(lambda: not running_jobs(project))
    assert "failed" not in project.states().values()
    assert "running" not in project.states().values()
    project.ok("submit")
    check_same(project, finished)


# Two at once


def test_two_submits_at_once_share_the_work(finished: Project, tmp_path: Path) -> None:
    project = new_project(tmp_path / "mini")
    with submitting(project) as one, submitting(project) as two:
        said = [process.communicate(timeout=TIMEOUT_S)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), "\n".join(said)
    assert project.started() == dict.fromkeys(project.ids, 1)
    check_same(project, finished)
