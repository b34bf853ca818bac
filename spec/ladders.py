"""Published checkpoints of one run: the pattern of their names, and the step and tokens in a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELDS = {
    "step": r"(?P<step>\d+)",
    "index": r"(?P<index>\d+)",  # counts checkpoints from 0, so that the first is step 1
    "tokens": r"(?P<tokens>\d+(?:\.\d+)?)",
    "any": r"[^/]*?",
}
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
UNKNOWN = "*"  # stands in a name for what only the published name says


class PatternError(Exception):
    """A pattern that cannot name checkpoints; the message says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a name says. `tokens` are as rounded there; None where it says none."""

    step: int
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Names:
    """How the checkpoints of a run are called, and where they are looked for, the first place first."""

    places: tuple[str, ...]  # repositories, or one folder
    pattern: str
    tokens_per_step: int | None  # counts, where given; else what names say
    # For each place those that its owners list; empty: unknown until the names are read.
    steps: tuple[tuple[int, ...], ...] = ()


def read(pattern: str, name: str) -> Said | None:
    """What the name of a checkpoint says; None of one that does not follow the pattern."""
    found = _compiled(pattern).fullmatch(name)
    if found is None:
        return None
    groups = found.groupdict()
    step = int(groups["step"]) if "step" in groups else int(groups["index"]) + 1
    if "tokens" not in groups:
        return Said(step, None)
    return Said(step, int(Decimal(groups["tokens"]) * _unit(pattern)))


def written(pattern: str, step: int) -> str:
    """The name of a step as far as the pattern tells it; what else stands in it is UNKNOWN."""
    known = {"step": str(step), "index": str(step - 1)}
    return _FIELD.sub(lambda found: known.get(found[1], UNKNOWN), pattern)


def check_pattern(pattern: str) -> None:
    """Raises PatternError unless the pattern names checkpoints by their step."""
    fields = _FIELD.findall(pattern)
    unknown = [field for field in fields if field not in _FIELDS]
    if unknown:
        raise PatternError(f"a pattern has no field `{{{unknown[0]}}}`")
    if "{" in _FIELD.sub("", pattern) or "}" in _FIELD.sub("", pattern):
        raise PatternError("a brace in the pattern is not closed")
    if len({"step", "index"} & set(fields)) != 1:
        raise PatternError("a pattern holds one of `{step}` and `{index}`")
    twice = [field for field in ("step", "index", "tokens") if fields.count(field) > 1]
    if twice:
        raise PatternError(f"`{{{twice[0]}}}` stands twice in the pattern")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = _FIELD.split(pattern)  # literals and names of fields, in turn
    return re.compile(
        "".join(_FIELDS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)),
        re.ASCII,
    )


def _unit(pattern: str) -> int:
    """What one is in `{tokens}B`: the letter behind it says."""
    return _UNITS.get(pattern.partition("{tokens}")[2][:1].upper(), 1)
