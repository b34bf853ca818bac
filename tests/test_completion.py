"""Completion as a person has it: a shell in a terminal, a few letters, and the Tab key."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exc.commands.completion import KINDS, VALUES, commands, values

BIN = Path(sys.executable).parent
_WAIT_S = 8
_CONTROL = re.compile(
    r"\x1b(?:\[[0-9;?<>=]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78])|[\x00-\x08\x0e-\x1f]"
)

JOBS = ["tiny/pretrain/800", "tiny/800/rl[lr=1e-06]/r0/rl@20", "tiny/800/rl[lr=1e-06]/r0/rl@40"]
SPEC = """\
version: 1
recipes:
  rl:
    - rl: {grpo: {}}
  # not one: of them
  sft-rl: []
evaluations:
  sums: {}
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plan").mkdir()
    plan = {"jobs": [{"id": job} for job in JOBS]}
    (tmp_path / "plan/plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (tmp_path / "experiment.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "profiles.yaml").write_text("cluster:\n  slots: 2\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("study")
def test_values_are_those_of_the_folder() -> None:
    assert list(values("jobs")) == JOBS
    assert list(values("recipes")) == ["rl", "sft-rl"]
    assert list(values("profiles")) == ["local", "cluster"]
    assert "mid-decay" in values("codes")
    assert "quickstart" in values("templates")


@pytest.mark.parametrize("kind", [*VALUES, "nonsense"])
def test_a_folder_without_anything_is_no_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values(kind)
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan/plan.json").write_text("{", encoding="utf-8")
    values(kind)


def test_every_argument_has_a_kind() -> None:
    """A new metavar without a kind is completed with nothing: say in KINDS what it is."""
    plain = {"AGE", "ID", "N", "S", "STEP", "TEXT"}
    from exc import cli

    parser = cli.make_parser()
    [subparsers] = [action for action in parser._actions if action.dest == "command"]
    assert isinstance(subparsers.choices, dict)
    metavars = {
        action.metavar
        for sub in subparsers.choices.values()
        for action in sub._actions
        if isinstance(action.metavar, str) and action.help != "==SUPPRESS=="
    }
    assert metavars - plain <= set(KINDS)
    assert {command.name for command in commands()} == set(subparsers.choices)


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:  # pragma: no cover
            os.chdir(folder)
            env = {
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "HOME": str(folder),
                "TERM": "xterm",
                "LC_ALL": "C.UTF-8",
            }
            os.execvpe(
                command[0],
                command,
                env | {k: v for k, v in os.environ.items() if k in ("FPATH", "LD_LIBRARY_PATH")},
            )

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, wanted: str) -> str:
        """What is shown, up to and with the wanted text; fails with what there was instead."""
        seen, end = "", time.monotonic() + _WAIT_S
        while time.monotonic() < end:
            ready, _, _ = select.select([self._fd], [], [], 0.2)
            if ready:
                seen += os.read(self._fd, 65536).decode(errors="replace")
                if wanted in _CONTROL.sub("", seen):
                    return _CONTROL.sub("", seen)
        raise AssertionError(f"{wanted!r} is not shown, but: {_CONTROL.sub('', seen)!r}")

    def close(self) -> None:
        os.close(self._fd)
        os.waitpid(self._pid, 0)


SHELLS = {
    "bash": (
        ["bash", "--norc", "-i"],
        'bind "set show-all-if-ambiguous on"; bind "set bell-style none"; eval "$(exc completion bash)"',
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        'PS1="ready> "; autoload -U compinit; compinit -u; eval "$(exc completion zsh)"',
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        'function fish_prompt; echo "ready> "; end; exc completion fish | source',
    ),
}


@pytest.fixture(params=list(SHELLS))
def terminal(request: pytest.FixtureRequest, study: Path) -> Iterator[Terminal]:
    command, setup = SHELLS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"NOT TESTED: completion in {request.param}, which is not installed")
    shell = Terminal(command, study)
    shell.type(
        setup + "; echo is-$((1+1))-up\n" if request.param != "fish" else setup + "; echo is-(math 1+1)-up\n"
    )
    shell.until("is-2-up")
    yield shell
    shell.close()


# What is typed before Tab -> what is shown then.
TYPED = {
    "a command": ("exc expl", "exc explain "),
    "commands": ("exc co", "completion"),
    "an option": ("exc check --pro", "exc check --profile"),
    "a profile": ("exc check --profile clu", "exc check --profile cluster"),
    "a job": ("exc show tiny/pre", "exc show tiny/pretrain/800"),
    "a code": ("exc explain mid-d", "exc explain mid-decay"),
    "a template": ("exc init --template gs", "exc init --template gsm8k"),
    "a shell": ("exc completion ba", "exc completion bash"),
    "a file": ("exc check exper", "exc check experiment.yaml"),
    "a folder": ("exc status pl", "exc status plan"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", list(TYPED))
def test_tab_completes(terminal: Terminal, what: str) -> None:
    typed, wanted = TYPED[what]
    terminal.type(f"{typed}\t")
    terminal.until(wanted)


@pytest.mark.slow
def test_ids_with_signs_that_shells_break_words_at(study: Path) -> None:
    """bash alone breaks words at `=` and `@`; what is before them must not be written twice."""
    shell = Terminal(SHELLS["bash"][0], study)
    shell.type(SHELLS["bash"][1] + "; echo is-$((1+1))-up\n")
    shell.until("is-2-up")
    shell.type("exc show 'tiny/800/rl[lr=1e-06]/r0/rl@2\t")
    shell.type("\x01\x0becho done\n")
    shell.until("done")
    shell.type("exc show tiny/800/rl[lr=1e\t")
    shell.until("exc show tiny/800/rl[lr=1e-06]/r0/rl@")
    shell.type("2\t")
    shell.until("20")
    shell.close()


@pytest.mark.parametrize("shell", list(SHELLS))
def test_the_script_is_read_by_its_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"NOT TESTED: {shell} is not installed")
    path = tmp_path / "script"
    made = subprocess.run([str(BIN / "exc"), "completion", shell], capture_output=True, text=True, check=True)
    path.write_text(made.stdout, encoding="utf-8")
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
