"""Published checkpoints: names as on the hub, steps that are not there, tokens, several repositories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.compiler.ladder import Ladder, make_ladder
from exc.compiler.schedules import ScheduleError
from exc.spec.known_runs import KNOWN_RUNS
from exc.spec.ladders import Names, PatternError, check_pattern, read, written
from exc.spec.schedule import Schedule

REFS = Path(__file__).parent / "refs"
STEP = 2_097_152  # tokens of one step of Pythia and of OLMo 2 1B


def recorded(preset: str) -> Ladder:
    """The ladder of the names that were recorded; `main` is of no step."""
    listings = json.loads((REFS / f"{preset}.json").read_text(encoding="utf-8"))["repos"]
    return make_ladder(KNOWN_RUNS[preset], listings)


def steps(ladder: Ladder, **schedule: Any) -> list[tuple[str, int]]:
    return list(ladder.resolve(Schedule.model_validate(schedule)).steps)


def problems(ladder: Ladder, **schedule: Any) -> list[str]:
    with pytest.raises(ScheduleError) as error:
        ladder.resolve(Schedule.model_validate(schedule))
    return [problem.message for problem in error.value.problems]


@pytest.mark.parametrize(
    ("preset", "num", "first", "last", "num_strays"),
    [
        ("olmo2-1b", 26, 300, 1_907_359, 4),
        ("olmo2-7b", 17, 1000, 928_646, 10),
        ("olmo2-13b", 12, 1000, 596_057, 2),
        ("olmo2-32b", 7, 65_000, 721_901, 1),
        ("pythia-410m", 153, 1, 143_000, 0),
        ("smollm2-1.7b", 41, 125_000, 5_125_000, 0),
        ("smollm3-3b", 9, 40_000, 4_720_000, 8),
        ("amber", 359, 1, 359, 0),
    ],
)
def test_names_as_they_are_published(preset: str, num: int, first: int, last: int, num_strays: int) -> None:
    ladder = recorded(preset)
    assert (len(ladder.rungs), ladder.steps[0], ladder.last) == (num, first, last)
    assert len(ladder.strays) == num_strays
    assert "main" not in ladder.strays
    assert list(ladder.steps) == sorted(set(ladder.steps))


@pytest.mark.parametrize("preset", [path.stem for path in sorted(REFS.glob("*.json"))])
def test_tokens_are_counted_by_steps_and_agree_with_the_rounded_names(preset: str) -> None:
    ladder = recorded(preset)
    for rung in ladder.rungs:
        said = read(ladder.names.pattern, rung.name)
        assert said is not None
        assert rung.tokens == rung.step * (ladder.names.tokens_per_step or 0)
        if said.tokens is not None:  # rounded up to whole billions
            assert 0 <= said.tokens - rung.tokens < 10**9, rung.name


@pytest.mark.parametrize("preset", [path.stem for path in sorted(REFS.glob("*.json"))])
def test_what_exc_knows_without_the_hub_is_what_is_there(preset: str) -> None:
    """All steps that were recorded are in the table, those that lie between its thousands aside."""
    names = KNOWN_RUNS[preset]
    known = {step for place in names.steps for step in place}
    off = {step for step in recorded(preset).steps if step not in known}
    assert off == ({1100, 102_500, 119_500} if preset == "olmo2-13b" else set())
    assert known


def test_a_step_in_both_repositories_is_that_of_the_first() -> None:
    ladder = recorded("olmo2-1b")
    early = "allenai/OLMo-2-0425-1B-early-training"
    assert ladder.at(10_000).place == "allenai/OLMo-2-0425-1B"
    assert (ladder.at(1000).place, ladder.at(1000).name) == (early, "stage1-step1000-tokens3B")
    assert ladder.strays[0] == "allenai/OLMo-2-0425-1B@stage2-ingredient1-step23852-tokens51B"


def test_powers_of_two_of_a_run() -> None:
    found = steps(recorded("pythia-410m"), steps={"start": 1, "stop": 512, "num": 10, "spacing": "log"})
    assert [step for _, step in found] == [2**power for power in range(10)]


def test_a_schedule_in_tokens_says_what_it_became() -> None:
    found = steps(
        recorded("pythia-410m"),
        tokens={"start": 10**9, "stop": 300 * 10**9, "num": 4, "spacing": "log"},
        snap="nearest",
    )
    assert found == [
        ("1B tokens", 512), ("6.694B tokens", 3000), ("44.81B tokens", 21_000), ("300B tokens", 143_000)
    ]  # fmt: skip


@pytest.mark.parametrize(("snap", "step"), [("nearest", 99_000), ("floor", 99_000)])
def test_a_gap_is_snapped(snap: str, step: int) -> None:
    ladder = recorded("olmo2-7b")
    assert steps(ladder, steps=[100_000], snap=snap) == [("100000", step)]


def test_a_gap_is_an_error_that_names_what_is_around_it() -> None:
    assert problems(recorded("olmo2-7b"), steps=[100_000], tokens=[10**10]) == [
        "100000 is not published; around it there are step 50000 (209.7B tokens), "
        "step 99000 (415.2B tokens), step 101000 (423.6B tokens), step 250000 (1.049T tokens)",
        "10B tokens, step 2384.19, is not published; around it there are step 1000 (4.194B tokens), "
        "step 3000 (12.58B tokens), step 4000 (16.78B tokens)",
    ]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            {"steps": [2_000_000], "snap": "nearest"},
            "2000000 lies past the last checkpoint, step 1907359 (4T tokens)",
        ),
        ({"steps": [200], "snap": "floor"}, "200 lies before the first checkpoint, step 300 (629.1M tokens)"),
        (
            {"tokens": [10**8], "snap": "nearest"},
            "100M tokens lies before the first checkpoint, step 300 (629.1M tokens)",
        ),
        ({"chinchilla": [1.0]}, "how many parameters a published model has cannot be told"),
        ({}, "the schedule asks for no step"),
    ],
)
def test_what_lies_outside(schedule: dict[str, Any], message: str) -> None:
    assert problems(recorded("olmo2-1b"), **schedule) == [message]


def test_a_little_past_an_end_is_the_end() -> None:
    ladder = recorded("pythia-410m")
    assert steps(ladder, tokens=[300 * 10**9], snap="nearest") == [("300B tokens", 143_000)]
    assert problems(ladder, tokens=[301 * 10**9 + 10**8], snap="nearest") == [
        "301.1B tokens lies past the last checkpoint, step 143000 (299.9B tokens)"
    ]
    assert problems(ladder, tokens=[300 * 10**9]) == [
        "300B tokens lies past the last checkpoint, step 143000 (299.9B tokens)"
    ]


def test_the_ends_are_those_that_are_there() -> None:
    ladder = recorded("smollm3-3b")
    assert steps(ladder, include=["first", "last"]) == [("first", 40_000), ("last", 4_720_000)]
    assert steps(ladder, fraction=[1.0]) == [("fraction 1", 4_720_000)]
    assert steps(ladder, every=1_200_000, snap="nearest")[0] == ("every 1200000", 1_200_000)


NAMED = Names(("lab/run",), "step{step}-tokens{tokens}B", None)
ROUNDED = {"lab/run": ["step100-tokens1B", "step200-tokens3B", "step400-tokens5B"]}


def test_without_a_number_of_tokens_per_step_those_in_names_count() -> None:
    ladder = make_ladder(NAMED, ROUNDED)
    assert [rung.tokens for rung in ladder.rungs] == [10**9, 3 * 10**9, 5 * 10**9]
    assert steps(ladder, tokens=[10**9, 3 * 10**9]) == [("1B tokens", 100), ("3B tokens", 200)]
    assert steps(ladder, tokens=[3_900_000_000], snap="nearest") == [("3.9B tokens", 200)]
    assert steps(ladder, tokens=[3_900_000_000], snap="floor") == [("3.9B tokens", 200)]
    exact = make_ladder(Names(NAMED.places, NAMED.pattern, 10_000_000), ROUNDED)
    assert [rung.tokens for rung in exact.rungs] == [10**9, 2 * 10**9, 4 * 10**9]


def test_tokens_cannot_be_asked_for_where_nobody_says_how_many() -> None:
    ladder = make_ladder(Names(("lab/run",), "step{step}", None), {"lab/run": ["step1", "step2"]})
    assert problems(ladder, tokens=[10**9]) == [
        "how many tokens a step of these checkpoints has is not known"
    ]


def test_names_of_which_none_follows_the_pattern() -> None:
    ladder = make_ladder(NAMED, {"lab/run": ["main", "v1", "v2"]})
    assert problems(ladder, steps=[1]) == ["none of 2 published names, such as `v1`, follows the pattern"]


def test_before_anybody_looked_any_step_is_taken_and_no_end_known() -> None:
    ladder = make_ladder(NAMED, {})
    assert steps(ladder, steps=[100, 150]) == [("100", 100), ("150", 150)]
    assert ladder.at(150).name == "step150-tokens*B"
    assert problems(ladder, include=["last"], fraction=[0.5]) == [
        "where this run ends is not known before it is locked",
        "which checkpoint is the last is not known before the run is locked",
    ]


@pytest.mark.parametrize(
    ("pattern", "name", "step", "tokens"),
    [
        ("step-{step}-{tokens}BT", "step-001000-2BT", 1000, 2 * 10**9),
        ("checkpoint-{step}", "checkpoint-500", 500, None),
        ("global_step{step}/hf", "global_step20/hf", 20, None),
        ("it{step}_{tokens}M", "it7_1.5M", 7, 1_500_000),
        ("ckpt_{index}", "ckpt_000", 1, None),
        ("{any}-s{step}", "a.b-s3", 3, None),
        ("step{step}+", "step3+", 3, None),
    ],
)
def test_a_pattern_reads_names(pattern: str, name: str, step: int, tokens: int | None) -> None:
    check_pattern(pattern)
    said = read(pattern, name)
    assert said is not None
    assert (said.step, said.tokens) == (step, tokens)
    assert read(pattern, f"{name}x") is None


@pytest.mark.parametrize(
    "pattern", ["step", "{step}{index}", "{step}-{step}", "{steps}", "step{step", "{any}"]
)
def test_a_pattern_that_names_no_step(pattern: str) -> None:
    with pytest.raises(PatternError):
        check_pattern(pattern)


@given(st.integers(1, 10**9), st.sampled_from(["step{step}", "ckpt_{index}", "a{step}b"]))
def test_a_name_is_read_as_it_was_written(step: int, pattern: str) -> None:
    said = read(pattern, written(pattern, step))
    assert said is not None
    assert said.step == step


@given(st.lists(st.integers(1, 10_000), min_size=1, unique=True), st.integers(1, 12_000))
def test_snapping_takes_the_nearest_or_the_one_before(there: list[int], asked: int) -> None:
    ladder = make_ladder(Names(("r",), "s{step}", None), {"r": [f"s{step}" for step in there]})

    def snapped(snap: str) -> int | None:
        try:
            return ladder.resolve(Schedule.model_validate({"steps": [asked], "snap": snap})).steps[0][1]
        except ScheduleError:
            return None

    near, before, exact = snapped("nearest"), snapped("floor"), snapped("exact")
    assert (exact == asked) == (asked in there)
    assert near is None or abs(near - asked) == min(abs(step - asked) for step in there)
    assert before == max((step for step in there if step <= asked), default=None) or asked > max(there)
    if min(there) <= asked <= max(there):
        assert near is not None


@given(st.integers(1, 5 * 10**9))
def test_tokens_between_two_names_are_in_proportion(tokens: int) -> None:
    ladder = make_ladder(NAMED, ROUNDED)
    step = ladder.step_of(Fraction(tokens))
    points: Mapping[int, int] = {0: 0, 10**9: 100, 3 * 10**9: 200, 5 * 10**9: 400}
    below = max(seen for seen in points if seen <= tokens)
    above = min((seen for seen in points if seen > tokens), default=5 * 10**9)
    assert points[below] <= step <= points[above]
