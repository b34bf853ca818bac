"""How commands are called: usage, help, and readers that go away."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exc.cli import COMMANDS
from tests.cli.user import User


def test_without_arguments_is_usage(user: User) -> None:
    ran = user.exc()
    assert ran.code == 2
    assert ran.err.startswith("usage: exc")
    assert ran.out == ""


@pytest.mark.parametrize(
    "argv",
    [
        ["comple"],
        ["--no-such"],
        ["compile", "--no-such"],
        ["check", "a", "b"],
        ["submit", "--slots", "0"],
        ["submit", "--slots", "many"],
        ["show"],
        ["diff"],
        ["explain", "a", "b"],
    ],
)
def test_what_cannot_be_meant_is_usage(user: User, argv: list[str]) -> None:
    ran = user.exc(*argv)
    assert ran.code == 2
    assert "usage: exc" in ran.err


def test_help_names_every_command(user: User) -> None:
    ran = user.exc("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert re.search(rf"^    {command} ", ran.out, re.MULTILINE)


# What is said beside how and where: which part of a store or a template is meant, never what is computed.
CHOOSING = {
    "doctor": {"--run"},
    "lock": {"--update"},
    "watch": {"--keep", "--once", "--interval"},
    "logs": {"--attempt", "--follow", "--path", "--events", "--tail"},
    "cancel": {"--recipe", "--trunk", "--all"},
    "adopt": {"--from", "--values", "--why"},
    "export": {"--final", "--trunk", "--at", "--replicate", "--license"},
    "gc": {"--delete", "--keep-attempts", "--older-than", "--resume-state", "--unregister"},
    "init": {"--list", "--template"},
    "schema": {"--profiles"},
}


def test_no_flag_changes_the_experiment(user: User) -> None:
    how = {"--help", "--json", "--profile", "--out", "--check", "--slots", "--gpus", "--csv", "--detach"}
    for command in COMMANDS:
        flags = set(re.findall(r"--[a-z-]+", user.exc(command, "--help").out))
        assert flags <= how | CHOOSING.get(command, set()), command


def test_as_a_module_and_as_a_program(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("exc")
    for command in ([sys.executable, "-m", "exc"], [str(script)]):
        run = subprocess.run(
            [*command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert run.stdout.startswith("exc ")


@pytest.mark.parametrize("arguments", ["explain", "explain yaml-syntax", "--version"])
def test_a_reader_that_went_away_is_no_error(tmp_path: Path, arguments: str) -> None:
    command = f"{sys.executable} -m exc {arguments} | true"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("arguments", ["results", "status"])
def test_a_reader_of_tables_that_went_away_is_no_error(user: User, arguments: str) -> None:
    user.exc("compile")
    test_a_reader_that_went_away_is_no_error(user.folder, arguments)


def test_slots_of_this_machine_mean_nothing_on_a_cluster(user: User) -> None:
    profiles = "cluster: {backend: slurm, resources: [{cpus: 1, time: 1h}]}\n"
    (Path.cwd() / "profiles.yaml").write_text(profiles, encoding="utf-8")
    assert user.exc("compile", "--profile", "cluster").code == 0
    for option in ("--slots", "--gpus"):
        ran = user.exc("submit", option, "2")
        assert ran.code == 2
        said = f"{option} is about this machine; on a cluster `resources` of profile cluster say"
        assert said in ran.err
    assert not (Path.cwd() / "store").exists()
