"""What is known of a job by several processes whose first one can say nothing any more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from exc.runtime import following, relay, team
from exc.runtime.attempts import Failure
from exc.runtime.failures import unexplained
from exc.runtime.stopping import EXIT_FAILED, EXIT_RESUMES


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of a relay, as the first of two processes has it, with nobody to meet."""
    from torch import distributed

    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "0"), (relay.EXIT_FILE, str(tmp_path / "exit"))):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(team, "die_with_parent", lambda: None)
    store = SimpleNamespace()
    monkeypatch.setattr(distributed, "rendezvous", lambda *_, **__: iter([(store, 0, 2)]), raising=False)
    monkeypatch.setattr(distributed, "PrefixStore", lambda _prefix, inside: inside, raising=False)
    return tmp_path / "exit"


def test_a_process_that_ends_without_a_word_was_killed(left: Path) -> None:
    """Of NCCL no exception comes where another process is gone: the launcher kills those that wait for it."""
    joined = team.join_team()
    assert joined is not None
    assert joined.is_first
    code = relay._left(left, EXIT_FAILED)
    assert code == 137
    assert unexplained(code, None).kind == "killed", "which is tried again"


@pytest.mark.parametrize("code", [0, EXIT_FAILED, EXIT_RESUMES])
def test_what_a_process_says_itself_counts(left: Path, code: int) -> None:
    team.join_team()
    assert team.finish(code) == (EXIT_FAILED if code == EXIT_FAILED else 0)
    assert relay._left(left, 0) == code


def test_one_that_failed_before_it_met_the_others_was_not_killed(left: Path) -> None:
    assert relay._left(left, EXIT_FAILED) == EXIT_FAILED


@pytest.mark.parametrize(
    "message",
    [
        "[../third_party/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1234",
        "NCCL error: remote process exited or there was a network error, NCCL version 2.27.5",
        "[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, "
        "Timeout(ms)=1800000) ran for 1800080 milliseconds before timing out.",
        "NCCL communicator was aborted on rank 0.",
    ],
)
def test_an_error_of_the_network_is_anothers_end(message: str) -> None:
    found = following._of_another(Failure("error", f"DistBackendError: {message}"))
    assert found is not None
    assert found.kind == "killed"
    assert following._of_another(Failure("error", "ValueError: no timeout was given")) is None
