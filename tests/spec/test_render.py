"""Rendering beyond the literate cases: labels in other files, colour, JSON, width, hostile text."""

from __future__ import annotations

import json
import re
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from exc.spec.diagnostics import Diagnostic, Label, Span
from exc.spec.render import TAB, count_line, render_json, render_text

MAIN = "seed: 0\nrecipes:\n  rl: {like: sft.sft}\n"
OTHER = "sft: []\n"
FOUND = Diagnostic(
    "like-kind",
    "error",
    "`sft.sft` is an sft stage, this one is grpo",
    Span("experiment.yaml", 3, 14, 3, 21),
    expected="the name of a grpo stage",
    hint="did you mean `rl.rl`?",
    notes=("a note",),
    labels=(Label(Span("data/other.yaml", 1, 1, 1, 4), "defined here"),),
)
WARNED = Diagnostic("unused", "warning", "nothing reads `x`", None, expected="a reader")


def test_labels_in_another_file_are_shown_there() -> None:
    sources = {"experiment.yaml": MAIN, "data/other.yaml": OTHER}
    assert render_text([FOUND, WARNED], sources, color=False, width=80) == (
        "error[like-kind]: `sft.sft` is an sft stage, this one is grpo\n"
        " --> experiment.yaml:3:14\n"
        "  |\n"
        "3 |   rl: {like: sft.sft}\n"
        "  |              ^^^^^^^ expected the name of a grpo stage\n"
        " ::: data/other.yaml:1:1\n"
        "  |\n"
        "1 | sft: []\n"
        "  | --- defined here\n"
        "  |\n"
        "  = help: did you mean `rl.rl`?\n"
        "  = note: a note\n"
        "\n"
        "warning[unused]: nothing reads `x`\n"
        "  = expected: a reader\n"
        "\n"
        "1 error, 1 warning"
    )


def test_without_the_source_the_place_is_still_named() -> None:
    text = render_text([FOUND], {}, color=False, width=80)
    assert "--> experiment.yaml:3:14" in text
    assert "= expected: the name of a grpo stage" in text
    assert "^" not in text


def test_colour_changes_nothing_but_colour() -> None:
    sources = {"experiment.yaml": MAIN, "data/other.yaml": OTHER}
    colored = render_text([FOUND, WARNED], sources, color=True, width=80)
    assert "\x1b[1;31merror[like-kind]\x1b[0m" in colored
    assert re.sub("\x1b\\[[0-9;]*m", "", colored) == render_text(
        [FOUND, WARNED], sources, color=False, width=80
    )


def test_json_holds_every_field() -> None:
    first, second = json.loads(json.dumps(render_json([FOUND, WARNED])))
    assert first["span"] == {
        "file": "experiment.yaml",
        "line": 3,
        "column": 14,
        "end_line": 3,
        "end_column": 21,
    }
    assert first["labels"][0]["text"] == "defined here"
    assert first["hint"] == "did you mean `rl.rl`?"
    assert second["span"] is None
    assert set(first) == set(second)


def test_the_count() -> None:
    assert count_line([]) == "no errors"
    assert count_line([FOUND, FOUND, WARNED]) == "2 errors, 1 warning"
    assert count_line([WARNED, WARNED]) == "2 warnings"
    assert render_text([], {}, color=True, width=80) == ""


def test_text_from_a_file_cannot_steer_the_terminal() -> None:
    found = Diagnostic(
        "unknown-key", "error", "no key `\x1b[2Jx\u202e`", Span("a\x1b.yaml", 1, 1, 1, 2), hint="\x07"
    )
    text = render_text([found], {"a\x1b.yaml": "\x1b[2J\u202ex: 1"}, color=False, width=80)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "\\x1b[2Jx\\u202e" in text


def columns(text: str) -> list[str]:
    """The text by terminal column; the second half of a wide character is empty."""
    result: list[str] = []
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me"):
            continue
        result += [char, ""] if unicodedata.east_asian_width(char) in "WF" else [char]
    return result


LINES = st.text(
    st.one_of(st.sampled_from("ab \t名\u0301\U0001f600"), st.characters(exclude_categories=["Cs"])),
    max_size=150,
)


@settings(deadline=None)
@given(
    LINES.filter(lambda line: not re.search("[\r\n\x85\u2028\u2029\ufeff]", line)),
    st.data(),
    st.integers(40, 90),
)
def test_the_caret_stands_below_its_character_and_nothing_is_too_wide(
    line: str, data: st.DataObject, width: int
) -> None:
    start = data.draw(st.integers(1, len(line) + 1))
    end = data.draw(st.integers(start, len(line) + 1))
    found = Diagnostic(
        "bad-value", "error", "x", Span("f", 1, start, 1, end), expected="y" * data.draw(st.integers(0, 30))
    )
    rows = render_text([found], {"f": line}, color=False, width=width).split("\n")
    assert all(len(columns(row)) <= width for row in rows)
    shown, caret = columns(rows[3]), rows[4].index("^")
    char = line[start - 1] if start <= len(line) else " "
    if unicodedata.category(char) in ("Mn", "Me"):
        return  # shares the column of the character before it
    meant = TAB[0] if char == "\t" else char if char.isprintable() else "\ufffd"
    assert (shown[caret] if caret < len(shown) else " ") == meant


def test_a_label_that_the_cut_hides_gets_its_own_stretch() -> None:
    line = "first: 1, " + "x" * 200 + ", last: 2"
    label = Label(Span("f", 1, 1, 1, 6), "here")
    found = Diagnostic("duplicate-key", "error", "x", Span("f", 1, 213, 1, 217), labels=(label,))
    rows = render_text([found], {"f": line}, color=False, width=60).split("\n")
    assert rows[4][rows[4].index("^") :] == "^^^^"
    assert rows[3][rows[4].index("^") :].startswith("last")
    assert rows[5].startswith("1 | first: 1, ")
    assert rows[6] == "  | ----- here"
