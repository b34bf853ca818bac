"""Two processes do one job: the same result to rounding, whole or to be gone on with however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from exc.compiler.plan import Job
from tests.end_to_end.project import TIMEOUT_S, Project, wait_until
from tests.end_to_end.together import by_hand, difference, lead_up, of_kind, saved_steps, weights

pytestmark = pytest.mark.ci

PROFILES = """
local: {save_interval: 0s, resources: [{on: {kind: pretrain}, micro_batch_size: 4}]}
two:
  save_interval: 0s
  resources:
    - {on: {kind: pretrain}, micro_batch_size: 4, processes: 2, cpus: 2}
    - {on: {kind: sft}, processes: 2, cpus: 2}
    - {on: {kind: grpo}, micro_batch_size: 1, processes: 2, cpus: 2}
    - {on: {kind: dpo}, processes: 2, cpus: 2}
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Everything up to SFT, each by one process."""
    project = Project.new(tmp_path_factory.mktemp("together") / "alone")
    lead_up(project, PROFILES)
    return project


@pytest.fixture
def pair(alone: Project, tmp_path: Path) -> Project:
    """The same study for two processes, with all that comes before SFT."""
    project = alone.copy(tmp_path / "pair")
    project.ok("compile", "--profile", "two")
    return project


@contextmanager
def script(project: Project, job: Job) -> Iterator[subprocess.Popen[bytes]]:
    """A job's script as a scheduler starts it: in a session of its own."""
    with (project.folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            project.script(job),
            cwd=project.folder,
            env=project.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "RANK" in child.environ() and "exc.runtime.job" in child.cmdline():
                found.append(child)
    return [child for child in found if "accelerate.commands.launch" not in child.cmdline()]


def test_the_result_is_that_of_one_process_to_rounding(alone: Project, pair: Project, tmp_path: Path) -> None:
    single = alone.copy(tmp_path / "single")
    (job,) = of_kind(single, "sft")
    by_hand(single, job)
    by_hand(pair, job)
    assert 0 < difference(single, pair, job) < 1e-5
    record = json.loads((pair.artifact(job.artifact) / "artifact.json").read_bytes())
    assert record["environment"]["processes"] == 2
    attempts = [path for path in pair.attempts() if job.identity in str(path)]
    assert len(attempts) == 1, "one attempt, whatever the number of processes"
    assert "already done" in pair.run(*pair.script(job)).out


def test_pretraining_and_rl_by_two_processes(alone: Project, pair: Project) -> None:
    (pretrain,) = of_kind(pair, "pretrain")
    shutil.rmtree(pair.artifact(pretrain.artifact))
    by_hand(pair, pretrain)
    assert difference(alone, pair, pretrain) < 1e-5
    rl = next(job for job in of_kind(pair, "grpo") if job.cls == "rl.rl")
    by_hand(pair, rl)
    assert set(weights(pair, rl)) == set(weights(pair, pretrain))


def test_stopped_and_killed_it_goes_on_to_the_same_weights(pair: Project, tmp_path: Path) -> None:
    (job,) = of_kind(pair, "sft")
    undisturbed = pair.copy(tmp_path / "undisturbed")
    by_hand(undisturbed, job)
    with script(pair, job) as process:
        wait_until(lambda: len(saved_steps(pair, job)) >= 2)
        os.killpg(process.pid, signal.SIGUSR2)
        assert process.wait(TIMEOUT_S) == 75, "saved, and to be gone on with"
    before = max(saved_steps(pair, job))
    with script(pair, job) as process:
        wait_until(lambda: max(saved_steps(pair, job)) > before)
        started = workers(process)
        last = max(started, key=lambda child: int(child.environ()["RANK"]))
        last.kill()
        assert process.wait(TIMEOUT_S) == 1
        _, alive = psutil.wait_procs(started, timeout=60)
        assert not alive, "one that dies ends all"
    failed = [attempt for attempt in pair.attempts() if (attempt / "attempt.json").exists()]
    records = [json.loads((attempt / "attempt.json").read_bytes()) for attempt in failed]
    classes = [record["failure"]["class"] for record in records if "failure" in record]
    assert classes == ["killed"], "which `exc submit` tries again by itself"
    assert max(saved_steps(pair, job)) < 40
    by_hand(pair, job)
    assert difference(undisturbed, pair, job) == 0.0


def test_without_its_relay_nothing_is_left_behind(pair: Project) -> None:
    (job,) = of_kind(pair, "sft")
    with script(pair, job) as process:
        wait_until(lambda: len(workers(process)) == 2)
        started = workers(process)
        process.kill()
        assert not psutil.wait_procs(started, timeout=60)[1]


def test_what_another_process_fails_of_is_the_failure(pair: Project) -> None:
    """The first only sees that somebody no longer answers."""
    (job,) = of_kind(pair, "sft")
    broken = pair.folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('RANK') == '1':\n"
        "    import builtins\n"
        "    real = builtins.__import__\n"
        "    def fake(name, *rest, **more):\n"
        "        if name == 'exc.runtime.stages.sft' or name == 'trl':\n"
        "            raise MemoryError('no room for process 1')\n"
        "        return real(name, *rest, **more)\n"
        "    builtins.__import__ = fake\n",
        encoding="utf-8",
    )
    pair.env["PYTHONPATH"] = os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")])
    done = pair.run(*pair.script(job))
    assert done.code == 1, done
    assert "out-of-memory" in done.out + done.err
    assert "no room for process 1" in done.out + done.err
