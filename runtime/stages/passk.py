"""Estimators over the samples of one problem."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Return the chance that at least one of `k` samples is right, drawn without replacement from the given.

    This is the unbiased estimator 1 - C(n-c, k) / C(n, k). It is taken over whole numbers and divided once,
    so that the result is the nearest float and nothing cancels, however small it is.
    Raises ValueError unless 1 <= k <= n and 0 <= c <= n.
    """
    if not 1 <= k <= num_samples or not 0 <= num_correct <= num_samples:
        raise ValueError(f"pass@{k} is not defined for {num_correct} right of {num_samples} samples")
    total = math.comb(num_samples, k)
    return (total - math.comb(num_samples - num_correct, k)) / total


def majority(votes: Iterable[tuple[str | None, bool]]) -> float:
    """Return the credit of the most frequent answer; `votes` are (normalised answer, whether it is right).

    Samples without an answer (None) do not vote. Among t answers that tie for most votes, one is thought of
    as drawn at random, so the credit is the share of right ones among the t. Without any vote it is 0.
    """
    counts: dict[str, int] = defaultdict(int)
    right: set[str] = set()
    for answer, correct in votes:
        if answer is None:
            continue
        counts[answer] += 1
        if correct:
            right.add(answer)
    if not counts:
        return 0.0
    most = max(counts.values())
    tied = [answer for answer, count in counts.items() if count == most]
    return sum(answer in right for answer in tied) / len(tied)
