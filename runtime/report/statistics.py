"""Estimates and their intervals: a bootstrap paired over problems (or documents) and over replicates.

A measurement is a ratio of sums over units: pass@k has a one for each problem below the line, bits per byte
has a document's bytes. One draw of units serves every recipe of an evaluation, so that differences are
paired; where units are of several tasks, those of each are drawn among themselves. Of replicates there are
too few to draw from: their mean is moved by Student's t with as many degrees of freedom as they leave, times
its standard error, which holds its level with two replicates as with ten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
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

_SAME = 1e-9  # what is nearer differs by rounding alone
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
    groups: Ints | None = None  # (units,): only within its group is a unit drawn; None: among all
    bounded: bool = True  # whether the metric is one of which a unit has all at most, and none at least

    def at(self, ids: Ints) -> Sample:
        """The same measurement on some of the units."""
        where = np.searchsorted(self.ids, ids)
        groups = None if self.groups is None else self.groups[where]
        return replace(self, ids=ids, above=self.above[:, where], below=self.below[:, where], groups=groups)

    @property
    def is_share(self) -> bool:
        """Whether every unit counts once and has between none and all of it, as in pass@k."""
        counts_once = self.bounded and bool((self.below == 1).all())
        return counts_once and bool((self.above >= 0).all() and (self.above <= 1).all())

    @property
    def strata(self) -> list[Ints]:
        """The places of the units of each group."""
        if self.groups is None:
            return [np.arange(self.ids.size)]
        return [np.flatnonzero(self.groups == group) for group in np.unique(self.groups)]

    def value(self) -> float:
        """The mean over replicates of the ratio over units."""
        return float(_replicate_values(self).mean())


@dataclass(frozen=True, slots=True)
class Recorded:
    """A measurement that came as a number with its standard error, over units that are not known here.

    The error is that of the choice of units, which replicates share; between two recipes nothing is paired.
    """

    name: str  # of the recipe and the metric
    values: Floats  # (replicates,)
    errors: Floats  # (replicates,); zero where none was given
    num_units: int = 0  # 0: not said

    def value(self) -> float:
        """The mean over replicates."""
        return float(self.values.mean())


Measured = Sample | Recorded


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; the bounds are None where one unit is all there is."""

    value: float
    low: float | None
    high: float | None
    num_units: int  # 0: not said
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
        self._units: dict[tuple[str, int, tuple[bytes, ...]], NDArray[np.uint16]] = {}

    def mean(self, sample: Measured, family: str) -> Estimate:
        """The value of one sample. Samples of one `family` (an evaluation) share draws of units."""
        return self.combine([(1.0, sample)], family)

    def difference(self, a: Measured, b: Measured, family: str) -> Estimate:
        """a minus b on the units that both have. Raises ValueError if there is none."""
        return self.combine([(1.0, a), (-1.0, b)], family)

    def combine(self, terms: Sequence[tuple[float, Measured]], family: str) -> Estimate:
        """A weighted sum of samples on their common units. Raises ValueError if there is none."""
        placed = _on_common_units(terms)
        value = sum(weight * sample.value() for weight, sample in placed)
        sizes = {_num_units(sample) for _, sample in placed}
        counts = {sample.name: _num_replicates(sample) for _, sample in placed}
        low, high = None, None
        if any(_varies(sample) for _, sample in placed):
            draws = self._draws(placed, family)
            tail = (1 - self.level) / 2
            least, most = _possible(placed)
            bounds = np.clip(np.quantile(draws, [tail, 1 - tail]), least, most)
            low, high = (float(bound) for bound in bounds)
            if np.isfinite(most) and _are_alike(placed):
                # No draw shows another unit: with at most this share of them, none may have come up yet.
                unseen = 1 - tail ** (1 / min(sizes))
                low = min(low, value - unseen * (value - least))
                high = max(high, value + unseen * (most - value))
        return Estimate(float(value), low, high, min(sizes), tuple(counts.values()))

    def _draws(self, placed: Sequence[tuple[float, Measured]], family: str) -> Floats:
        """The sum in every resample. Of one recipe, metrics are summed before replicates are set apart."""
        names = list(dict.fromkeys(sample.name for _, sample in placed))
        total = np.zeros(self.num_resamples)
        spreads: list[
            tuple[float, int]
        ] = []  # of each mean over replicates: its variance, degrees of freedom
        for name in names:
            own = [(weight, sample) for weight, sample in placed if sample.name == name]
            total += sum(weight * self._unit_draws(sample, family) for weight, sample in own)
            values = np.asarray(sum(weight * _replicate_values(sample) for weight, sample in own))
            if values.size > 1:
                spreads.append((float(values.var(ddof=1)) / values.size, values.size - 1))
        return total + self._replicate_draws(" ".join(sorted(names)), spreads)

    def _unit_draws(self, sample: Measured, family: str) -> Floats:
        """The mean over replicates for every draw of units, which they share."""
        if isinstance(sample, Recorded):
            noise = self._rng(f"recorded:{family}:{sample.name}").standard_normal(self.num_resamples)
            return np.asarray(sample.values.mean() + noise * sample.errors.mean())
        units = self._unit_counts(family, sample)
        out = np.empty(self.num_resamples)
        for start in range(0, self.num_resamples, _CHUNK):
            part = slice(start, start + _CHUNK)
            weights = units[part].astype(np.float64)
            out[part] = np.mean((weights @ sample.above.T) / (weights @ sample.below.T), axis=1)
        return out

    def _replicate_draws(self, names: str, spreads: Sequence[tuple[float, int]]) -> Floats:
        """How far means of replicates may lie from those of all that could have been trained."""
        variance = sum(each for each, _ in spreads)
        if not variance > 0:
            return np.zeros(self.num_resamples)
        # Welch and Satterthwaite: one t for several means.
        freedom = variance**2 / sum(each**2 / degrees for each, degrees in spreads)
        drawn = self._rng(f"replicates:{names}").standard_t(freedom, self.num_resamples)
        return np.asarray(variance**0.5 * drawn)

    def _unit_counts(self, family: str, sample: Sample) -> NDArray[np.uint16]:
        """(resamples, units): how often each unit was drawn."""
        num_units, strata = sample.ids.size, sample.strata
        key = (family, num_units, tuple(places.tobytes() for places in strata[1:]))
        if key not in self._units:
            rng = self._rng(f"units:{family}:{num_units}")
            counts = np.empty((self.num_resamples, num_units), dtype=np.uint16)
            for row in counts:
                for places in strata:
                    size = places.size
                    row[places] = np.bincount(rng.integers(0, size, size), minlength=size)
            self._units[key] = counts
        return self._units[key]

    def _rng(self, key: str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.seed}:{key}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def _on_common_units(terms: Sequence[tuple[float, Measured]]) -> list[tuple[float, Measured]]:
    counted = [sample.ids for _, sample in terms if isinstance(sample, Sample)]
    if not counted:
        return list(terms)
    ids = counted[0]
    for other in counted[1:]:
        ids = np.intersect1d(ids, other)
    if not ids.size:
        raise ValueError("nothing in common to compare")
    return [(weight, sample.at(ids) if isinstance(sample, Sample) else sample) for weight, sample in terms]


def _possible(terms: Sequence[tuple[float, Measured]]) -> tuple[float, float]:
    """What the sum can be at least and at most, where every term is a mean of shares of 1."""
    if not all(isinstance(sample, Sample) and sample.is_share for _, sample in terms):
        return -np.inf, np.inf
    weights = [weight for weight, _ in terms]
    return sum(min(weight, 0.0) for weight in weights), sum(max(weight, 0.0) for weight in weights)


def _are_alike(terms: Sequence[tuple[float, Measured]]) -> bool:
    """Whether each sample has the same of all units: none is solved, or all are."""
    samples = [sample for _, sample in terms if isinstance(sample, Sample)]
    return all(float(np.ptp(sample.above.mean(axis=0))) < _SAME for sample in samples)


def _num_units(sample: Measured) -> int:
    return int(sample.ids.size) if isinstance(sample, Sample) else sample.num_units


def _num_replicates(sample: Measured) -> int:
    return int(sample.above.shape[0] if isinstance(sample, Sample) else sample.values.size)


def _replicate_values(sample: Measured) -> Floats:
    """The value of each replicate."""
    if isinstance(sample, Recorded):
        return sample.values
    return np.asarray(sample.above.sum(axis=1) / sample.below.sum(axis=1))


def _varies(sample: Measured) -> bool:
    """Whether resampling shows how sure a number is: not of one unit, nor of one without an error."""
    if isinstance(sample, Sample):
        return sample.ids.size > 1
    return sample.values.size > 1 or bool(sample.errors.any())


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
