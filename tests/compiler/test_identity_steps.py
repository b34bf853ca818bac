"""Which steps of which runs are one computation: learning rates up to a step, and each kept step its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler.canonical import lr_until
from exc.compiler.identity import step_identity
from tests.compiler.study import plan_of


def _lr(shape: str, total: int, decay: int = 0) -> dict[str, Any]:
    return {
        "shape": shape,
        "peak": 1e-3,
        "warmup_steps": 10,
        "total_steps": total,
        "decay_steps": decay,
        "floor": 0.1,
    }


@pytest.mark.parametrize(
    ("shape", "decay", "step", "shared"),
    [
        ("constant", 0, 100, True),
        ("wsd", 20, 80, True),  # the last step before the shorter run decays
        ("wsd", 20, 81, False),
        ("cosine", 0, 20, False),
        ("linear", 0, 20, False),
    ],
)
def test_two_horizons_share_what_their_learning_rate_shares(
    shape: str, decay: int, step: int, shared: bool
) -> None:
    short, long = lr_until(_lr(shape, 100, decay), step), lr_until(_lr(shape, 200, decay), step)
    assert (short == long) is shared


def test_wsd_before_its_decay_is_constant() -> None:
    assert lr_until(_lr("wsd", 100, 20), 80) == lr_until(_lr("constant", 100), 80)


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine", "wsd"])
@settings(max_examples=40, deadline=None)
@given(
    one=st.tuples(st.integers(20, 60), st.integers(1, 10)),
    other=st.tuples(st.integers(20, 60), st.integers(1, 10)),
    step=st.integers(1, 60),
)
def test_the_same_hashed_rate_means_the_same_rates(
    shape: str, one: tuple[int, int], other: tuple[int, int], step: int
) -> None:
    """Whatever is hashed alike trains alike: on every step up to the checkpoint the rate is equal."""
    from exc.compiler.learning_rate import make_schedule

    first, second = _lr(shape, *one), _lr(shape, *other)
    if step <= min(one[0], other[0]) and lr_until(first, step) == lr_until(second, step):
        a, b = make_schedule(first), make_schedule(second)
        assert [a(t) for t in range(step)] == [b(t) for t in range(step)]


def test_a_kept_step_is_an_artifact_of_its_own() -> None:
    a, b = "a" * 64, "b" * 64
    assert len({step_identity(a, 1), step_identity(a, 2), step_identity(b, 1), a}) == 4
    assert step_identity(a, 1) == step_identity(a, 1)


def test_the_last_kept_step_is_the_jobs_artifact() -> None:
    job = plan_of().job("tiny/400/rl/r0/rl")
    assert job.kept == {20: step_identity(job.computation, 20), 40: step_identity(job.computation, 40)}
    assert job.identity == job.kept[40]
