"""Fetching from a hub: small files of data, a hub that never answers, a disk that is too small."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from exc.runtime.context import JobFailed, Stopped
from tests.fake_hub import FakeHub, fake_hub
from tests.runtime.stages.conftest import Bench

PART = "default/train"
NAME = f"{PART}/0.parquet"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield hub


def pushed(hub: FakeHub, folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The config of a job that fetches these rows; of its file the hub knows no sha256."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / PART).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / NAME)
    commit = hub.push("lab/sums", folder)
    file = {"name": NAME, "bytes": (folder / NAME).stat().st_size, "sha256": ""}
    return {"hub": {"repo": "lab/sums", "part": PART, "commit": commit, "files": [file]}}


def test_a_small_file_of_which_the_hub_knows_no_digest(bench: Bench, hub: FakeHub) -> None:
    rows = [{"question": "1+1", "answer": "2"}]
    out = bench.run("fetch", pushed(hub, bench.folder / "repo", rows))
    assert [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()] == rows


def test_a_disk_that_is_too_small_is_said_to_be(bench: Bench, hub: FakeHub) -> None:
    text = "".join(map(chr, range(33, 127))) * 2000
    config = pushed(hub, bench.folder / "repo", [{"text": f"{number} {text}"} for number in range(4)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(JobFailed) as failure:
            bench.run("fetch", config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failure.value.kind == "disk", failure.value


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A hub that takes a connection and never answers; set once it was asked."""
    asked, held = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return
                asked.set()

        threading.Thread(target=accept, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield asked
        server.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()


CONFIG = {
    "hub": {"repo": "lab/sums", "part": PART, "commit": "c0ffee", "files": [{"name": NAME, "bytes": 1}]}
}


def test_a_job_that_is_to_stop_waits_for_no_hub(bench: Bench, silent: threading.Event) -> None:
    bench.should_stop = silent.is_set
    with pytest.raises(Stopped):
        bench.run("fetch", CONFIG)
    assert psutil.Process().children() == []


JOB = """
import json, sys
from pathlib import Path
from tests.runtime.stages.conftest import Bench
Bench(Path(sys.argv[1])).run("fetch", json.loads(sys.argv[2]))
"""


def test_what_a_killed_job_was_fetching_ends_with_it(tmp_path: Path, silent: threading.Event) -> None:
    command = [sys.executable, "-c", JOB, str(tmp_path), json.dumps(CONFIG)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], env=dict(os.environ)) as job:
        assert silent.wait(60)
        fetching = psutil.Process(job.pid).children()
        job.send_signal(signal.SIGKILL)
    assert len(fetching) == 1
    gone, _ = psutil.wait_procs(fetching, timeout=60)
    assert len(gone) == 1


def test_a_group_that_is_asked_to_stop_has_not_lost_the_hub(bench: Bench, silent: threading.Event) -> None:
    """The signal of a terminal or a scheduler reaches the process that fetches, too."""

    ended: list[psutil.Process] = []

    def stop() -> bool:
        if ended or not silent.is_set():
            return bool(ended)
        ended.extend(psutil.Process().children())
        for process in ended:
            process.terminate()
            while process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
        return False  # the job hears of it only later

    bench.should_stop = stop
    with pytest.raises(Stopped):
        bench.run("fetch", CONFIG)
