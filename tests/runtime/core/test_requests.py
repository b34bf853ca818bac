"""Wishes left in a store for whoever submits."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from exc.runtime import submitters as module
from exc.runtime.requests import Cancelled, ask_to_cancel, cancel_requests, lift
from exc.runtime.store import Store
from exc.runtime.submitters import Submitting, submitters
from tests.runtime.core.world import job

A, B, C = job("a"), job("b"), job("c")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def cancelled(store: Store) -> set[str]:
    found = Cancelled(store)
    found.look()
    return {one.id for one in (A, B, C) if one.identity in found}


def test_a_wish_stands_until_it_is_lifted(store: Store) -> None:
    ask_to_cancel(store, "all", [A, B])
    assert cancelled(store) == {"a", "b"}
    assert lift(store, [A, B, C]) == ["a", "b"]
    assert cancelled(store) == set()
    assert cancel_requests(store) == []


def test_another_plan_lifts_only_what_it_runs(store: Store) -> None:
    ask_to_cancel(store, "recipe rl", [A, B])
    ask_to_cancel(store, "b", [B])
    assert lift(store, [B]) == ["b"]
    assert cancelled(store) == {"a"}
    (rest,) = cancel_requests(store)
    assert rest.what == "recipe rl"


def test_a_look_that_finds_a_change_is_news(store: Store) -> None:
    found = Cancelled(store)

    def news() -> bool:
        found.news = False
        found.look()
        return found.news

    assert not news()
    ask_to_cancel(store, "a", [A])
    assert news()
    assert not news()
    lift(store, [A])
    assert news()
    assert A.identity not in found
    found.look()
    assert found.news, "it stays until somebody has acted on it"


def test_a_file_that_is_no_request_cancels_nothing(store: Store) -> None:
    ask_to_cancel(store, "a", [A])
    folder = store.root / "requests"
    (folder / "cancel-x.json").write_text("{half")
    (folder / ".cancel-y.json.0").write_text("")
    (folder / "cancel-z.json").write_text("[]")
    assert cancelled(store) == {"a"}
    assert lift(store, [A]) == ["a"]


def test_a_submitter_is_seen_while_it_lives(store: Store) -> None:
    with Submitting(store, "tiny", cpus=4, gpus=1, log="/x.log"):
        (found,) = submitters(store, "tiny")
        assert (found.cpus, found.gpus, found.log, found.owner.pid) == (4, 1, "/x.log", os.getpid())
        assert found.text() == f"process {os.getpid()} on {found.owner.host} submits it, in the background"
        assert submitters(store, "other") == []
    assert submitters(store, "tiny") == []


def test_a_submitter_that_was_killed_is_not_seen_and_is_forgotten(store: Store) -> None:
    with Submitting(store, "tiny", cpus=1, gpus=0):
        (path,) = (store.root / module.FOLDER).glob("*.json")
        record = json.loads(path.read_text())
    gone = store.root / module.FOLDER / "gone.json"
    gone.write_text(json.dumps({**record, "started": record["started"] + 1}))  # its number, another process
    assert submitters(store, "tiny") == []
    with Submitting(store, "tiny", cpus=1, gpus=0):
        assert not gone.exists()


def test_a_submitter_on_another_machine_is_seen_by_its_fresh_record(store: Store) -> None:
    with Submitting(store, "tiny", cpus=1, gpus=0):
        (path,) = (store.root / module.FOLDER).glob("*.json")
        record = json.loads(path.read_text())
    far = store.root / module.FOLDER / "far.json"
    far.write_text(json.dumps({**record, "host": "far", "boot": "another"}))
    assert [one.owner.host for one in submitters(store, "tiny")] == ["far"]
    long_ago = time.time() - 1000
    os.utime(far, (long_ago, long_ago))
    assert submitters(store, "tiny") == []
