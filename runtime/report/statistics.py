"""Estimates and their intervals: a bootstrap paired over problems (or documents) and over replicates.

A measurement is a ratio of sums over units: pass@k has a one for each problem below the line, bits per byte
has a document's bytes. One draw of units serves every recipe of an evaluation, so that differences are
paired; replicates are drawn within their recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUM_RESAMPLES = 4000
LEVEL = 0.95  # of intervals, unless the spec says otherwise
# pass@K is called flat where it gained, for certain, less than this share of what pass@1 gained.
FLAT_SHARE = 0.5
# A bound nearer to zero is printed as zero, and counts as zero: 0.05 points of a share, 0.0005 bits per byte.
RESOLUTION = 0.0005

_CHUNK = 500  # resamples multiplied at a time: bounds memory on large problem sets


def pass_at_k(num_samples: Ints, num_correct: Ints, k: int) -> Floats:
    """Unbiased pass@k of each problem, 1 - C(n-c, k) / C(n, k).

    Raises ValueError if a problem has fewer than k samples, or more right ones than samples.
    """
    n, c = np.asarray(num_samples), np.asarray(num_correct)
    if k < 1 or (n.size and int(n.min()) < k):
        raise ValueError(f"pass@{k} needs {k} samples of every problem")
    if np.any((c < 0) | (c > n)):
        raise ValueError("a problem has more correct samples than samples, or fewer than none")
    steps = np.arange(k, dtype=np.float64)
    # A factor of zero or less stands for n - c < k: then some of any k samples is right.
    factors = np.clip((n - c)[:, None] - steps, 0.0, None) / (n[:, None] - steps)
    return np.asarray(1.0 - np.prod(factors, axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Sample:
    """One recipe's measurement at one checkpoint: replicates down, units across."""

    name: str  # two samples of one name draw the same replicates
    ids: Ints  # the units' own numbers, rising
    above: Floats  # (replicates, units)
    below: Floats  # (replicates, units)

    def at(self, ids: Ints) -> Sample:
        """The same measurement on some of the units."""
        where = np.searchsorted(self.ids, ids)
        return Sample(self.name, ids, self.above[:, where], self.below[:, where])

    def value(self) -> float:
        """The mean over replicates of the ratio over units."""
        return float(np.mean(self.above.sum(axis=1) / self.below.sum(axis=1)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; the bounds are None where one unit is all there is."""

    value: float
    low: float | None
    high: float | None
    num_units: int
    num_replicates: tuple[int, ...]  # of each side

    @property
    def above_zero(self) -> bool:
        return self.low is not None and self.low >= RESOLUTION

    @property
    def below_zero(self) -> bool:
        return self.high is not None and self.high <= -RESOLUTION


class Bootstrap:
    """Seeded resampling: the same seed, names and data give the same interval, in any order of calls."""

    def __init__(self, seed: int, num_resamples: int = NUM_RESAMPLES, level: float = LEVEL) -> None:
        self.seed = seed
        self.level = level
        self.num_resamples = num_resamples
        self._units: dict[tuple[str, int], NDArray[np.uint16]] = {}

    def mean(self, sample: Sample, family: str) -> Estimate:
        """The value of one sample. Samples of one `family` (an evaluation) share draws of units."""
        return self.combine([(1.0, sample)], family)

    def difference(self, a: Sample, b: Sample, family: str) -> Estimate:
        """a minus b on the units that both have. Raises ValueError if there is none."""
        return self.combine([(1.0, a), (-1.0, b)], family)

    def combine(self, terms: Sequence[tuple[float, Sample]], family: str) -> Estimate:
        """A weighted sum of samples on their common units. Raises ValueError if there is none."""
        ids = terms[0][1].ids
        for _, sample in terms[1:]:
            ids = np.intersect1d(ids, sample.ids)
        if not ids.size:
            raise ValueError("nothing in common to compare")
        placed = [(weight, sample.at(ids)) for weight, sample in terms]
        value = sum(weight * sample.value() for weight, sample in placed)
        counts = {sample.name: sample.above.shape[0] for _, sample in placed}
        low, high = None, None
        if ids.size > 1:
            draws = sum(weight * self._draws(sample, family) for weight, sample in placed)
            tail = (1 - self.level) / 2
            low, high = (float(bound) for bound in np.quantile(draws, [tail, 1 - tail]))
        return Estimate(float(value), low, high, int(ids.size), tuple(counts.values()))

    def _draws(self, sample: Sample, family: str) -> Floats:
        units = self._unit_counts(family, sample.ids.size)
        replicates = self._replicate_weights(sample.name, sample.above.shape[0])
        out = np.empty(self.num_resamples)
        for start in range(0, self.num_resamples, _CHUNK):
            part = slice(start, start + _CHUNK)
            weights = units[part].astype(np.float64)
            ratios = (weights @ sample.above.T) / (weights @ sample.below.T)
            out[part] = np.sum(ratios * replicates[part], axis=1)
        return out

    def _unit_counts(self, family: str, num_units: int) -> NDArray[np.uint16]:
        """(resamples, units): how often each unit was drawn."""
        key = (family, num_units)
        if key not in self._units:
            rng = self._rng(f"units:{family}:{num_units}")
            counts = np.empty((self.num_resamples, num_units), dtype=np.uint16)
            for row in counts:
                row[:] = np.bincount(rng.integers(0, num_units, num_units), minlength=num_units)
            self._units[key] = counts
        return self._units[key]

    def _replicate_weights(self, name: str, num: int) -> Floats:
        """(resamples, replicates) summing to one: num - 1 draws, whose variance is that of a mean of num."""
        if num == 1:
            return np.ones((self.num_resamples, 1))
        drawn = self._rng(f"replicates:{name}:{num}").integers(0, num, (self.num_resamples, num - 1))
        counts = (drawn[:, :, None] == np.arange(num)).sum(axis=1)
        return np.asarray(counts / (num - 1), dtype=np.float64)

    def _rng(self, key: str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.seed}:{key}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


Label = Literal["sharpened", "expanded", "declined", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Verdict:
    label: Label
    why: str


def verdict(first: Estimate, last: Estimate, excess: Estimate, k: int) -> Verdict:
    """What happened to pass@1 (`first`) and to pass@k (`last`), read from the intervals of their differences.

    `excess` is last - FLAT_SHARE * first: below zero where pass@k is flat or fell beside the gain of pass@1.
    """
    if first.below_zero:
        return Verdict("declined", f"pass@1 fell, pass@{k} {_movement(last)}")
    if not first.above_zero:
        return Verdict("inconclusive", f"pass@1 {_movement(first)}, pass@{k} {_movement(last)}")
    if last.above_zero:
        return Verdict("expanded", f"pass@1 rose, pass@{k} rose")
    if last.below_zero:
        return Verdict("sharpened", f"pass@1 rose, pass@{k} fell")
    if excess.below_zero:
        return Verdict("sharpened", f"pass@1 rose, pass@{k} stayed flat beside it")
    return Verdict("inconclusive", f"pass@1 rose, pass@{k} may have risen as well")


def _movement(estimate: Estimate) -> str:
    if estimate.above_zero:
        return "rose"
    return "fell" if estimate.below_zero else "is not shown to move"
