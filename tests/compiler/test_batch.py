"""Batches, against what TRL makes of them."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exc.compiler.batch import grpo_batch, sft_batch

SIZES = st.integers(1, 64)


def test_the_whole_share_at_once_by_default() -> None:
    assert sft_batch(512, None, 4) == {"per_device_train_batch_size": 128, "gradient_accumulation_steps": 1}


def test_a_micro_batch_accumulates() -> None:
    assert sft_batch(512, 32, 4) == {"per_device_train_batch_size": 32, "gradient_accumulation_steps": 4}


def test_a_micro_batch_above_the_share_is_the_share() -> None:
    assert sft_batch(8, 32, 4) == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 1}


@pytest.mark.parametrize(
    ("batch", "micro", "world", "message"),
    [
        (10, None, 4, "8 or 12 could"),
        (3, None, 4, "; 4 could"),
        (12, 5, 1, "may be 4 or 6"),
        (7, 2, 1, "may be 1 or 7"),
    ],
)
def test_what_would_divide_is_named(batch: int, micro: int | None, world: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sft_batch(batch, micro, world)


@given(SIZES, st.none() | SIZES, st.integers(1, 8))
def test_a_step_holds_the_batch(batch: int, micro: int | None, world: int) -> None:
    try:
        fields = sft_batch(batch, micro, world)
    except ValueError:
        assume(False)
    assert fields["per_device_train_batch_size"] * fields["gradient_accumulation_steps"] * world == batch


@given(st.integers(2, 16), SIZES, st.integers(1, 8), st.none() | SIZES, st.integers(1, 4))
def test_a_rollout_is_trained_on_once(
    num: int, prompts: int, updates: int, micro: int | None, world: int
) -> None:
    try:
        fields = grpo_batch(num, prompts, updates, micro, world)
    except ValueError:
        assume(False)
    # As GRPOConfig counts: a generation batch is so many micro-batches over all devices.
    generated = fields["per_device_train_batch_size"] * world * fields["steps_per_generation"]
    assert generated == num * prompts
    assert fields["steps_per_generation"] == updates * fields["gradient_accumulation_steps"]
    assert fields["num_iterations"] == 1
    assert "generation_batch_size" not in fields


def test_a_group_of_one_has_no_advantage() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        grpo_batch(1, 8, 1, None, 1)


def test_updates_must_share_the_completions() -> None:
    with pytest.raises(ValueError, match="may be 2 or 4"):
        grpo_batch(4, 4, 3, None, 1)
