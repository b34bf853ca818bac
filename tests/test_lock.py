"""exc.lock: what names on the hub mean, resolved once; a file that says something else is damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exc.lock import LOCK_FILE, LockError, Unreachable, read_lock, read_refs
from exc.locking import locked, update_lock
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


LADDER = """\
trunks:
  run: {hub: {repos: [lab/run, lab/early], pattern: "step{step}-tokens{tokens}B"}, checkpoints: AT}
"""


@pytest.fixture
def run_hub(hub: FakeHub, tmp_path: Path) -> FakeHub:
    """Two repositories with the checkpoints of one run, a branch that is none, and one without weights."""
    for repo, names in (
        ("lab/run", ("step100-tokens1B", "step200-tokens2B", "old")),
        ("lab/early", ("step10-tokens1B",)),
    ):
        for name in names:
            folder = tmp_path / repo / name
            folder.mkdir(parents=True)
            (folder / "config.json").write_text(name)
            (folder / "model.safetensors").write_text(name)
            hub.push(repo, folder, name)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "README.md").write_text("no weights")
    hub.push("lab/run", empty, "main")
    return hub


def run_of(at: str) -> Experiment:
    draft = load_text(completed(LADDER.replace("AT", at)), "experiment.yaml").draft
    assert draft is not None
    return draft


def test_checkpoints_are_listed_once_and_those_asked_for_are_locked(run_hub: FakeHub, tmp_path: Path) -> None:
    diagnostics = Diagnostics()
    said = update_lock(run_of("[10, 200]"), tmp_path, anew=False, diagnostics=diagnostics)
    assert said[0] == (
        "run: 3 checkpoints from step 10 (1B tokens) to step 200 (2B tokens); 1 name beside them: lab/run@old"
    )
    lock, refs = read_lock(tmp_path), read_refs(tmp_path)
    assert sorted(lock) == ["lab/early@step10-tokens1B", "lab/run@step200-tokens2B"]
    assert set(refs) == {"lab/run", "lab/early"}
    assert refs["lab/run"] == run_hub.branches["lab/run"]
    asked = len(run_hub.asked)
    assert update_lock(run_of("[10, 200]"), tmp_path, anew=False, diagnostics=diagnostics) == []
    assert len(run_hub.asked) == asked
    more = update_lock(run_of("[10, 100, 200]"), tmp_path, anew=False, diagnostics=diagnostics)
    assert more == [f"lab/run@step100-tokens1B: {refs['lab/run']['step100-tokens1B']}"]
    assert not [path for path in run_hub.asked[asked:] if path.endswith("/refs")]
    assert not list(diagnostics)


def test_a_branch_that_moves_is_followed_only_when_asked(run_hub: FakeHub, tmp_path: Path) -> None:
    update_lock(run_of("[200]"), tmp_path, anew=False, diagnostics=Diagnostics())
    before = read_lock(tmp_path)["lab/run@step200-tokens2B"]
    (tmp_path / "lab/run/step200-tokens2B/config.json").write_text("moved")
    moved = run_hub.push("lab/run", tmp_path / "lab/run/step200-tokens2B", "step200-tokens2B")
    update_lock(run_of("[100, 200]"), tmp_path, anew=False, diagnostics=Diagnostics())
    assert read_lock(tmp_path)["lab/run@step200-tokens2B"] == before
    update_lock(run_of("[100, 200]"), tmp_path, anew=True, diagnostics=Diagnostics())
    assert read_lock(tmp_path)["lab/run@step200-tokens2B"].commit == moved
    assert moved != before.commit


def test_what_is_not_listed_or_not_locked_is_said_once_a_trunk(run_hub: FakeHub, tmp_path: Path) -> None:
    def found(at: str) -> list[str]:
        diagnostics = Diagnostics()
        locked(run_of(at), tmp_path, diagnostics)
        return [f"{each.code}: {each.message}" for each in diagnostics]

    assert found("[100]") == [
        "unlocked: the checkpoints of `run` are not locked: any step is taken for one, "
        "and the plan can be read, but not run"
    ]
    update_lock(run_of("[100]"), tmp_path, anew=False, diagnostics=Diagnostics())
    assert found("[100]") == []
    assert found("[10, 100, 200]") == [
        "unlocked: of the checkpoints of `run` these are not locked: step10-tokens1B, step200-tokens2B; "
        "the plan can be read, but not run"
    ]
    assert run_hub.branches


def test_a_repository_that_is_not_there_is_named_with_its_trunk(hub: FakeHub, tmp_path: Path) -> None:
    diagnostics = Diagnostics()
    assert update_lock(run_of("[100]"), tmp_path, anew=False, diagnostics=diagnostics) == []
    assert [each.message for each in diagnostics] == [
        f"the hub has no repository {repo} for these credentials" for repo in ("lab/run", "lab/early")
    ]
    assert not (tmp_path / LOCK_FILE).exists()
    assert hub.asked


@pytest.mark.parametrize("refs", [[], {"a/b": 1}, {"a/b": {"main": 3}}, {"a/b": ["main"]}])
def test_names_that_say_something_else_are_damaged(refs: object, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text(json.dumps({"format": 1, "hub": {}, "refs": refs}))
    with pytest.raises(LockError, match="exc lock --update"):
        read_refs(tmp_path)


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


def test_a_repository_without_a_tokenizer_is_named_at_its_place(hub: FakeHub, tmp_path: Path) -> None:
    text, count = re.subn(r"tokenizer: \{.*\}", f"tokenizer: {{hub: {REPO}}}", completed(""))
    assert count == 1
    draft = load_text(text, "experiment.yaml").draft
    assert draft is not None
    found = Diagnostics()
    update_lock(draft, tmp_path, anew=False, diagnostics=found)
    (finding,) = found
    assert (finding.code, finding.message) == (
        "unknown-on-hub",
        f"{REPO} at `main` has no tokenizer.json and no tokenizer.model",
    )
    assert finding.span is not None
    assert text.splitlines()[finding.span.line - 1].endswith(f"{{hub: {REPO}}}")
    assert len(hub.asked) == 1


def test_a_repository_is_said_once_to_be_unlocked_and_not_for_what_nothing_reads(tmp_path: Path) -> None:
    data = (
        "data:\n"
        "  docs: {hub: {repo: lab/texts, config: a, split: train}}\n"
        "  train: {hub: {repo: lab/texts, config: b, split: train}}\n"
        "  spare: {hub: {repo: lab/spare, split: train}}\n"
    )
    draft = load_text(completed(data), "experiment.yaml").draft
    assert draft is not None
    found = Diagnostics()
    locked(draft, tmp_path, found)
    said = "lab/texts at `refs/convert/parquet`, of which 2 parts are read, is not locked"
    assert [(each.code, each.message.partition(":")[0]) for each in found] == [("unlocked", said)]
