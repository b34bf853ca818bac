"""Estimators over the samples of one problem."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction


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


def majority_at_k(votes: Sequence[tuple[str | None, bool]], k: int) -> Fraction:
    """Return what `majority` gives on average over all ways to draw `k` of the samples, without replacement.

    It is exact: for each right answer, the draws are counted in which it has m votes, no other answer has
    more, and t others have as many, which shares the credit among t + 1. Raises ValueError unless
    1 <= k <= n.
    """
    if not 1 <= k <= len(votes):
        raise ValueError(f"maj@{k} is not defined for {len(votes)} samples")
    counts = Counter(answer for answer, _ in votes if answer is not None)
    right = {answer for answer, correct in votes if answer is not None and correct}
    silent = len(votes) - sum(counts.values())
    credit = Fraction(0)
    for answer in sorted(right):
        others = [count for other, count in counts.items() if other != answer]
        for m in range(1, min(counts[answer], k) + 1):
            own = math.comb(counts[answer], m)
            for ties, ways in enumerate(_draws(others, silent, m, k - m)):
                credit += Fraction(own * ways, ties + 1)
    return credit / math.comb(len(votes), k)


def _draws(others: Sequence[int], silent: int, most: int, size: int) -> list[int]:
    """In how many ways `size` votes are drawn so that no other answer has over `most`, by how many have it.

    `others` are the votes that there are of each other answer; `silent` samples do not vote.
    """
    ways = [[0] * (size + 1) for _ in range(size // most + 1)]  # ties -> votes drawn -> ways
    ways[0][0] = 1
    free = silent
    for count in others:
        if count < most:  # nothing of it can reach `most`: it is drawn from as from the silent ones
            free += count
            continue
        after = [[0] * (size + 1) for _ in ways]
        for ties, row in enumerate(ways):
            for drawn, number in enumerate(row):
                if not number:
                    continue
                for more in range(min(most, size - drawn) + 1):
                    tied = ties + (more == most)
                    after[tied][drawn + more] += number * math.comb(count, more)
        ways = after
    return [
        sum(number * math.comb(free, size - drawn) for drawn, number in enumerate(row) if number)
        for row in ways
    ]


def answer_entropy(answers: Iterable[str]) -> float:
    """Return the entropy, in bits, of the shares that a problem's samples give to each answer; 0 for none.

    It is that of the samples themselves, which is below the model's own while samples are few.
    """
    counts = Counter(answers)
    total = counts.total()
    return -math.fsum(count / total * math.log2(count / total) for count in counts.values()) + 0.0
