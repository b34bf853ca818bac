"""The reader of the literate cases: what it finds, what it refuses, what it rewrites."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.literate import UPDATE, Block, cases, parse

TEXT = """\
# Title

## One

```yaml
a: 1
```

```yaml data/more.yaml
b: 1
```

```text
old
```

## Two

````text
```
````
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.md"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_sections_with_blocks_are_cases(file: Path) -> None:
    one, two = cases(file.parent)
    assert str(one) == "some: One"
    assert one.block("yaml").text == "a: 1"
    assert [block.file for block in one.blocks] == [None, "data/more.yaml", None]
    assert two.blocks == (Block("text", "```"),)
    with pytest.raises(LookupError, match="0 blocks `json`"):
        one.block("json")


def test_a_difference_fails_or_is_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UPDATE, raising=False)
    one, two = cases(file.parent)
    one.check("text", "old")
    with pytest.raises(AssertionError, match="new"):
        one.check("text", "new")
    monkeypatch.setenv(UPDATE, "1")
    one.check("text", "new\nand longer")
    two.check("text", "other")
    expected = TEXT.replace("old", "new\nand longer").replace("````text\n```\n", "````text\nother\n")
    assert file.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize(
    ("text", "problem"), [("# A\n```yaml\n", "never closed"), ("# A\n```x\n```\n" * 2, "twice")]
)
def test_a_broken_file_is_refused(file: Path, text: str, problem: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=problem):
        parse(file)
