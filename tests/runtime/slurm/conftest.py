"""A fake cluster that this process sees, and the trivial stages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exc.runtime.slurm import allocation, sbatch, submission
from tests.runtime.core.conftest import trivial_stages
from tests.slurm.fake import FakeSlurm

__all__ = ["trivial_stages"]


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlurm]:
    """A cluster on which nothing starts by itself until `set(auto=True)`."""
    with FakeSlurm(tmp_path_factory.mktemp("fake"), auto=False) as cluster:
        for name in ("SLURM_CONF", "SLURM_JOB_ID"):
            monkeypatch.delenv(name, raising=False)
        for name in ("PATH", "FAKE_SLURM"):
            monkeypatch.setenv(name, cluster.env()[name])
        yield cluster


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long in a test."""
    monkeypatch.setattr(sbatch, "_FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(sbatch, "PATIENCE_S", 3.0)
    monkeypatch.setattr(submission, "_LOOK_S", 0.5)
    monkeypatch.setattr(submission, "_RELEASE_S", 0.5)
    monkeypatch.setattr(allocation, "SHARED_S", 0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A spec's folder."""
    folder = tmp_path / "world"
    folder.mkdir()
    return folder
