"""Specs, plans and folders that are not what they should be: a finding, and never a traceback."""

from __future__ import annotations

import os
import re

import pytest

from tests.cli.user import User
from tests.compiler.study import STUDY

NASTY: dict[str, bytes] = {
    "empty": b"",
    "nulls": b"\0" * 100,
    "binary": bytes(range(256)) * 8,
    "latin-1": "version: 1\nexperiment: caf\xe9\n".encode("latin-1"),
    "utf-16": "version: 1\n".encode("utf-16"),
    "a list": b"[1, 2]\n",
    "a word": b"hello\n",
    "tabs": b"version: 1\n\texperiment: x\n",
    "deep": b"[" * 5000,
    "deep mappings": b"".join(b" " * depth + b"a:\n" for depth in range(2000)),
    "two documents": b"version: 1\n---\nversion: 1\n",
    "anchors": b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\nversion: *d\n",
    "a tag": b"version: !!python/object/apply:os.system [ls]\n",
    "only the version": b"version: 1\n",
    "wrong everywhere": b"version: two\nexperiment: 7\ndata: []\ntasks: x\n"
    b"trunks: {a: 1, b: null}\nrecipes: {r: {}}\nevaluations: [1]\n",
    "huge number": STUDY.replace("seed: 0", "seed: 99999999999999999999999").encode(),
    "huge schedule": STUDY.replace("[400, 700, 1000]", "{every: 1}").replace("1024000", "1T").encode(),
    "number as key": STUDY.replace("hidden_size: 64", "1: 64, hidden_size: 64").encode(),
    "infinity": STUDY.replace("peak: 3.0e-3", "peak: .inf").encode(),
    "zero": STUDY.replace("rollouts: 40", "rollouts: 0").encode(),
    "negative": STUDY.replace("sequence_length: 64", "sequence_length: -64").encode(),
    "a cycle": STUDY.replace("sft: {sft:", "sft: {from: sft-rl, sft:").encode(),
    "itself": STUDY.replace("sft: {sft:", "sft: {from: sft, sft:").encode(),
    "no such step": STUDY.replace("from: sft,", "from: {recipe: sft, step: 61},").encode(),
    "no such replicate": STUDY.replace("from: sft,", "from: {recipe: sft, replicate: 3},").encode(),
    "odd batch": STUDY.replace("updates_per_rollout", "x")
    .replace("rollouts: 40", "rollouts: 40, updates_per_rollout: 7")
    .encode(),
}


@pytest.mark.parametrize("content", NASTY.values(), ids=NASTY.keys())
def test_nasty_specs_are_refused_with_a_finding(user: User, content: bytes) -> None:
    (user.folder / "experiment.yaml").write_bytes(content)
    for argv in (["check"], ["compile"], ["plan"]):
        ran = user.exc(*argv)
        assert ran.code == 1
        assert re.search(r"\berror\b", ran.err)
        assert ran.out == ""
    for command in ("check", "compile", "plan"):
        ran = user.exc(command, "--json")
        assert ran.code == 1
        assert [finding["severity"] for finding in ran.json()["diagnostics"]].count("error") >= 1
    assert not (user.folder / "plan").exists()


@pytest.mark.parametrize("command", ["check", "compile", "plan"])
def test_a_missing_spec(user: User, command: str) -> None:
    ran = user.exc(command, "experimnt.yaml")
    assert ran.code == 1
    assert "there is no file `experimnt.yaml`" in ran.err
    assert "did you mean `experiment.yaml`?" in ran.err


@pytest.mark.parametrize("command", ["check", "compile", "plan"])
@pytest.mark.parametrize("spec", [".", "data", "experiment.yaml/x", "a\0b", "x" * 5000])
def test_what_is_no_file(user: User, command: str, spec: str) -> None:
    ran = user.exc(command, spec)
    assert ran.code in (1, 3)
    assert "error" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_spec_that_may_not_be_read(user: User) -> None:
    (user.folder / "experiment.yaml").chmod(0)
    assert user.exc("check").code == 1


def test_a_plan_folder_that_cannot_be_made(user: User) -> None:
    ran = user.exc("compile", "-o", "experiment.yaml/plan")
    assert ran.code == 3
    assert "experiment.yaml" in ran.err


PLAN_COMMANDS = [
    ["submit"],
    ["status"],
    ["results"],
    ["report"],
    ["diff", "plan"],
    ["show", "tiny/tokenizer"],
]


@pytest.mark.parametrize("argv", PLAN_COMMANDS, ids=lambda argv: argv[0])
def test_commands_on_a_plan_that_is_not_there(user: User, argv: list[str]) -> None:
    ran = user.exc(*argv)
    assert ran.code == 1
    assert "there is no plan here; make one with `exc compile`" in ran.err


@pytest.mark.parametrize(
    "content", [b"", b'{"format": 1', b'{"format": 7}', b'{"format": 1, "jobs": [3]}', b"\xff\0"]
)
@pytest.mark.parametrize("argv", PLAN_COMMANDS, ids=lambda argv: argv[0])
def test_commands_on_a_broken_plan(user: User, argv: list[str], content: bytes) -> None:
    (user.folder / "plan").mkdir()
    (user.folder / "plan" / "plan.json").write_bytes(content)
    ran = user.exc(*argv)
    assert ran.code == 1
    assert "plan.json" in ran.err or "plan format" in ran.err
