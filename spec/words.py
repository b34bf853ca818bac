"""How numbers of things, lists of names and long texts are said to a person."""

from __future__ import annotations

from collections.abc import Iterable


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 job`, `1,200 jobs`; `many` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def listed(names: Iterable[str], most: int) -> str:
    """`a, b, c`; of more than `most`, the first and how many others: `a, b and 3 more`."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def first_line(error: Exception) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, its end replaced by `...` where it is longer."""
    return text if len(text) <= most else text[: most - 3] + "..."
