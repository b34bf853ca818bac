"""Facts: files and code that the spec names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from exc.compiler.facts import Facts
from exc.facts import gather
from exc.spec.load import load_text

BASE = (Path(__file__).parent / "spec" / "cases" / "base.yaml").read_text(encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study = tmp_path / "study"
    study.mkdir()
    (study / "docs.txt").write_text("a text", encoding="utf-8")
    (study / "train.jsonl").write_text("{}", encoding="utf-8")
    return study


def facts(root: Path, *changes: tuple[str, str]) -> tuple[Facts, list[str]]:
    text = BASE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    result = load_text(text, "experiment.yaml")
    assert result.draft is not None
    found = gather(result.draft, root, result.diagnostics)
    return found, [
        f"{d.span.line if d.span else 0} {d.code} {d.message} {d.hint}" for d in result.diagnostics
    ]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_files_have_size_and_digest(root: Path) -> None:
    found, errors = facts(root)
    assert errors == []
    (fact,) = found.files["docs.txt"]
    assert (fact.path, fact.bytes, fact.sha256) == ("docs.txt", 6, digest("a text"))


def test_a_pattern_is_its_files_in_order(root: Path) -> None:
    for name in ("b", "a"):
        (root / "more" / name).mkdir(parents=True)
        (root / "more" / name / "x.txt").write_text(name, encoding="utf-8")
    found, errors = facts(root, ("docs.txt", '"more/**/*.txt"'))
    assert errors == []
    assert [fact.path for fact in found.files["more/**/*.txt"]] == ["more/a/x.txt", "more/b/x.txt"]


def test_missing_files(root: Path) -> None:
    _, errors = facts(root, ("docs.txt", "doc.txt"), ("train.jsonl", '"*.json"'))
    assert errors == [
        "4 missing-file there is no file `doc.txt` did you mean `docs.txt`?",
        "5 missing-file `*.json` matches no file paths count from the folder of the spec",
    ]


def test_a_folder_is_no_file(root: Path) -> None:
    (root / "folder").mkdir()
    _, errors = facts(root, ("docs.txt", "folder"))
    assert errors == ["4 missing-file `folder` is a folder paths count from the folder of the spec"]


def test_an_empty_file(root: Path) -> None:
    (root / "docs.txt").write_bytes(b"")
    _, errors = facts(root)
    assert errors == ["4 empty-file `docs.txt` is empty None"]


def test_a_tokenizer_is_all_files_of_its_folder(root: Path) -> None:
    change = ("tokenizer: {bpe: {vocab_size: 300}}", "tokenizer: {path: tok}")
    _, errors = facts(root, change)
    assert errors == ["15 missing-file there is no folder `tok` paths count from the folder of the spec"]
    (root / "tok" / ".cache").mkdir(parents=True)
    (root / "tok" / ".cache" / "x").write_text("x", encoding="utf-8")
    assert facts(root, change)[1] == ["15 empty-file the folder `tok` is empty None"]
    (root / "tok" / "tokenizer.json").write_text("{}", encoding="utf-8")
    found, errors = facts(root, change)
    assert errors == []
    assert [fact.path for fact in found.files["tok"]] == ["tok/tokenizer.json"]


def test_user_code(root: Path) -> None:
    change = ("{text: docs.txt}", '{python: "make:docs"}')
    _, errors = facts(root, change)
    assert errors == ["4 user-code there is no `make.py` beside the spec None"]
    (root / "make.py").write_text("def dcos(): ...", encoding="utf-8")
    assert facts(root, change)[1] == ["4 user-code `make.py` has no `docs` did you mean `dcos`?"]
    (root / "make.py").write_text("def docs(): ...", encoding="utf-8")
    found, errors = facts(root, change)
    assert errors == []
    assert list(found.code) == ["make:docs"]


def test_a_digest_is_remembered_and_not_trusted_blindly(root: Path) -> None:
    path, long = root / "docs.txt", 200_000
    path.write_text("a text" * long, encoding="utf-8")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    facts(root)
    cache = root.parent / "cache" / "exc" / "digests.json"
    assert digest("a text" * long) in cache.read_text(encoding="utf-8")
    path.write_text("b text" * long, encoding="utf-8")
    assert facts(root)[0].files["docs.txt"][0].sha256 == digest("b text" * long)
    for broken in (b"not JSON", b"[]", b'{"x": 1}'):
        cache.write_bytes(broken)
        assert facts(root)[0].files["docs.txt"][0].sha256 == digest("b text" * long)


def test_small_files_do_not_fill_the_memory_of_digests(root: Path) -> None:
    os.utime(root / "docs.txt", (1_000_000_000, 1_000_000_000))
    facts(root)
    assert not (root.parent / "cache" / "exc" / "digests.json").exists()


def test_a_cache_that_cannot_be_written_is_no_fault(root: Path) -> None:
    (root.parent / "cache").write_text("in the way", encoding="utf-8")
    os.utime(root / "docs.txt", (1_000_000_000, 1_000_000_000))
    assert facts(root)[1] == []


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (".", "the folder `.` holds no tokenizer"),
        ("docs.txt", "`docs.txt` is no folder"),
    ],  # read as data before
)
def test_a_folder_without_a_tokenizer(root: Path, folder: str, message: str) -> None:
    _, [error] = facts(root, ("bpe: {vocab_size: 300}", f'path: "{folder}"'))
    assert error.startswith(f"15 missing-file {message} ")


def test_a_link_that_leads_nowhere(root: Path) -> None:
    (root / "train.jsonl").unlink()
    (root / "train.jsonl").symlink_to("train.jsonl")
    _, errors = facts(root)
    assert errors == [
        "5 missing-file `train.jsonl` is a link that leads nowhere paths count from the folder of the spec"
    ]


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "train.jsonl/x"])
def test_a_name_that_no_file_can_have(root: Path, name: str) -> None:
    _, [error] = facts(root, ("train.jsonl", name))
    assert error.startswith("5 missing-file there is no file ")


CALLABLE = "def rows(num, *, seed=0):\n    yield {'text': num}\n\n\ndef open_(**more):\n    yield more\n"


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ("{python: 'mine:rows', args: {num: 1, seed: 2}}", []),
        ("{python: 'mine:open_', args: {anything: 1}}", []),
        (
            "{python: 'mine:rows', args: {nmu: 1}}",
            ["`mine:rows` takes no argument `nmu` did you mean `num`?"],
        ),
        ("{python: 'mine:rows', args: {seed: 1}}", ["`mine:rows` needs `num` in `args` None"]),
        ("{python: 'mine:rows'}", ["`mine:rows` needs `num` in `args` None"]),
        ("{python: 'mine.py:rows'}", ["`mine.py` is a file, not a module leave out `.py`"]),
    ],
)
def test_arguments_of_a_callable(root: Path, source: str, messages: list[str]) -> None:
    (root / "mine.py").write_text(CALLABLE, encoding="utf-8")
    _, errors = facts(root, ("{text: docs.txt}", source))
    assert [error.split(" ", 2)[2] for error in errors] == messages


@pytest.mark.parametrize(
    ("signature", "is_taken"),
    [
        ("completion, answer, row", True),
        ("completion, answer, row, strict=False, *, digits=3", True),
        ("completion, *rest", True),
        ("*_, **__", True),
        ("completion, answer", False),
        ("completion, answer, row, strict", False),
        ("completion, answer, row, *, digits", False),
        ("", False),
    ],
)
def test_a_verifier_is_called_with_three_arguments(root: Path, signature: str, is_taken: bool) -> None:
    (root / "mine.py").write_text(f"def judge({signature}):\n    return True\n", encoding="utf-8")
    _, errors = facts(
        root, ('prompt: "{question}\\n"', 'prompt: "{question}"\n    verifier: python:mine:judge')
    )
    message = "`mine:judge` does not take the three arguments that a verifier is called with None"
    assert [error.split(" ", 2)[2] for error in errors] == ([] if is_taken else [message])


def test_a_module_that_is_not_python_is_reported_once(root: Path) -> None:
    (root / "mine.py").write_text("def rows(:\n", encoding="utf-8")
    _, errors = facts(
        root,
        ("{text: docs.txt}", "{python: 'mine:rows'}"),
        ("{jsonl: train.jsonl}", "{python: 'mine:train'}"),
    )
    assert [error.split(" ", 2)[2] for error in errors] == ["`mine.py:1` is not Python: invalid syntax None"]


def test_a_folder_holds_what_lies_in_it_and_not_below(root: Path) -> None:
    change = ("recipes:\n", "recipes:\n  one: [{m: {folder: ours}}]\n")
    (root / "ours" / "original").mkdir(parents=True)
    (root / "ours" / "original" / "model.safetensors").write_text("x", encoding="utf-8")
    assert "holds no model in safetensors form" in facts(root, change)[1][0]
    (root / "ours" / "model.safetensors").write_text("y", encoding="utf-8")
    found, errors = facts(root, change)
    assert errors == []
    assert [fact.path for fact in found.files["ours"]] == ["ours/model.safetensors"]
