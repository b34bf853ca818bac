"""The user that every test here is given."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.user import User, write_study


@pytest.fixture
def user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[User]:
    folder = tmp_path / "study"
    write_study(folder)
    monkeypatch.chdir(folder)
    for name in ("EXC_STORE", "EXC_PLAN", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield User(folder, capsys)
    gc.enable()  # commands that end soon switch it off
