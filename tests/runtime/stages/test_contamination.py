"""Problems looked for in training data: what counts as found, where it is said to be, and going on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.runtime.context import JobFailed, Stopped
from exc.runtime.stages.contamination import Problems, words_of
from exc.runtime.stages.jsonl import read_jsonl
from tests.runtime.stages.conftest import Bench

LONG = "Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes of babysitting. How much?"
PART = "yesterday she just did 50 minutes of babysitting how much did weng"
SHORT = "What is 3 + 4?"


def look(
    bench: Bench, problems: list[str], rows: list[dict[str, Any]], **config: Any
) -> list[dict[str, Any]]:
    bench.write("train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    asked = bench.rows([{"question": text, "answer": "7"} for text in problems])
    settings = {"source": bench.source("train.jsonl"), "fields": ["question"], "limit": None, "ngram": 8}
    return list(
        read_jsonl(bench.run("contamination", {**settings, **config}, {"rows": asked}) / "found.jsonl")
    )


def test_whole_problems_and_parts_of_them_with_the_rows(bench: Bench) -> None:
    found = look(
        bench,
        [LONG, SHORT, "Something that nobody has ever written down in a row of training data."],
        [
            {"text": "nothing"},
            {"text": f"Exercise 4: {PART} earn?"},
            {"question": "unlike", "solutions": ["x", f"They ask: {LONG.upper()} I say 10."]},
            {"text": "what IS 3 + 4, then"},
            {"text": "what is 3 * 4"},
            {"text": LONG},
        ],
    )
    assert found == [
        {
            **{"problem": 0, "whole": True, "num_rows": 3, "where": "train.jsonl row 3"},
            **{"matched": "weng earns 12 an hour for babysitting yesterday", "text": LONG},
        },
        {
            **{"problem": 1, "whole": True, "num_rows": 1, "where": "train.jsonl row 4"},
            **{"matched": "what is 3 + 4", "text": SHORT},
        },
    ]
    assert bench.metrics == {
        **{"problems": 3, "found": 2, "found_whole": 2, "share_found": 2 / 3, "rows": 6, "rows_with": 4}
    }


def test_a_part_is_found_without_the_whole(bench: Bench) -> None:
    (found,) = look(bench, [LONG], [{"text": PART}])
    assert (found["whole"], found["matched"]) == (False, "yesterday she just did 50 minutes of babysitting")
    assert bench.metrics["found_whole"] == 0


def test_a_longer_run_of_words_asks_for_more(bench: Bench) -> None:
    assert look(bench, [LONG], [{"text": PART}], ngram=13) == []


def test_only_the_first_problems_and_the_fields_that_are_named(bench: Bench) -> None:
    rows = [{"text": "one two three"}, {"text": "the answer to this question is seven hundred and two"}]
    found = look(bench, ["one two three", "four five six"], rows, limit=1)
    assert [line["problem"] for line in found] == [0]
    assert bench.metrics["problems"] == 1


def test_a_field_that_rows_lack_is_named(bench: Bench) -> None:
    with pytest.raises(JobFailed, match=r"no field `solution` \(they have: question, answer\)"):
        look(bench, ["a"], [{"text": "a"}], fields=["solution"])


def test_problems_without_a_word(bench: Bench) -> None:
    with pytest.raises(JobFailed, match="no problem has a word"):
        look(bench, ["?!"], [{"text": "a"}])


def test_letters_of_every_script_and_width(bench: Bench) -> None:
    (found,) = look(bench, ["\u00c9T\u00c9 \uff11\uff12 ?"], [{"text": "l'\u00e9t\u00e9, 12"}])
    assert found["matched"] == "\u00e9t\u00e9 12"


def test_a_job_that_was_stopped_goes_on_and_ends_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exc.runtime.stages.contamination._LOOK", 2)
    rows = [{"text": SHORT if number % 3 == 0 else f"row {number}"} for number in range(9)]
    whole = look(bench, [SHORT], rows)
    metrics = bench.metrics
    again = Bench(bench.folder / "again")
    again.folder.mkdir()
    looks = iter([False, True])
    again.should_stop = lambda: next(looks, False)
    with pytest.raises(Stopped):
        look(again, [SHORT], rows)
    state = json.loads((again.folder / "work" / "contamination" / "found.json").read_text())
    assert (state["num_rows"], state["found"]["0"]["num_rows"]) == (4, 2)
    asked = {"rows": again.folder / "artifacts" / "rows"}
    settings = {"source": again.source("train.jsonl"), "fields": ["question"], "limit": None, "ngram": 8}
    folder = again.run("contamination", settings, asked)
    assert list(read_jsonl(folder / "found.jsonl")) == whole
    assert again.metrics == metrics


_WORDS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=8)


@given(_WORDS, _WORDS, st.integers(1, 4))
def test_found_is_to_share_a_run_of_words(problem: list[str], text: list[str], ngram: int) -> None:
    def runs(words: list[str], length: int) -> set[tuple[str, ...]]:
        return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}

    problems = Problems(ngram)
    problems.add(0, tuple(problem))
    hits = problems.hits(text)
    length = min(ngram, len(problem))
    assert (0 in hits) == bool(runs(problem, length) & runs(text, length))
    if hits:
        assert hits[0][0] == (tuple(problem) in runs(text, len(problem)))


def test_words_keep_the_signs_that_sums_need() -> None:
    assert words_of("It's 3+4 = 7, (say) $1,000!") == ["it", "s", "3", "+", "4", "=", "7", "say", "1", "000"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a well-known ice-cream", "A WELL KNOWN ice cream"),
        ("how much is **3 + 4**?", "how much is 3+4"),
        ("He sold *all* of it -- or so", "He sold all of it, or so"),
        ("- Tom has 3\n- Ann has 4", "Tom has 3; Ann has 4"),
        ("her 10-year-old __only__ son", "her 10 year old only son"),
        ("5 \u2212 3 \u00d7 2 \u00f7 4", "5-3*2/4"),
        ("2010\u20132012", "2010-2012"),
        ("one\u00a0ba\u00adsket\u200b of", "one basket  of"),
        ("caf\u00e9 STRASSE", "cafe\u0301 stra\u00dfe"),
    ],
)
def test_how_a_text_is_set_hides_nothing(one: str, other: str) -> None:
    assert words_of(one) == words_of(other)


def test_sums_that_differ_in_a_sign_stay_apart() -> None:
    sums = [f"what is 3 {sign} 4" for sign in "+-*/^%<>="] + ["what is 3 4"]
    assert len({tuple(words_of(text)) for text in sums}) == len(sums)
    assert words_of("x^2-3*x = y") == ["x", "^", "2", "-", "3", "*", "x", "=", "y"]


def test_where_no_spaces_stand_a_part_is_found(bench: Bench) -> None:
    problem = "\u5c0f\u660e\u6709\u4e09\u4e2a\u82f9\u679c\u5403\u4e86\u4e00\u4e2a\u8fd8\u5269\u51e0\u4e2a"
    (found,) = look(bench, [problem], [{"text": f"\u9898\u76ee{problem[:12]}\u5417"}])
    assert not found["whole"]
