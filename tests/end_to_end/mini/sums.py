"""Sums of two digits: documents to pre-train on, problems, and a verifier."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping


def documents(count: int) -> Iterator[dict[str, str]]:
    rng = random.Random("documents")
    for _ in range(count):
        a, b = rng.randrange(10), rng.randrange(10)
        yield {"text": f"{a}+{b}={a + b}\n"}


def problems(count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        a, b = divmod(number * 7 % 100, 10)
        yield {"question": f"{a}+{b}", "answer": a + b, "demonstrations": [f"{a + b}\n"]}


def verify(completion: str, answer: str, row: Mapping[str, object]) -> bool | None:  # noqa: ARG001
    """Ask for the last digit to be odd where the sum is: right often enough to learn from."""
    digits = [character for character in completion if character.isdigit()]
    return int(digits[-1]) % 2 == int(answer) % 2 if digits else None
