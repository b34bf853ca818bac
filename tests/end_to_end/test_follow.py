"""Submitting in the background, looking on, reading logs, cancelling: as a person does it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.project import TIMEOUT_S, Project, wait_until

pytestmark = pytest.mark.slow
RL = "mini/30/rl/r0/rl"


def new_project(folder: Path) -> Project:
    project = Project.new(folder / "mini")
    project.edit("rollouts: 6", "rollouts: 600")  # longer than anybody waits here
    project.ok("compile")
    return project


def pid_of(text: str) -> int:
    found = re.search(r"process (\d+), log ", text)
    assert found, text
    return int(found[1])


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def watch_in_a_terminal(project: Project, keys: bytes) -> tuple[int, str]:
    """`exc watch` in a terminal; presses keys once a frame is there; gives the exit code and the screen."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "exc", "watch", "--interval", "0.2"],
        cwd=project.folder,
        env={**project.environment, "TERM": "xterm", "LINES": "24", "COLUMNS": "80"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # As a shell in a terminal has it: what starts in the background inherits that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        os.close(theirs)
        shown = b""
        deadline = time.monotonic() + TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 1 << 16)
                except OSError:  # the other end is closed
                    break
            if b"leaves" in shown and keys:
                if keys == b"\x03":
                    os.killpg(process.pid, signal.SIGINT)
                else:
                    os.write(ours, keys)
                keys = b""
        if time.monotonic() >= deadline:
            process.kill()  # nobody reads its screen any more: it could wait for that for ever
        process.wait()
    os.close(ours)
    return process.returncode, shown.decode(errors="replace")


def test_in_the_background(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    said = project.ok("submit", "--detach")
    pid = pid_of(said)
    assert "exc cancel --all" in said
    try:
        assert os.getsid(pid) == pid  # no terminal takes it along
        wait_until(lambda: project.states()[RL] == "running" and project.events("progress"))
        status = project.exc("status").out
        assert f"process {pid} on " in status
        assert "submits it, in the background" in status

        frame = json.loads(project.exc("watch", "--json").out)
        assert [one["pid"] for one in frame["submitters"]] == [pid]
        assert RL in [row["id"] for row in frame["running"]]
        once = project.exc("watch", "--once")
        assert once.code == 0, once
        assert f"process {pid}" in once.out
        for keys in (b"q", b"\x03"):
            code, screen = watch_in_a_terminal(project, keys)
            assert code == 0, screen
            assert "tokenizer" in screen
        assert alive(pid)

        log = project.exc("logs", "mini/30/rl")
        assert log.err.startswith(f"{RL}, attempt 1 of 1 on ")
        assert ", running\n" in log.err
        assert Path(project.ok("logs", RL, "--path").strip()).is_file()
        assert "progress" in project.ok("logs", RL, "--events", "--tail", "400")

        done = project.exc("cancel", "--all")
        assert done.code == 0, done
        assert f"stopping {RL}: process " in done.out
        assert f"process {pid} on " in done.out
        wait_until(lambda: not alive(pid))
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert project.states()[RL] == "cancelled"
    assert list((project.store / "work").glob("*/step-*"))  # what it had is kept
    assert project.exc("cancel", "--all").code == 1  # nothing is left to cancel
    assert "interrupt" not in json.dumps(project.states())
    assert project.exc("watch", "--once").code == 1
    assert project.exc("logs", "mini/60/soup").code == 1


def test_a_background_submit_that_cannot_start_says_why(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.edit("max_steps: 8", "max_steps: 9")
    done = project.exc("submit", "--detach")
    assert done.code == 1
    assert "exc compile" in done.err
    assert not list(project.store.glob("submits/*.log"))


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("cancel",), 2, "say which: a JOB-ID"),
        (("cancel", "mini/30/rll"), 1, "the nearest: "),
        (("cancel", "--recipe", "rll"), 1, "did you mean rl"),
        (("cancel", RL, "nowhere"), 1, "there is no plan here"),
        (("logs", "mini/30"), 1, "could be "),
        (("logs", RL), 1, "it waits for 2 jobs: "),
        (("watch", "nowhere"), 1, "there is no plan here"),
        (("watch", "--interval", "0"), 2, "expected seconds"),
    ],
)
def test_what_cannot_be(tmp_path: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    project = Project.new(tmp_path / "mini")
    project.ok("compile")
    done = project.exc(*arguments)
    assert done.code == code, done
    assert text in done.err
