"""Schedules: what was asked, and the steps it becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.compiler.schedules import MAX_POINTS, ScheduleError, resolve
from exc.spec.schedule import Schedule


def schedule(**parts: Any) -> Schedule:
    return Schedule.model_validate(parts)


def steps(total: int = 1000, per_step: int = 100, **parts: Any) -> list[int]:
    return [step for _, step in resolve(schedule(**parts), total, per_step).steps]


def problems(total: int = 1000, per_step: int = 100, **parts: Any) -> list[tuple[str, tuple[str | int, ...]]]:
    with pytest.raises(ScheduleError) as caught:
        resolve(schedule(**parts), total, per_step)
    return [(problem.code, problem.path) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"steps": [20, 10, 20]}, [10, 20]),
        ({"every": 300}, [300, 600, 900]),
        ({"steps": {"start": 100, "stop": 900, "num": 3}}, [100, 500, 900]),
        ({"steps": {"start": 1, "stop": 1000, "num": 4, "spacing": "log"}}, [1, 10, 100, 1000]),
        ({"steps": {"start": 100, "stop": 350, "every": 100}}, [100, 200, 300]),
        ({"tokens": ["1k", 2000]}, [10, 20]),
        (
            {"tokens": {"start": "1k", "stop": "8k", "num": 4, "spacing": "log"}, "snap": "floor"},
            [10, 20, 40, 80],
        ),
        (
            {"tokens": {"start": "1k", "stop": "9k", "num": 4, "spacing": "log"}, "snap": "nearest"},
            [10, 21, 43, 90],
        ),
        ({"fraction": [0.1, 0.7, 1.0]}, [100, 700, 1000]),
        ({"fraction": {"start": 0.1, "stop": 0.3, "every": 0.1}}, [100, 200, 300]),
        ({"every": 500, "include": ["first", "last", 7]}, [1, 7, 500, 1000]),
        ({"steps": []}, []),
    ],
)
def test_steps(parts: dict[str, Any], expected: list[int]) -> None:
    assert steps(**parts) == expected


def test_what_was_asked_stands_beside_what_it_became() -> None:
    asked = schedule(steps=[10], tokens=["1k", 1040], fraction=[0.5], include=["last"], snap="nearest")
    assert resolve(asked, 1000, 100).steps == (
        ("10, 1k tokens, 1.04k tokens", 10),
        ("fraction 0.5", 500),
        ("last", 1000),
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, [("missing-key", ())]),
        ({"snap": "floor"}, [("missing-key", ())]),
        (
            {"steps": [1, 1001], "tokens": [150], "fraction": [0.0]},
            [
                ("past-end", ("steps", 1)),
                ("off-schedule", ("tokens", 0)),
                ("off-schedule", ("fraction", 0)),
            ],
        ),
        ({"include": [1001]}, [("past-end", ("include", 0))]),
        ({"every": 1001}, [("past-end", ("every",))]),
        ({"tokens": [100_050]}, [("past-end", ("tokens", 0))]),
        ({"steps": {"start": 9, "stop": 5, "num": 2}}, [("bad-value", ("steps", "start"))]),
        ({"steps": {"start": 1, "stop": 5}}, [("missing-key", ("steps",))]),
        ({"steps": {"start": 1, "stop": 5, "num": 2, "every": 2}}, [("bad-value", ("steps",))]),
        ({"steps": {"start": 1, "stop": 5, "num": 10**12}}, [("bad-value", ("steps", "num"))]),
        ({"steps": {"start": 1, "stop": 10**12, "every": 1}}, [("bad-value", ("steps", "every"))]),
        (
            {"tokens": {"start": 0, "stop": 5, "num": 2, "spacing": "log"}},
            [("bad-value", ("tokens", "start"))],
        ),
    ],
)
def test_problems(parts: dict[str, Any], expected: list[tuple[str, tuple[str | int, ...]]]) -> None:
    assert problems(**parts) == expected


def test_a_run_of_many_steps_is_not_listed() -> None:
    assert problems(total=MAX_POINTS + 1, every=1) == problems(total=10**15, every=1)
    assert problems(total=10**15, every=1) == [("bad-value", ("every",))]


def test_a_step_between_two_names_both() -> None:
    with pytest.raises(ScheduleError, match="between steps 1 and 2"):
        resolve(schedule(tokens=[150]), 10, 100)


@given(st.sets(st.integers(1, 10**9), min_size=1), st.integers(0, 10**6))
def test_steps_come_out_as_they_are(wanted: set[int], beyond: int) -> None:
    assert steps(total=max(wanted) + beyond, steps=sorted(wanted, reverse=True)) == sorted(wanted)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.data())
def test_tokens_of_whole_steps_are_exact(total: int, per_step: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, total))
    assert steps(total, per_step, tokens=[step * per_step]) == [step]


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(2, 200), st.sampled_from(["linear", "log"]))
def test_a_range_holds_its_ends_and_ascends(start: int, length: int, num: int, spacing: str) -> None:
    stop = start + length
    wanted = {"start": start, "stop": stop, "num": num, "spacing": spacing}
    found = steps(total=stop, steps=wanted, snap="nearest")
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (start, stop)
    assert len(found) <= num


@given(st.integers(1, 10**6), st.integers(1, 10**4), st.integers(1, 10**6))
def test_floor_is_never_above_nearest(tokens: int, per_step: int, total: int) -> None:
    if per_step <= tokens <= total * per_step:
        (floor,) = steps(total, per_step, tokens=[tokens], snap="floor")
        (nearest,) = steps(total, per_step, tokens=[tokens], snap="nearest")
        assert floor <= nearest <= floor + 1
        assert abs(nearest * per_step - tokens) <= abs(floor * per_step - tokens)


@given(st.integers(1, 1000))
def test_every_ends_at_the_last_step_it_reaches(every: int) -> None:
    found = steps(total=1000, every=every)
    assert found[-1] + every > 1000
    assert len(found) == 1000 // every
