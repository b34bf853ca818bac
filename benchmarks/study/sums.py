"""Sums with a fixed width, so that every batch is the same work whatever the order of the rows."""

from __future__ import annotations

import random
from collections.abc import Iterator


def documents(seed: int, count: int) -> Iterator[dict[str, str]]:
    """Sums, one a line, eight to a document."""
    rng = random.Random(f"documents {seed}")
    for _ in range(count):
        yield {"text": "\n".join(_sum(rng)[0] + _sum(rng)[1] for _ in range(8))}


def problems(seed: int, count: int) -> Iterator[dict[str, object]]:
    """Questions with their answers, and the steps that lead there."""
    rng = random.Random(f"problems {seed}")
    for _ in range(count):
        question, answer = _sum(rng)
        yield {"question": question, "answer": answer, "demonstrations": [f"{answer};{answer}"]}


def _sum(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randint(100, 499), rng.randint(100, 499)
    return f"{a}+{b}=", str(a + b)
