"""Loading: files that are none, and texts of every kind, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler.checks import check
from exc.spec.load import load_experiment, load_text

BASE = (Path(__file__).parent / "cases" / "base.yaml").read_text(encoding="utf-8")


def codes(path: Path) -> list[tuple[str, str | None]]:
    result = load_experiment(path)
    assert result.experiment is None
    return [(found.code, found.hint) for found in result.diagnostics]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert codes(tmp_path / "experiment.yaml") == [("missing-file", None)]
    (tmp_path / "experiment.yml").touch()
    assert codes(tmp_path / "experiment.yaml") == [("missing-file", "did you mean `experiment.yml`?")]


def test_a_folder(tmp_path: Path) -> None:
    assert codes(tmp_path) == [("missing-file", None)]
    (tmp_path / "experiment.yaml").touch()
    assert codes(tmp_path) == [("missing-file", f"did you mean `{tmp_path / 'experiment.yaml'}`?")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"# nothing\n", "empty-file"),
        (b"\xff\xfe", "yaml-syntax"),
        (b"a: \x00", "yaml-syntax"),
        (b"- a\n", "wrong-type"),
        (b"text", "wrong-type"),
    ],
)
def test_a_file_that_is_no_spec(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "experiment.yaml").write_bytes(content)
    assert [found[0] for found in codes(tmp_path / "experiment.yaml")] == [code]


def test_a_right_spec_has_no_findings() -> None:
    result = load_text(BASE, "experiment.yaml")
    assert result.draft is not None
    check(result.draft, result.diagnostics)
    assert list(result.diagnostics) == []
    assert result.experiment is not None
    assert result.experiment.where("recipes", "sft", 0) == "experiment.yaml:24:7"


LINES = BASE.splitlines()
SCRAPS = st.sampled_from(
    ["", "1", "x", "[]", "{}", "[1, a]", "{a: 1}", "null", "-1", "1.5", "true", "base", "{like: x}"]
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(LINES) - 1), SCRAPS, st.booleans())
def test_no_broken_line_ends_in_a_traceback(number: int, scrap: str, flow: bool) -> None:
    key, colon, _ = LINES[number].partition(": " if flow else ":")
    lines = [*LINES[:number], f"{key}{colon} {scrap}", *LINES[number + 1 :]]
    result = load_text("\n".join(lines), "experiment.yaml")
    if result.draft is not None:
        check(result.draft, result.diagnostics)
    assert result.experiment is None or result.draft is not None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_broken_value_ends_in_a_traceback(data: st.DataObject) -> None:
    """Values of flow mappings, one replaced at a time."""
    starts = [i for i in range(len(BASE)) if BASE.startswith(": ", i)]
    start = data.draw(st.sampled_from(starts)) + 2
    end = min((BASE.find(mark, start) for mark in ",}\n" if BASE.find(mark, start) >= 0), default=len(BASE))
    text = BASE[:start] + data.draw(SCRAPS) + BASE[end:]
    result = load_text(text, "experiment.yaml")
    if result.draft is not None:
        check(result.draft, result.diagnostics)
    assert result.experiment is None or result.draft is not None
