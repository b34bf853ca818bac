"""The YAML reader: values, places, and that no text whatever makes it raise."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.spec import source
from exc.spec.diagnostics import Diagnostics, Span, split_lines
from exc.spec.nodes import Mapping, Node, Scalar, Sequence, plain, span_at
from exc.spec.render import render_text
from exc.spec.source import parse
from tests.literate import Case, cases

SPEC = """\
version: 1
experiment: rl
trunks:
  small: &small
    pretrain: {tokens: 2B, schedule: {shape: wsd, peak: 4e-4}}
    checkpoints:
    - 1000
    - 2000   # the last
  twin: *small
tasks:
  gsm8k:
    prompt: |
      {question}
      Think.

    rewards: {correct: 1.0, "format": 0.1}
    stop:
"""


def read(text: str) -> Node:
    diagnostics = Diagnostics()
    node = parse(text, "f.yaml", diagnostics)
    assert not len(diagnostics), [str(found) for found in diagnostics]
    assert node is not None
    return node


def cut(text: str, span: Span) -> str:
    """What the span covers."""
    lines = split_lines(text)[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


def test_a_spec_is_read_as_meant() -> None:
    trunk = {
        "pretrain": {"tokens": "2B", "schedule": {"shape": "wsd", "peak": 4e-4}},
        "checkpoints": [1000, 2000],
    }
    task = {"prompt": "{question}\nThink.\n", "rewards": {"correct": 1.0, "format": 0.1}, "stop": None}
    assert plain(read(SPEC)) == {
        "version": 1,
        "experiment": "rl",
        "trunks": {"small": trunk, "twin": trunk},
        "tasks": {"gsm8k": task},
    }


@pytest.mark.parametrize(
    ("path", "key", "covered"),
    [
        (("experiment",), False, "rl"),
        (("experiment",), True, "experiment"),
        (("trunks", "small", "pretrain", "schedule", "peak"), False, "4e-4"),
        (("trunks", "small", "pretrain", "schedule"), False, "{shape: wsd, peak: 4e-4}"),
        (("trunks", "small", "checkpoints", 1), False, "2000"),
        (("trunks", "small", "checkpoints"), False, "- 1000\n    - 2000"),
        # An alias answers with the place of its anchor.
        (("trunks", "twin", "checkpoints", 0), False, "1000"),
        (("trunks", "twin"), True, "twin"),
        (("tasks", "gsm8k", "rewards", "format"), True, '"format"'),
        (("tasks", "gsm8k", "prompt"), False, "|\n      {question}\n      Think."),
        (("tasks", "gsm8k", "stop"), False, ""),
        # What is not there is looked for at its nearest ancestor.
        (("tasks", "gsm8k", "verifier"), False, "gsm8k"),
        (("trunks", "small", "checkpoints", 7), False, "checkpoints"),
        (("trunks", "large", "pretrain"), True, "trunks"),
        (("experiment", "name"), False, "experiment"),
    ],
)
def test_every_place_is_known(path: tuple[str | int, ...], key: bool, covered: str) -> None:
    assert cut(SPEC, span_at(read(SPEC), path, key=key)) == covered


def test_an_anchored_or_wide_value_stands_where_it_is_written() -> None:
    text = "a: &x   5\n名: {\U0001f600: &y\n  [1]}\r\nc: 'x'\u2028d: e"
    node = read(text)
    places = [("a",), ("名", "\U0001f600"), ("c",), ("d",)]
    assert [cut(text, span_at(node, path)) for path in places] == ["5", "&y\n  [1]", "'x'", "e"]


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    node = read("\ufeffversion: 1")
    assert plain(node) == {"version": 1}
    assert span_at(node, ("version",), key=True).column == 1


def test_after_a_duplicate_key_the_first_value_is_gone_on_with() -> None:
    diagnostics = Diagnostics()
    node = parse("a: 1\na: 2\nb: 3", "f.yaml", diagnostics)
    assert [found.code for found in diagnostics] == ["duplicate-key"]
    assert node is not None
    assert plain(node) == {"a": 1, "b": 3}


@pytest.mark.parametrize("text", ["", "# only this", "---", "---\n# x\n...\n", "\ufeff"])
def test_an_empty_file_is_an_error(text: str) -> None:
    diagnostics = Diagnostics()
    assert parse(text, "f.yaml", diagnostics) is None
    assert [found.code for found in diagnostics] == ["empty-file"]


def test_a_file_of_null_is_not_empty() -> None:
    assert plain(read("null")) is None


def test_aliases_cannot_nest_without_end_either() -> None:
    deep = "[" * 60 + "x" + "]" * 60
    text = f"a: &a {deep}\nb: {'[' * 60}*a{']' * 60}"
    diagnostics = Diagnostics()
    assert parse(text, "f.yaml", diagnostics) is None
    assert [found.message for found in diagnostics] == ["nested deeper than 100 levels"]


def test_the_collector_runs_again_after_a_large_file() -> None:
    parse("x: [" + "1, " * 30_000, "f.yaml", Diagnostics())
    assert gc.isenabled()
    gc.disable()
    try:
        parse("x: [" + "1, " * 30_000 + "]", "f.yaml", Diagnostics())
        assert not gc.isenabled()
    finally:
        gc.enable()


TEXTS = st.text(
    alphabet=st.one_of(st.sampled_from("ab1: -[]{},\"'\n\t&*!|>#%@`?\\~<"), st.characters()), max_size=80
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The spec with a few stretches removed, repeated or replaced."""
    text = SPEC
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.one_of(TEXTS, st.just(text[start:end] * 2))) + text[end:]
    return text


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, mutated()), st.sampled_from([source._LOADER, yaml.SafeLoader]))
def test_any_text_gives_a_tree_or_an_error_and_never_raises(text: str, loader: type) -> None:
    diagnostics = Diagnostics()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_LOADER", loader)
        node = parse(text, "f.yaml", diagnostics)
    assert node is not None or diagnostics.has_errors
    lines = split_lines(text)
    for found in diagnostics:
        assert found.span is not None
        assert 1 <= found.span.line <= len(lines)
        assert 1 <= found.span.column <= len(lines[found.span.line - 1]) + 1
    rendered = render_text(diagnostics, {"f.yaml": text}, color=False, width=60)
    rendered.encode()
    if node is not None:
        plain(node)
        check_places(text, node)


def check_places(text: str, node: Node) -> None:
    """A plain scalar on one line covers exactly its own text."""
    if isinstance(node, Scalar):
        if not node.quoted and node.span.line == node.span.end_line and node.raw:
            assert cut(text, node.span) == node.raw
    else:
        for child in node.items if isinstance(node, Sequence) else node.entries.values():
            check_places(text, child)


def read_by(loader: type, text: str) -> tuple[str, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_LOADER", loader)
        diagnostics = Diagnostics()
        node = parse(text, "f.yaml", diagnostics)
        return repr(node), [found.code for found in diagnostics]


@pytest.mark.parametrize("case", cases(Path(__file__).parent / "cases", "source-*.md"), ids=str)
def test_without_the_c_parser_the_findings_are_the_same(case: Case) -> None:
    text = case.block("yaml").text
    assert read_by(yaml.SafeLoader, text) == read_by(source._LOADER, text)


def test_without_the_c_parser_the_tree_is_the_same() -> None:
    assert read_by(yaml.SafeLoader, SPEC) == read_by(source._LOADER, SPEC)


def test_a_mapping_keeps_its_order() -> None:
    node = read("b: 1\na: 2\nc: 3")
    assert isinstance(node, Mapping)
    assert list(node.entries) == ["b", "a", "c"]
