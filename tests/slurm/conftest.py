"""A real SLURM for the tests marked `slurm`, or a loud word why there is none."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, NotHere, why_not
from tests.slurm.fake import FakeSlurm
from tests.slurm.worlds import World

ABSENT = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Four nodes of 16 CPUs and 4 fake GPUs, with accounting and enforced limits, for the whole session."""
    here = Cluster(tmp_path_factory.mktemp("slurm"), ENFORCE="limits,qos")
    # A run that is told to end takes its cluster along.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        reason = why_not()
        if reason:
            raise NotHere(reason)
        here.up()
    except NotHere as error:
        here.down()
        request.config.stash[ABSENT] = str(error)
        pytest.skip(f"no SLURM can be started here: {error}")
    yield here
    here.down()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def slurm(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster, whole and empty, and seen by this process and its children; emptied again afterwards."""
    cluster.up()
    for name in ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CLUSTERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    yield cluster
    cluster.up()
    cluster.cancel_all()


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSlurm]:
    """A fake cluster; nothing that it runs outlives the test."""
    with FakeSlurm(tmp_path_factory.mktemp("fake")) as cluster:
        yield cluster


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slurm)])
def world(request: pytest.FixtureRequest) -> World:
    here: World = request.getfixturevalue("slurm" if request.param == "real" else "fake")
    return here


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs write where they were submitted."""
    monkeypatch.chdir(tmp_path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The reason once more, where nobody overlooks it."""
    reason = config.stash.get(ABSENT, None)
    if reason is not None:
        terminalreporter.section("NOTHING WAS TESTED ON A REAL SLURM", yellow=True)
        terminalreporter.line(f"no SLURM can be started here: {reason}", yellow=True)
