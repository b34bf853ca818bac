"""Sums of two numbers for the miniature: documents for a model that half knows how, and problems."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator


def documents(seed: int, count: int, right: float = 0.7, split: str = "train") -> Iterator[dict[str, str]]:
    """Yield texts with a question of the split and an answer, of which the share `right` is right."""
    rng = random.Random(f"documents {split} {seed}")
    for _ in range(count):
        first, second = _numbers(rng)
        if _split(first, second) == split:
            shown = first + second if rng.random() < right else rng.randrange(20, 59)
            yield {"text": f"Q:{first}+{second}=?\n#### {shown}\n"}


def problems(split: str, seed: int, count: int) -> Iterator[dict[str, object]]:
    """Yield `count` different problems of the "train" or "test" split; no document shows one of "test"."""
    rng = random.Random(f"problems {split} {seed}")
    seen: set[tuple[int, int]] = set()
    while len(seen) < count:
        pair = _numbers(rng)
        if pair not in seen and _split(*pair) == split:
            seen.add(pair)
            yield {"question": f"{pair[0]}+{pair[1]}", "answer": str(sum(pair))}


def _numbers(rng: random.Random) -> tuple[int, int]:
    return rng.randrange(10, 30), rng.randrange(10, 30)


def _split(first: int, second: int) -> str:
    """About a quarter of the 400 questions are "test"."""
    return "test" if hashlib.sha256(f"{first}+{second}".encode()).digest()[0] < 64 else "train"
