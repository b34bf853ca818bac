from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.runtime.stages.passk import answer_entropy, majority, majority_at_k, pass_at_k


@given(st.data(), st.integers(1, 9))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(data: st.DataObject, n: int) -> None:
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == sum(map(any, subsets)) / len(subsets)


@given(st.integers(1, 2000), st.data())
def test_pass_at_k_grows_with_k_and_stays_in_range(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    assert 0 <= pass_at_k(n, c, 1) <= pass_at_k(n, c, k) <= 1
    assert pass_at_k(n, c, n) == float(c > 0)
    assert pass_at_k(n, c, 1) == c / n


def test_a_chance_far_below_one_keeps_its_digits() -> None:
    assert pass_at_k(10**17, 1, 1) == 1e-17
    assert math.isclose(pass_at_k(10**12, 3, 5), 15e-12, rel_tol=1e-9)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 5), (4, 1, 0), (4, 5, 1), (4, -1, 1)])
def test_what_cannot_be_estimated_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="not defined"):
        pass_at_k(n, c, k)


@pytest.mark.parametrize(
    ("votes", "credit"),
    [
        ([("7", True), ("7", True), ("8", False)], 1.0),
        ([("7", True), ("8", False), ("8", False)], 0.0),
        ([("7", True), ("8", False)], 0.5),
        ([("7", True), ("8", False), ("9", False)], 1 / 3),
        ([("6", False), ("8", False)], 0.0),
        ([(None, False), (None, False), ("7", True)], 1.0),
        ([(None, False)], 0.0),
        ([], 0.0),
    ],
)
def test_majority(votes: list[tuple[str | None, bool]], credit: float) -> None:
    assert majority(votes) == credit


_VOTES = st.lists(st.sampled_from([None, "a", "b", "c", "d"]), min_size=1, max_size=8)


@given(_VOTES, st.sets(st.sampled_from(["a", "b", "c", "d"])), st.data())
def test_majority_at_k_is_the_mean_credit_of_all_draws_of_k(
    answers: list[str | None], right: set[str], data: st.DataObject
) -> None:
    votes = [(answer, answer in right) for answer in answers]
    k = data.draw(st.integers(1, len(votes)))
    draws = list(combinations(votes, k))
    # The credit of a draw is a share of at most four answers, so that it is known exactly.
    wanted = sum(Fraction(majority(draw)).limit_denominator(4) for draw in draws) / len(draws)
    assert majority_at_k(votes, k) == wanted


def test_majority_of_all_samples_is_the_majority() -> None:
    votes = [("7", True)] * 3 + [("8", False)] * 3 + [(None, False)]
    assert majority_at_k(votes, 7) == Fraction(1, 2)
    assert majority_at_k(votes, 1) == Fraction(3, 7)
    with pytest.raises(ValueError, match="not defined"):
        majority_at_k(votes, 8)


def test_entropy_counts_bits() -> None:
    assert answer_entropy([]) == answer_entropy(["7", "7"]) == 0.0
    assert answer_entropy(["7", "8", "9", "10"]) == 2.0
    assert math.isclose(answer_entropy(["7", "7", "7", "8"]), 2 - 0.75 * math.log2(3))
