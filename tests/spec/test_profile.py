"""Profiles: where they are looked for, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from exc.compiler.classes import WHAT
from exc.spec.diagnostics import Diagnostics
from exc.spec.profile import load_profile
from exc.spec.profiles import LOCAL, Kind, Profile


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "exc").mkdir(parents=True)
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


def load(folder: Path, name: str) -> tuple[Profile | None, list[str]]:
    diagnostics = Diagnostics()
    profile = load_profile(name, folder, diagnostics)
    found = diagnostics.sorted()
    return profile, [f"{d.span.line if d.span else 0} {d.code} {d.hint}" for d in found]


def write(folder: Path, text: str) -> None:
    (folder / "profiles.yaml").write_text(text, encoding="utf-8")


def test_local_is_shipped(folder: Path) -> None:
    assert load(folder, "local") == (LOCAL, [])


def test_the_spec_s_folder_comes_first(folder: Path) -> None:
    write(folder.parent / "config" / "exc", "local: {slots: 1}\nmine: {slots: 2}\n")
    write(folder, "local: {slots: 3}\n")
    assert load(folder, "local") == (Profile(slots=3), [])
    assert load(folder, "mine") == (Profile(slots=2), [])


def test_an_empty_profile_is_all_defaults(folder: Path) -> None:
    write(folder, "mine:\n")
    assert load(folder, "mine") == (LOCAL, [])


def test_selectors_and_units(folder: Path) -> None:
    write(
        folder, "big: {save_interval: 10m, resources: [{on: {class: rl.rl}, cpus: 2, micro_batch_size: 4}]}\n"
    )
    profile, found = load(folder, "big")
    assert found == []
    assert profile is not None
    assert profile.save_interval == 600
    assert profile.resources[0].on.job_class == "rl.rl"


def test_an_unknown_profile(folder: Path) -> None:
    write(folder, "cluster: {}\n")
    assert load(folder, "clutser") == (None, ["0 no-such-profile did you mean `cluster`?"])


def test_every_mistake_of_the_profile_asked_for(folder: Path) -> None:
    write(
        folder, "other: {slot: 1}\nmine:\n  slot: 1\n  save_interval: 5min\n  resources: [{job_class: x}]\n"
    )
    profile, found = load(folder, "mine")
    assert profile is None
    assert found == [
        "3 unknown-key did you mean `slots`?",
        "4 wrong-unit did you mean `5m`?",
        "5 unknown-key None",
    ]
    assert load(folder, "local") == (LOCAL, [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "yaml-syntax"),
        ("- a\n", "wrong-type"),
        ("", "empty-file"),
        ("a: {}\na: 1\n", "duplicate-key"),
    ],
)
def test_a_broken_file_is_not_a_missing_name(folder: Path, text: str, code: str) -> None:
    write(folder, text)
    _, found = load(folder, "a")
    assert [line.split()[1] for line in found] == [code]


def test_files_that_cannot_be_read(folder: Path) -> None:
    (folder / "profiles.yaml").mkdir()
    assert load(folder, "mine") == (None, ["0 missing-file None"])
    (folder / "profiles.yaml").rmdir()
    (folder / "profiles.yaml").write_bytes(b"\xff")
    assert load(folder, "mine") == (None, ["0 yaml-syntax save it as UTF-8"])


def test_a_kind_of_job_that_there_is_not(folder: Path) -> None:
    write(folder, "local: {resources: [{on: {kind: grop}, cpus: 2}]}\n")
    assert load(folder, "local") == (None, ["1 bad-choice did you mean `grpo`?"])


def test_the_kinds_of_jobs_are_those_that_are_planned() -> None:
    assert set(get_args(Kind)) == set(WHAT)
