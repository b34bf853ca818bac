"""Every code block of the documentation is run, or says why not."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.docs_blocks import LANGUAGES, ROOT, Page, Reader, commands, matches, read_page

# Their blocks are those of the models and codes that they are written from; tests/test_docs.py reads them.
GENERATED = ("spec.md", "diagnostics.md", "cli.md")
PAGES = [
    read_page(path)
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if path.name not in GENERATED
]
BLOCKS = [block for page in PAGES for block in page.blocks]
# What nothing runs, by page. A block that joins them is counted here, on purpose.
NOT_RUN = {"docs/editors.md": 1, "docs/tutorial.md": 1, "docs/watching.md": 2}


def starting_in(start: str) -> list[ParameterSet]:
    """The pages that start there, each as a parameter with its marks."""
    return [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.slow else [])
        for page in PAGES
        if page.start == start
    ]


def test_every_block_is_run_or_says_why_not() -> None:
    not_run = Counter(block.page for block in BLOCKS if block.marked("not run:") is not None)
    assert dict(not_run) == NOT_RUN
    assert [str(block) for block in BLOCKS if block.marked("not run:") == ""] == []


def test_every_page_with_blocks_says_where_it_starts() -> None:
    assert [page.name for page in PAGES if page.blocks and not page.start] == []
    assert {page.start for page in PAGES} <= {"", "empty folder", "finished study"}


def test_every_block_is_of_a_known_kind() -> None:
    """What is neither run, nor a file, nor marked would be run by nothing."""
    odd = [
        str(block)
        for block in BLOCKS
        if not block.file
        and (block.language not in LANGUAGES or (block.language == "text" and not block.mark))
    ]
    assert odd == []
    for block in BLOCKS:
        if block.language == "console":
            assert commands(block)


def test_marks_are_known_and_name_what_there_is() -> None:
    tests = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    words = ("not run:", "checked by:", "exits", "part of", "as in", "ci from here", "blocks:")
    for block in BLOCKS:
        assert not block.mark or block.mark.startswith(words), block
        named = block.marked("checked by:")
        assert named is None or named in tests, f"{block}: there is no test `{named}`"


@pytest.mark.parametrize("page", starting_in("empty folder"))
def test_a_page_that_starts_with_nothing(page: Page, tmp_path: Path) -> None:
    reader(tmp_path).follow(page, ci=False)


@pytest.mark.ci
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(block.ci for block in page.blocks)], ids=lambda page: page.name
)
def test_a_page_to_its_end(page: Page, tmp_path: Path) -> None:
    assert page.start == "empty folder"
    reader(tmp_path).follow(page, ci=True)


def reader(folder: Path) -> Reader:
    for name in ("here", "scratch"):
        (folder / name).mkdir()
    return Reader(folder / "here", folder / "scratch")


# --- the runner itself --------------------------------------------------------------------------------------


def page_of(text: str, folder: Path) -> Page:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return read_page(path)


def test_what_is_printed_is_compared() -> None:
    assert matches(("one", "...", "three 3 s"), "one\ntwo\n\nthree 3 s\n")
    assert matches(("one", "...", "three ... s"), "one\nthree 12.5 s  \n\n")
    assert matches((), "")
    assert matches((), "\n")
    assert not matches(("one",), "one\ntwo\n")
    assert not matches(("one", "..."), "zero\none\n")
    assert not matches(("one ... s",), "one\ntwo s\n")
    assert not matches((), "something\n")
    assert not matches(("a.b",), "axb\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```console\n$ echo one\ntwo\n```\n", "prints\none"),
        ("```console\n$ false\n```\n", "exit code 1, not 0"),
        ("<!-- exits 3 -->\n```console\n$ (exit 3)\n$ (exit 4)\n```\n", "exit code 3, not 0"),
        ("<!-- exits 3 -->\n```console\n$ true\n```\n", "exit code 0, not 3"),
        ("```sh\nfalse\ntrue\n```\n", "exit code 1"),
        ("```python\nassert 1 == 2\n```\n", ""),
        ("```text\none\n```\n", "is run by nothing"),
        ("```text a.txt\none\ntwo\n```\n<!-- as in a.txt -->\n```text\none\nthree\n```\n", "is not in a.txt"),
        ("```text ../a.txt\none\n```\n", "outside of the page's folder"),
        ("```yaml profiles.yaml\nlocal: {slotz: 1}\n```\n", "slotz"),
    ],
)
def test_a_page_that_is_wrong_is_found(text: str, reason: str, tmp_path: Path) -> None:
    page = page_of(text, tmp_path)
    with pytest.raises(AssertionError) as caught:
        reader(tmp_path).follow(page, ci=False)
    assert reason in str(caught.value)


def test_a_page_goes_on_where_it_was(tmp_path: Path) -> None:
    page = page_of(
        "```text a/b.txt\nsome\n```\n```console\n$ cd a\n$ cat \\\n> b.txt\nsome\n```\n"
        "```python one.py\nvalue = 2\n```\n"
        "```python\nfrom one import value\n```\n```python\nassert value == 2\n```\n"
        "<!-- not run: because -->\n```sh\nfalse\n```\n<!-- ci from here -->\n```sh\nfalse\n```\n",
        tmp_path,
    )
    here = reader(tmp_path)
    here.follow(page, ci=False)
    assert here.folder.name == "a"
    with pytest.raises(AssertionError, match="exit code 1"):
        here.follow(Page(page.path, page.start, False, page.blocks[-1:]), ci=True)


def test_a_part_of_a_spec(tmp_path: Path) -> None:
    whole = (
        "```text whole.txt\na: {b: 1, c: [1, 2]}\n```\n<!-- part of whole.txt -->\n```yaml\na: {b: 1}\n```\n"
    )
    reader(tmp_path).follow(page_of(whole, tmp_path), ci=False)
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError, match=r"\.a\.b is 2, not 1"):
        reader(tmp_path / "again").follow(page_of(whole.replace("{b: 1}", "{b: 2}"), tmp_path), ci=False)


def test_blocks_that_are_hard_to_see_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"page\.md:3: an indented block"):
        page_of("one\n\n    exc check\n", tmp_path)
    with pytest.raises(ValueError, match="a fence is never closed"):
        page_of("```sh\nexc check\n", tmp_path)
