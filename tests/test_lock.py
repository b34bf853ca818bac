"""exc.lock: what names on the hub mean, resolved once; a file that says something else is damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exc.lock import LOCK_FILE, LockError, Unreachable, read_lock
from exc.locking import update_lock
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment
from exc.spec.load import load_text
from tests.fake_hub import FakeHub, fake_hub
from tests.spec.test_cases import completed

REPO = "lab/tiny"
OTHER = "lab/other"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    model = tmp_path / "pushed"
    (model / "original").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "original/model.safetensors", "pytorch_model.bin"):
        (model / name).write_text(name)
    with fake_hub() as hub:
        hub.push(REPO, model)
        hub.push(OTHER, model)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield hub


def study(*repos: str) -> Experiment:
    stages = "".join(f"  m{number}: [{{m: {{hub: {repo}}}}}]\n" for number, repo in enumerate(repos))
    draft = load_text(completed(f"recipes:\n{stages}"), "experiment.yaml").draft
    assert draft is not None
    return draft


def test_a_model_is_the_files_at_the_top_of_its_repository(hub: FakeHub, tmp_path: Path) -> None:
    update_lock(study(REPO), tmp_path, anew=False, diagnostics=Diagnostics())
    locked = read_lock(tmp_path)[f"{REPO}@main"]
    assert [file.name for file in locked.files] == ["config.json", "model.safetensors"]
    assert locked.commit == hub.branches[REPO]["main"]


@pytest.mark.usefixtures("hub")
def test_what_was_resolved_stays_when_the_hub_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exc.lock import resolve

    def once(wanted: object) -> object:
        if read_wanted:
            raise Unreachable("gone")
        read_wanted.append(wanted)
        return resolve(wanted)  # type: ignore[arg-type]

    read_wanted: list[object] = []
    monkeypatch.setattr("exc.locking.resolve", once)
    with pytest.raises(Unreachable):
        update_lock(study(REPO, OTHER), tmp_path, anew=False, diagnostics=Diagnostics())
    assert list(read_lock(tmp_path)) == [f"{REPO}@main"]


def test_a_name_that_is_gone_keeps_its_commit(hub: FakeHub, tmp_path: Path) -> None:
    draft = study(REPO, OTHER)
    update_lock(draft, tmp_path, anew=False, diagnostics=Diagnostics())
    before = read_lock(tmp_path)
    del hub.commits[OTHER]
    diagnostics = Diagnostics()
    update_lock(draft, tmp_path, anew=True, diagnostics=diagnostics)
    assert [found.code for found in diagnostics] == ["unknown-on-hub"]
    assert read_lock(tmp_path) == before


FILE = {"name": "model.safetensors", "bytes": 3, "sha256": ""}
DAMAGED = [
    [],
    {"format": 1},
    {"format": 2, "hub": {}},
    {"format": 1, "hub": [1]},
    *(
        {"format": 1, "hub": {"a/b@main": entry}}
        for entry in (
            "x",
            {"commit": None, "files": [FILE]},
            {"commit": "c0ffee", "files": []},
            {"commit": "c0ffee", "files": [{**FILE, "name": 3}]},
            {"commit": "c0ffee", "files": [{**FILE, "name": "../model.safetensors"}]},
            {"commit": "c0ffee", "files": [{**FILE, "bytes": "3"}]},
            {"commit": "c0ffee", "files": [{**FILE, "sha256": None}]},
            {"commit": "c0ffee", "files": [{**FILE, "more": 1}]},
        )
    ),
]


@pytest.mark.parametrize("data", DAMAGED, ids=json.dumps)
def test_a_lock_that_says_something_else_is_damaged(data: object, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text(json.dumps(data))
    with pytest.raises(LockError, match="exc lock --update"):
        read_lock(tmp_path)


def test_a_whole_lock_is_read(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == {}
    data = {"format": 1, "hub": {"a/b@main": {"commit": "c0ffee", "files": [FILE]}}}
    (tmp_path / LOCK_FILE).write_text(json.dumps(data))
    assert read_lock(tmp_path)["a/b@main"].files[0].bytes == 3
