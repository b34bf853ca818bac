"""Sums of two numbers for the miniatures: documents of a model that half knows how, and problems."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator


def documents(seed: int, count: int) -> Iterator[dict[str, str]]:
    """Yield questions with answers of which seven in ten are right; held-out questions are never shown."""
    rng = random.Random(f"documents {seed}")
    for _ in range(count):
        left, right = _numbers(rng)
        if not _is_held_out(left, right):
            shown = left + right if rng.random() < 0.7 else rng.randrange(10, 100)
            yield {"text": f"Q:{left}+{right}=?\n#### {shown}\n"}


def problems(split: str, seed: int, count: int) -> Iterator[dict[str, object]]:
    """Yield `count` different problems of the "train" or "test" split."""
    rng = random.Random(f"problems {split} {seed}")
    seen: set[tuple[int, int]] = set()
    while len(seen) < count:
        pair = _numbers(rng)
        if pair not in seen and _is_held_out(*pair) == (split == "test"):
            seen.add(pair)
            yield {"question": f"{pair[0]}+{pair[1]}", "answer": str(sum(pair)), "demonstrations": [f"#### {sum(pair)}"]}


def _numbers(rng: random.Random) -> tuple[int, int]:
    return rng.randrange(10, 30), rng.randrange(10, 30)


def _is_held_out(left: int, right: int) -> bool:
    return hashlib.sha256(f"{left}+{right}".encode()).digest()[0] < 64  # about a quarter
