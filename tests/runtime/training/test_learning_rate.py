"""Schedules against values worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.learning_rate import make_schedule


def factors(steps: list[int], **lr: Any) -> list[float]:
    schedule = make_schedule(lr)
    return [schedule(step - 1) for step in steps]  # the first step is taken after none


def test_warm_up_is_a_straight_line_that_ends_at_the_peak() -> None:
    assert factors([1, 2, 3, 4, 5, 99], shape="constant", warmup_steps=4) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factors([1, 2], shape="constant", warmup_steps=0) == [1, 1]


def test_linear() -> None:
    values = factors([2, 3, 6, 10, 11], shape="linear", warmup_steps=2, total_steps=10, floor=0.2)
    assert values == pytest.approx([1.0, 0.9, 0.6, 0.2, 0.2])


def test_cosine() -> None:
    values = factors([2, 4, 6, 8, 10, 12], shape="cosine", warmup_steps=2, total_steps=10, floor=0.1)
    halfway_down = 0.5**0.5 / 2
    expected = [1.0, 0.1 + 0.9 * (0.5 + halfway_down), 0.55, 0.1 + 0.9 * (0.5 - halfway_down), 0.1, 0.1]
    assert values == pytest.approx(expected)


def test_wsd_falls_in_a_line_at_the_end() -> None:
    lr = {"shape": "wsd", "warmup_steps": 2, "total_steps": 20, "decay_steps": 4, "floor": 0.2}
    assert factors([1, 2, 10, 16, 17, 18, 19, 20, 21], **lr) == pytest.approx(
        [0.5, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2]
    )
    later = {**lr, "total_steps": 1000}
    assert factors(list(range(1, 17)), **lr) == factors(list(range(1, 17)), **later)


def test_wsd_without_decay_stays_up() -> None:
    assert factors([1, 5], shape="wsd", warmup_steps=0, total_steps=5, decay_steps=0) == [1, 1]


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        ({"shape": "cosin", "warmup_steps": 0}, "constant, linear, cosine, wsd"),
        ({"shape": "cosine", "warmup_steps": 0, "total_steps": None}, "needs `total_steps`"),
        ({"shape": "linear", "warmup_steps": 9, "total_steps": 9}, "shorter than its warm-up"),
        ({"shape": "wsd", "warmup_steps": 5, "decay_steps": 5, "total_steps": 9}, "shorter than its warm-up"),
    ],
)
def test_what_makes_no_schedule_is_refused(lr: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_schedule(lr)
