"""pass@k is what counting gives, intervals cover the truth, and verdicts name what was simulated."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from exc.runtime.report.ranks import spearman
from exc.runtime.report.statistics import (
    FLAT_SHARE,
    Bootstrap,
    Estimate,
    Recorded,
    Sample,
    Verdict,
    pass_at_k,
    verdict,
)
from tests.runtime.report.study import Floats, base_chances, expand, sharpen

NUM_SAMPLES = 32


def sample(name: str, *rows: Floats, ids: NDArray[np.int64] | None = None) -> Sample:
    above = np.stack(rows)
    return Sample(name, np.arange(above.shape[1]) if ids is None else ids, above, np.ones_like(above))


def shares(chances: Floats, k: int, rng: np.random.Generator) -> Floats:
    drawn = rng.binomial(NUM_SAMPLES, chances)
    return pass_at_k(np.full(drawn.size, NUM_SAMPLES), drawn, k)


@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    counted = sum(map(any, subsets)) / len(subsets)
    assert pass_at_k(np.array([n]), np.array([c]), k)[0] == pytest.approx(counted, abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 5), (4, 5, 2), (4, -1, 2), (4, 2, 0)])
def test_counts_that_cannot_be_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="sample"):
        pass_at_k(np.array([n]), np.array([c]), k)


def covered(num_trials: int, trial: Callable[[int], bool]) -> float:
    return sum(trial(seed) for seed in range(num_trials)) / num_trials


def holds(found: Estimate, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


@pytest.mark.parametrize("k", [1, 8])
def test_the_interval_of_a_difference_covers_its_truth(k: int) -> None:
    """Problems are drawn from a population each time, and samples from each problem."""
    population = base_chances(200_000, 600, seed=3)

    def expected(chances: Floats) -> float:
        return float(np.mean(1 - (1 - chances) ** k))

    truth = expected(sharpen(population)) - expected(population)

    def trial(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        chances = rng.choice(population, 150)
        a, b = (shares(c, k, rng) for c in (sharpen(chances), chances))
        return holds(Bootstrap(seed, 400).difference(sample("a", a), sample("b", b), "e"), truth)

    assert 0.92 <= covered(400, trial) <= 0.975


@pytest.mark.parametrize("num", [2, 3, 8])
@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_the_interval_covers_the_spread_of_replicates(num: int, spread: float) -> None:
    """Replicates whose own level varies not at all, or more than the choice of problems does."""

    def trial(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        ease = rng.uniform(0.2, 0.6, 150)
        levels = ease + spread * rng.standard_normal((num, 1))
        rows = rng.binomial(NUM_SAMPLES, np.clip(levels, 0, 1)) / NUM_SAMPLES
        return holds(Bootstrap(seed, 400).mean(sample("a", *rows), "e"), 0.4)

    assert 0.92 <= covered(200, trial) <= 0.995


def test_the_interval_of_a_difference_covers_two_spreads_of_replicates() -> None:
    def trial(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        ease = rng.uniform(0.2, 0.6, 150)
        a, b = (np.clip(ease + gain + 0.03 * rng.standard_normal((3, 1)), 0, 1) for gain in (0.1, 0.0))
        a, b = (rng.binomial(NUM_SAMPLES, side) / NUM_SAMPLES for side in (a, b))
        return holds(Bootstrap(seed, 400).difference(sample("a", *a), sample("b", *b), "e"), 0.1)

    assert 0.93 <= covered(200, trial) <= 0.995


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_of_a_mean_over_tasks_covers_its_truth(level: float) -> None:
    """Tasks of unlike sizes with equal weight, as read from the problems of a harness."""
    truth = np.array([0.3, 0.5, 0.8])

    def trial(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        sizes = np.array([40, 100, 300])
        right = np.concatenate([rng.random(n) < share for n, share in zip(sizes, truth, strict=True)])
        weight, tasks = np.repeat(1.0 / sizes, sizes), np.repeat(np.arange(3), sizes)
        parts = Sample("a", np.arange(right.size), (right * weight)[None], weight[None], tasks)
        return holds(Bootstrap(seed, 400, level).mean(parts, "e"), float(truth.mean()))

    assert level - 0.05 <= covered(300, trial) <= level + 0.05


def test_tasks_of_a_mean_are_not_drawn_but_their_problems() -> None:
    """The width is that of problems within tasks: how far tasks lie apart says nothing of how sure it is."""
    rng = np.random.default_rng(0)
    sizes, shares = np.array([500, 1000, 250]), np.array([0.1, 0.5, 0.95])
    right = np.concatenate([rng.random(n) < share for n, share in zip(sizes, shares, strict=True)])
    weight, tasks = np.repeat(1.0 / sizes, sizes), np.repeat(np.arange(3), sizes)
    parts = Sample("a", np.arange(right.size), (right * weight)[None], weight[None], tasks)
    found = Bootstrap(0).mean(parts, "e")
    assert found.low is not None
    assert found.high is not None
    error = np.sqrt((shares * (1 - shares) / sizes).sum()) / 3
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    some = parts.at(np.flatnonzero(tasks != 1))
    assert [places.size for places in some.strata] == [500, 250]


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_no_problem_shows_is_not_for_certain(share: float, level: float) -> None:
    """Were the share at that end, so many problems alike would come up as seldom as an end is passed."""
    alike = sample("a", np.full(40, share))
    found = Bootstrap(0, level=level).mean(alike, "e")
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(1 - ((1 - level) / 2) ** (1 / 40))
    assert share in (found.low, found.high)
    change = Bootstrap(0, level=level).difference(alike, sample("b", np.full(40, share)), "e")
    assert (change.low, change.high) == pytest.approx((found.low - found.high, found.high - found.low))
    # Two models that do the same on problems that are not alike may well be the same.
    some = np.linspace(0, 1, 40)
    same = Bootstrap(0).difference(sample("a", some), sample("b", some), "e")
    assert (same.low, same.high) == (0.0, 0.0)
    # Of a metric that is no share nobody knows how far it goes.
    free = Sample("a", np.arange(40), np.zeros((1, 40)), np.ones((1, 40)), bounded=False)
    assert Bootstrap(0).mean(free, "e").high == 0.0


def test_the_interval_of_a_recorded_number_is_that_of_its_error() -> None:
    def trial(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        recorded = Recorded("a", 0.4 + 0.02 * rng.standard_normal(1), np.array([0.02]))
        return holds(Bootstrap(seed, 400).mean(recorded, "e"), 0.4)

    assert 0.92 <= covered(300, trial) <= 0.98
    bare = Bootstrap(0).mean(Recorded("a", np.array([0.4]), np.array([0.0])), "e")
    assert (bare.value, bare.low, bare.high, bare.num_units) == (0.4, None, None, 0)


@pytest.mark.parametrize("num", [8, 25])
def test_the_interval_of_a_rank_correlation_covers_its_truth(num: int) -> None:
    pearson = 0.7
    truth = 6 / np.pi * np.arcsin(pearson / 2)

    def trial(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        x, noise = rng.standard_normal((2, num))
        found = spearman(list(x), list(pearson * x + np.sqrt(1 - pearson**2) * noise), 0.95)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        return bool(found.low <= truth <= found.high)

    assert 0.92 <= covered(500, trial) <= 0.985


def test_a_rank_correlation_is_that_of_ranks_and_says_when_there_is_none() -> None:
    found = spearman([1, 10, 2, 2], [3, 9, 5, 4], 0.95)
    assert found is not None
    # Ranks 1, 4, 2.5, 2.5 and 1, 4, 3, 2.
    assert found.value == pytest.approx(np.corrcoef([1, 4, 2.5, 2.5], [1, 4, 3, 2])[0, 1])
    assert (found.low, found.num) == (None, 4)
    assert spearman([1, 2], [1, 2], 0.95) is None
    assert spearman([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], 0.95) is None
    perfect = spearman(range(6), range(6), 0.95)
    assert perfect is not None
    assert perfect.low is not None
    assert perfect.value == pytest.approx(1)
    assert perfect.high == pytest.approx(1)
    assert 0 < perfect.low < 0.9


def test_pairing_makes_a_difference_sharper_than_its_sides() -> None:
    rng = np.random.default_rng(0)
    b = rng.random(100)
    a, other = sample("a", b + 0.05), sample("b", b)
    bootstrap = Bootstrap(0)
    delta, level = bootstrap.difference(a, other, "e"), bootstrap.mean(a, "e")
    assert delta.low == pytest.approx(0.05)
    assert delta.high == pytest.approx(0.05)
    assert level.high is not None
    assert level.low is not None
    assert level.high - level.low > 0.05


def test_a_difference_is_paired_by_the_number_of_the_problem() -> None:
    values = np.random.default_rng(0).random(20)
    a = sample("a", values, ids=np.arange(20))
    b = sample("b", values[5:], ids=np.arange(5, 20))
    found = Bootstrap(0).difference(a, b, "e")
    assert (found.value, found.low, found.high, found.num_units) == (0.0, 0.0, 0.0, 15)
    with pytest.raises(ValueError, match="nothing in common"):
        Bootstrap(0).difference(a, sample("b", values, ids=np.arange(30, 50)), "e")


def test_one_unit_has_a_value_and_no_interval() -> None:
    found = Bootstrap(0).mean(sample("a", np.array([0.5])), "e")
    assert (found.value, found.low, found.high) == (0.5, None, None)
    assert not found.above_zero


def test_a_ratio_weighs_units_by_what_is_below_the_line() -> None:
    parts = Sample("a", np.arange(2), np.array([[10.0, 400.0]]), np.array([[10.0, 100.0]]))
    assert Bootstrap(0).mean(parts, "e").value == pytest.approx(410 / 110)


def test_the_same_seed_gives_the_same_interval_in_any_order() -> None:
    rng = np.random.default_rng(0)
    a, b = sample("a", *rng.random((3, 50))), sample("b", *rng.random((3, 50)))
    one, two = Bootstrap(7), Bootstrap(7)
    first = one.mean(a, "e"), one.difference(a, b, "e")
    second = two.difference(a, b, "e"), two.mean(a, "e")
    assert first == second[::-1]
    assert Bootstrap(8).mean(a, "e") != first[0]


def judged(chances: Floats, change: Floats, seed: int = 0) -> Verdict:
    """The verdict on samples drawn from both sides, at k = 8."""
    rng = np.random.default_rng(seed)
    drawn = [rng.binomial(NUM_SAMPLES, side) for side in (change, chances)]
    n = np.full(chances.size, NUM_SAMPLES)
    one, many = (
        [sample(name, pass_at_k(n, c, k)) for name, c in zip("ab", drawn, strict=True)] for k in (1, 8)
    )
    bootstrap = Bootstrap(seed)
    terms = [(1.0, many[0]), (-1.0, many[1]), (-FLAT_SHARE, one[0]), (FLAT_SHARE, one[1])]
    first, last = (bootstrap.difference(a, b, "e") for a, b in (one, many))
    return verdict(first, last, bootstrap.combine(terms, "e"), 8)


CHANCES = base_chances(400, 600)


@pytest.mark.parametrize("seed", range(5))
def test_verdicts_name_what_was_simulated(seed: int) -> None:
    assert judged(CHANCES, expand(CHANCES), seed).label == "expanded"
    # Only problems that are nearly always reached within 8 samples become likelier: pass@8 can but stay.
    reached = np.where(CHANCES > 0.25, 0.9, np.where(CHANCES < 0.05, 0.0, CHANCES))
    assert judged(CHANCES, reached, seed).label == "sharpened"
    assert judged(CHANCES, CHANCES * 0.5, seed).label == "declined"


def test_flat_counts_as_sharpened_only_beside_a_gain_that_dwarfs_it() -> None:
    easy = np.where(np.arange(400) % 2 == 0, 0.7, 0.0)
    found = judged(easy, np.where(easy > 0, 0.95, 0.0))
    assert found == Verdict("sharpened", "pass@1 rose, pass@8 stayed flat beside it")
    few = judged(easy[:16], np.where(easy > 0, 0.75, 0.02)[:16])
    assert few.label == "inconclusive"


def test_nothing_is_seldom_taken_for_something() -> None:
    labels = [judged(CHANCES, CHANCES, seed).label for seed in range(60)]
    assert labels.count("inconclusive") >= 54


def test_an_interval_ends_where_shares_end() -> None:
    """Two replicates that differ say little of a third; but no share is below 0 or above 1."""
    ids = np.arange(50)
    low, high = np.zeros((1, 50)), np.ones((1, 50))
    spread = Sample("spread", ids, np.concatenate([low, high]), np.ones((2, 50)))
    bootstrap = Bootstrap(seed=0)
    mean = bootstrap.mean(spread, "gsm8k")
    assert (mean.low, mean.high) == (0.0, 1.0)
    base = Sample("base", ids, low + (ids < 5), np.ones((1, 50)))
    difference = bootstrap.difference(spread, base, "gsm8k")
    assert (difference.low, difference.high) == (-1.0, 1.0)
    bits = Sample("bits", ids, 8 * spread.above, 4 * np.ones((2, 50)))
    assert (bootstrap.mean(bits, "text").high or 0) > 2
