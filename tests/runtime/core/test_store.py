"""Artifacts are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.files import digest_file, write_json
from exc.runtime.owner import this_process
from exc.runtime.store import Store, StoreError


def describe() -> Mapping[str, Any]:
    return {"job": "a/b", "inputs": {}, "metrics": {"loss": 1.0}}


def write(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"12345")


def everything(store: Store) -> list[str]:
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def test_an_artifact_is_found_read_and_listed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert not store.has("sft", "aa")
    assert store.publish("sft", "aa", write, describe)
    artifact = store.read("sft", "aa")
    assert artifact.metrics == {"loss": 1.0}
    weights = artifact.path / "model" / "weights"
    assert artifact.record["files"] == {"model/weights": {"bytes": 5, "sha256": digest_file(weights)}}
    assert store.has("sft", "aa")
    assert store.present("sft") == {"aa"}
    assert list(store.list()) == [("sft", "aa")]
    assert everything(store) == ["artifacts/sft/aa/artifact.json", "artifacts/sft/aa/model/weights"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    store = Store(tmp_path / "store")

    def fails(folder: Path) -> None:
        write(folder)
        raise error

    with pytest.raises(type(error)):
        store.publish("sft", "aa", fails, describe)
    assert everything(store) == []
    assert store.present("sft") == set()


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")

    def slow(folder: Path) -> None:
        (folder / "mine").touch()
        store.publish("sft", "aa", write, describe)  # another writer is done first

    assert not store.publish("sft", "aa", slow, describe)
    assert "model/weights" in store.read("sft", "aa").record["files"]
    assert everything(store) == ["artifacts/sft/aa/artifact.json", "artifacts/sft/aa/model/weights"]


def test_an_artifact_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.publish("sft", "aa", write, describe)
    called: list[Path] = []
    assert not store.publish("sft", "aa", called.append, describe)
    assert called == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "artifact.json is missing"),
        ("", "artifact.json is not JSON"),
        ('{"format": 1, "kind": "sf', "artifact.json is not JSON"),
        ("[]", "does not hold an object"),
        ('{"format": 7}', "has format 7, expected 1"),
        ('{"format": 1, "kind": "sft", "identity": "bb"}', "is the record of sft/bb"),
        ('{"format": 1, "kind": "sft", "identity": "aa"}', "lacks `metrics`"),
    ],
)
def test_a_damaged_record_names_the_path_and_the_cure(
    tmp_path: Path, content: str | None, fault: str
) -> None:
    store = Store(tmp_path / "store")
    store.publish("sft", "aa", write, describe)
    record = store.artifact_path("sft", "aa") / "artifact.json"
    record.unlink()
    if content is not None:
        record.write_text(content)
    with pytest.raises(StoreError) as raised:
        store.read("sft", "aa")
    assert fault in str(raised.value)
    assert f"rm -r {record.parent}" in str(raised.value)


def test_the_sweep_takes_only_what_dead_writers_left(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    alive = this_process().to_json()
    writers = {
        "alive": alive,
        "dead": {**alive, "started": alive["started"] + 1},  # another process had this pid
        "far": {**alive, "host": "elsewhere", "boot": "another"},
    }
    for name, owner in writers.items():
        folder = store.root / "tmp" / name
        folder.mkdir(parents=True)
        write_json(folder / "owner.json", owner)
    assert store.sweep() == 1
    assert sorted(path.name for path in (store.root / "tmp").iterdir()) == ["alive", "far"]


def test_links_are_relative_and_follow_the_newest(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for identity in ("aa", "bb"):
        store.publish("sft", identity, write, describe)
        store.link("tiny", "t/600/sft@20", "sft", identity)
    moved = tmp_path / "moved"
    store.root.rename(moved)
    link = moved / "results" / "tiny" / "t" / "600" / "sft@20"
    assert json.loads((link / "artifact.json").read_bytes())["identity"] == "bb"
