"""Where a completion ends: at a stop string, which belongs to its tokens but not to its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """Return what stands before the first stop string."""
    places = [place for place in map(text.find, stop) if place >= 0]
    return text[: min(places)] if places else text


def keep_until_stop(tokenizer: Any, ids: Sequence[int], stop: Sequence[str]) -> tuple[int, bool]:
    """Return how many tokens to keep so that a stop string is complete, and whether there is one.

    Without one, padding behind a completion that ended early is left out.
    """

    def stopped(length: int) -> bool:
        text = tokenizer.decode(ids[:length], skip_special_tokens=True)
        return any(string in text for string in stop)

    length = len(ids)
    if not stopped(length):
        while length > 1 and ids[length - 1] == tokenizer.pad_token_id:
            length -= 1
        return length, False
    low, high = 1, length  # the first `high` tokens hold a stop string, fewer than `low` do not
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if stopped(middle) else (middle + 1, high)
    return high, True
