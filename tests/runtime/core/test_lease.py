"""One writer at a time, whoever dies and whenever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from exc.runtime import lease as leases
from exc.runtime.lease import FOLDER, STALE_S, Holder, Lease, acquire, holder
from exc.runtime.owner import this_process

_HOLD = """
import sys, time
from pathlib import Path
from exc.runtime.lease import acquire
print(type(acquire(Path(sys.argv[1]), "other")).__name__, flush=True)
time.sleep(60)
"""


def held_elsewhere(work: Path, age_s: float) -> None:
    """A lease that a process of another machine touched `age_s` seconds ago."""
    folder = work / FOLDER
    folder.mkdir(parents=True)
    owner = {**this_process().to_json(), "boot": "another", "host": "elsewhere"}
    (folder / "4.json").write_text(json.dumps({**owner, "label": "far"}))
    then = time.time() - age_s
    os.utime(folder / "4.json", (then, then))


def test_a_lease_is_held_released_and_held_again(tmp_path: Path) -> None:
    first = acquire(tmp_path, "a/b")
    assert isinstance(first, Lease)
    second = acquire(tmp_path, "c")
    assert isinstance(second, Holder)
    assert second.label == "a/b"
    assert second.owner == this_process()
    first.release()
    first.release()
    assert holder(tmp_path) is None
    third = acquire(tmp_path, "c")
    assert isinstance(third, Lease)
    third.release()


def test_a_killed_holder_is_followed_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "Lease\n"
    assert isinstance(acquire(tmp_path, "mine"), Holder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    mine = acquire(tmp_path, "mine")
    assert isinstance(mine, Lease)
    mine.release()


@pytest.mark.parametrize(("age_s", "free"), [(STALE_S / 2, False), (STALE_S * 2, True)])
def test_a_holder_elsewhere_is_gone_when_it_is_silent(tmp_path: Path, age_s: float, free: bool) -> None:
    held_elsewhere(tmp_path, age_s)
    mine = acquire(tmp_path, "mine")
    assert isinstance(mine, Lease) is free
    if isinstance(mine, Lease):
        mine.release()


def test_of_many_takers_one_wins(tmp_path: Path) -> None:
    held_elsewhere(tmp_path, STALE_S * 2)
    barrier = threading.Barrier(8)
    got: list[Lease | Holder] = []

    def take() -> None:
        barrier.wait()
        got.append(acquire(tmp_path, "taker"))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [one for one in got if isinstance(one, Lease)]
    assert len(winners) == 1
    winners[0].release()


def test_a_holder_notices_that_it_was_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.01)
    mine = acquire(tmp_path, "mine")
    assert isinstance(mine, Lease)
    (tmp_path / FOLDER / "2.json").write_text(json.dumps({"released": True}))
    limit = time.monotonic() + 30
    while not mine.lost and time.monotonic() < limit:
        time.sleep(0.01)
    assert mine.lost
    mine.release()
    assert json.loads((tmp_path / FOLDER / "2.json").read_bytes()) == {"released": True}


def test_a_torn_lease_is_not_taken_from_under_its_writer(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "1.json").write_text('{"host": "he')
    assert isinstance(acquire(tmp_path, "mine"), Holder)
