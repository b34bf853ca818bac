"""The digest of user code: what changes it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.spec.usercode import UserCodeError, code_digest

TARGET = "tasks.verify:check"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "tasks/__init__.py": "",
        "tasks/verify.py": "import json\nfrom . import parse\ndef check(x):\n    import shared.numbers\n",
        "tasks/parse.py": "from tasks.deep import thing\n",
        "tasks/deep.py": "thing = 1\n",
        "tasks/other.py": "x = 1\n",
        "shared/numbers.py": "y = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["tasks/verify.py", "tasks/parse.py", "tasks/deep.py", "shared/numbers.py", "tasks/__init__.py"]
)
def test_what_is_imported_counts(root: Path, name: str) -> None:
    before = code_digest(root, TARGET)
    with (root / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert code_digest(root, TARGET) != before


def test_another_file_does_not_count(root: Path) -> None:
    before = code_digest(root, TARGET)
    (root / "tasks/other.py").write_text("x = 2\n", encoding="utf-8")
    (root / "new.py").write_text("", encoding="utf-8")
    assert code_digest(root, TARGET) == before


def test_the_folder_does_not_count(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("elsewhere") / "study"
    before = code_digest(root, TARGET)
    root.rename(moved)
    assert code_digest(moved, TARGET) == before


def test_nothing_is_run(root: Path) -> None:
    (root / "bomb.py").write_text("raise SystemExit\ndef go(): ...\n", encoding="utf-8")
    assert len(code_digest(root, "bomb:go")) == 64


def test_modules_that_import_each_other(root: Path) -> None:
    (root / "a.py").write_text("import b\ndef f(): ...\n", encoding="utf-8")
    (root / "b.py").write_text("import a\n", encoding="utf-8")
    assert code_digest(root, "a:f") != code_digest(root, TARGET)


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("tasks.verfy:check", "there is no `tasks/verfy.py`", "did you mean `tasks.verify`?"),
        ("nothing.like.it:check", "there is no `nothing/like/it.py`", None),
        ("tasks.verify:chek", "has no `chek`", "did you mean `check`?"),
        ("broken:f", "is not Python", None),
    ],
)
def test_what_cannot_be_used(root: Path, target: str, message: str, hint: str | None) -> None:
    (root / "broken.py").write_text("def f(:\n", encoding="utf-8")
    with pytest.raises(UserCodeError) as caught:
        code_digest(root, target)
    assert message in caught.value.message
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "text", ["f = len\n", "f: object = 1\n", "from json import loads as f\n", "if 1:\n  def f(): ...\n"]
)
def test_a_name_at_the_top_level(root: Path, text: str) -> None:
    (root / "m.py").write_text(text, encoding="utf-8")
    assert len(code_digest(root, "m:f")) == 64


@pytest.mark.parametrize("text", ["class C:\n    def f(self): ...\n", "def g():\n    f = 1\n", "f: int\n"])
def test_a_name_below_it(root: Path, text: str) -> None:
    (root / "m.py").write_text(text, encoding="utf-8")
    with pytest.raises(UserCodeError):
        code_digest(root, "m:f")
