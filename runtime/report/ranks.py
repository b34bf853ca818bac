"""Rank correlation of a few points, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from exc.runtime.report.statistics import Floats

FEWEST = 5  # points from which an interval says anything


@dataclass(frozen=True, slots=True)
class Correlation:
    value: float
    low: float | None
    high: float | None
    num: int


def spearman(xs: Sequence[float], ys: Sequence[float], level: float) -> Correlation | None:
    """Spearman's rank correlation; None where it means nothing: fewer than three points, or all on one side.

    The interval is Bonett and Wright's (Psychometrika 65, 2000): Fisher's z with the variance
    (1 + r^2 / 2) / (n - 3). It takes the points as drawn independently.
    """
    if len(xs) < 3 or len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    value = float(np.corrcoef(_ranks(xs), _ranks(ys))[0, 1])
    num = len(xs)
    if num < FEWEST:
        return Correlation(value, None, None, num)
    # Of a perfect order z is infinite, and the interval would have no width.
    inside = min(max(value, -_most(num)), _most(num))
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt((1 + inside**2 / 2) / (num - 3))
    low, high = math.tanh(math.atanh(inside) - reach), math.tanh(math.atanh(inside) + reach)
    return Correlation(value, min(low, value), max(high, value), num)


def _most(num: int) -> float:
    """The correlation of the order next to the perfect one: two neighbours exchanged."""
    return 1 - 12 / (num * (num**2 - 1))


def _ranks(values: Sequence[float]) -> Floats:
    """Equal values share the mean of their ranks."""
    found = np.asarray(values, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    ranks = np.empty(found.size)
    ranks[order] = np.arange(found.size)
    for value in set(values):
        ranks[found == value] = ranks[found == value].mean()
    return ranks
