"""How many replicates a declared effect needs: as many as really find it, with the interval of the report."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from exc.compiler.check_replicates import replicates_for

_TRIALS = 40_000


def statistics(rng: np.random.Generator, num: int, sides: int, effect: float) -> NDArray[np.float64]:
    """Student's t of a difference of means, or of one mean and a fixed number; replicates spread by 1."""
    means, variances = np.full(_TRIALS, effect), np.zeros(_TRIALS)
    for sign in (1, -1)[:sides]:
        drawn = rng.standard_normal((_TRIALS, num))
        means += sign * drawn.mean(axis=1)
        variances += drawn.var(axis=1, ddof=1) / num
    return np.asarray(means / np.sqrt(variances))


def power(num: int, sides: int, effect: float, confidence: float) -> float:
    rng = np.random.default_rng(0)
    bound = np.quantile(np.abs(statistics(rng, num, sides, 0.0)), confidence)
    return float(np.mean(np.abs(statistics(rng, num, sides, effect)) > bound))


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("effect", [0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_the_effect_is_found_with_a_chance_of_80_percent(effect: float, sides: int) -> None:
    num = replicates_for(effect, 1.0, 0.95, sides)
    assert power(num, sides, effect, 0.95) >= 0.79
    assert num == 2 or power(num - 1, sides, effect, 0.95) < 0.81


def test_many_replicates_are_those_of_the_normal_distribution() -> None:
    assert replicates_for(0.05, 1.0, 0.95) == 6280
