"""Amounts as people write them: `50B` tokens, `1h30m`, `40GB`; and back.

Everything is a whole number of tokens, seconds or bytes. Suffixes are decimal except the `i` ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue

TOKEN_UNITS = {"T": 10**12, "B": 10**9, "M": 10**6, "k": 10**3}
DURATION_UNITS_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
DECIMAL_BYTE_UNITS = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}
BINARY_BYTE_UNITS = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
BYTE_UNITS = {**DECIMAL_BYTE_UNITS, **BINARY_BYTE_UNITS}

TOKENS_EXPECTED = "a number of tokens such as 50B, 1.5M or 4096 (k, M, B or T)"
DURATION_EXPECTED = "a duration such as 8h, 90m, 1h30m, 45s or 2d"
BYTES_EXPECTED = "a size such as 40GB, 512MB or 1GiB"

# Digits are bounded, so that no exponent can ask for a number that fills the memory.
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"
_TOKENS = re.compile(rf"({_NUMBER}(?:[eE]\+?[0-9]{{1,2}})?)([kMBT]?)\Z")
_DURATION = re.compile(rf"(?:({_NUMBER})d)?(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?\Z")
_BYTES = re.compile(rf"({_NUMBER})([kMGT]?B|[KMGT]iB)\Z")
_CLOCK = re.compile(r"(?:(\d{1,3})-)?(\d{1,3}):(\d{2})(?::(\d{2}))?\Z")
_AMOUNT = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)(?:\s*tokens?)?\Z")
_PART = re.compile(rf"({_NUMBER})\s*([a-z]+)")
_SPELLED = re.compile(rf"(?:{_NUMBER}\s*[a-z]+\s*)+\Z")

# What people write instead, in lower case -> the unit here.
_TOKEN_WORDS = {
    "": "", "k": "k", "thousand": "k", "m": "M", "mio": "M", "million": "M", "t": "T", "trillion": "T",
    "b": "B", "bn": "B", "bt": "B", "g": "B", "billion": "B",
}  # fmt: skip
_DURATION_WORDS = {
    "d": "d", "day": "d", "h": "h", "hr": "h", "hour": "h",
    "m": "m", "min": "m", "minute": "m", "s": "s", "sec": "s", "second": "s",
}  # fmt: skip
_BYTE_WORDS = {
    "b": "B", "byte": "B", "bytes": "B", "k": "kB", "kb": "kB", "m": "MB", "mb": "MB", "g": "GB", "gb": "GB",
    "t": "TB", "tb": "TB", "ki": "KiB", "kib": "KiB", "mi": "MiB", "mib": "MiB", "gi": "GiB", "gib": "GiB",
    "ti": "TiB", "tib": "TiB",
}  # fmt: skip


class UnitError(ValueError):
    """An amount that cannot be read. `expected` goes on after "expected"; `hint` is a sentence or None."""

    def __init__(self, found: object, expected: str, near: str | None = None) -> None:
        self.expected = expected
        self.hint = f"did you mean `{near}`?" if near is not None else None
        shown = f"`{found}`" if isinstance(found, str | int | float) else type(found).__name__
        super().__init__(f"expected {expected}, found {shown}" + (f"; {self.hint}" if self.hint else ""))


def parse_tokens(value: object) -> int:
    """`50B`, `1.5M` or a whole number -> tokens. Raises UnitError (a ValueError)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and value.is_integer() and 0 <= value < 1e18:
        return int(value)  # 1e9 is a number that people write for tokens
    if isinstance(value, str) and (found := _TOKENS.match(value)):
        tokens = _whole([(found[1], TOKEN_UNITS.get(found[2], 1))])
        if tokens is not None:
            return tokens
        raise UnitError(value, "a whole number of tokens")
    raise UnitError(value, TOKENS_EXPECTED, _near(value, _TOKEN_WORDS, parse_tokens))


def parse_duration_s(value: object) -> int:
    """`8h`, `90m`, `1h30m`, `45s` or `2d` -> seconds. Raises UnitError (a ValueError)."""
    if isinstance(value, str) and value and (found := _DURATION.match(value)):
        seconds = _whole(zip(found.groups(default="0"), DURATION_UNITS_S.values(), strict=True))
        if seconds is not None:
            return seconds
        raise UnitError(value, "a whole number of seconds")
    raise UnitError(value, DURATION_EXPECTED, _near_duration(value))


def parse_bytes(value: object) -> int:
    """`40GB`, `200kB` or `1GiB` -> bytes. Raises UnitError (a ValueError)."""
    if isinstance(value, str) and (found := _BYTES.match(value)):
        size = _whole([(found[1], BYTE_UNITS[found[2]])])
        if size is not None:
            return size
        raise UnitError(value, "a whole number of bytes")
    raise UnitError(value, BYTES_EXPECTED, _near(value, _BYTE_WORDS, parse_bytes))


def _whole(parts: Iterable[tuple[str, int]]) -> int | None:
    """The sum of number x unit, exactly; None when it is not whole."""
    total = sum((Fraction(number) * unit for number, unit in parts), Fraction(0))
    return total.numerator if total.denominator == 1 else None


def format_tokens(tokens: int, digits: int | None = None) -> str:
    """50_000_000_000 -> `50B`: exact, so that parse_tokens gives it back.

    With `digits`, rounded to so many significant ones for a table: 2_097_152_000 -> `2.1B` at 2.
    """
    if digits is not None:
        return _rounded(tokens, {**TOKEN_UNITS, "": 1}, digits)
    return _exact(tokens, {**TOKEN_UNITS, "": 1})


def format_duration(seconds: int) -> str:
    """5400 -> `1h30m`; 0 -> `0s`. Exact."""
    parts = []
    for unit, length in DURATION_UNITS_S.items():
        number, seconds = divmod(seconds, length)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def format_bytes(size: int, digits: int | None = None) -> str:
    """40_000_000_000 -> `40GB`, 2**30 -> `1GiB`: exact; with `digits`, rounded in decimal units."""
    if digits is not None:
        return _rounded(size, DECIMAL_BYTE_UNITS, digits)
    text = _exact(size, DECIMAL_BYTE_UNITS)
    if "." in text or text == f"{size}B":
        for unit, length in BINARY_BYTE_UNITS.items():
            if size >= length and size % length == 0:
                return f"{size // length}{unit}"
    return text


def _exact(number: int, units: Mapping[str, int]) -> str:
    """In the largest unit that leaves at most three decimals."""
    for unit, length in units.items():
        if number >= length and number * 1000 % length == 0:
            return _decimal(number, length) + unit
    return f"{number}{list(units)[-1]}"


def _rounded(number: int, units: Mapping[str, int], digits: int) -> str:
    quantum = 10 ** max(0, len(str(number)) - digits)
    rounded = (number + quantum // 2) // quantum * quantum
    unit = next((unit for unit, length in units.items() if rounded >= length), list(units)[-1])
    return _decimal(rounded, units[unit]) + unit


def _decimal(number: int, length: int) -> str:
    """number / length, exactly; `length` is a power of ten."""
    whole, rest = divmod(number, length)
    return f"{whole}.{rest:0{len(str(length)) - 1}}".rstrip("0") if rest else str(whole)


def _near(value: object, words: Mapping[str, str], parse: Callable[[object], int]) -> str | None:
    """What a slip of case, spacing or unit name most likely meant."""
    if not isinstance(value, str):
        return None
    found = _AMOUNT.match(value.strip().replace(",", "").replace("_", ""))
    if found is None or found[2].lower() not in words:
        return None
    near = found[1] + words[found[2].lower()]
    return near if near != value and _is_read(near, parse) else None


def _is_read(text: str, parse: Callable[[object], int]) -> bool:
    try:
        parse(text)
    except UnitError:
        return False
    return True


def _near_duration(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    if found := _CLOCK.match(value.strip()):
        # The scheduler's clock: [days-]hours:minutes[:seconds].
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return format_duration(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    parts = value.replace(",", " ").lower().replace(" and ", " ").strip()
    if not _SPELLED.match(parts):
        return None
    pairs = [(number, _DURATION_WORDS.get(_singular(unit), "?")) for number, unit in _PART.findall(parts)]
    near = "".join(number + unit for number, unit in pairs)
    return near if near != value and _is_read(near, parse_duration_s) else None


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 1 and word.endswith("s") else word


def _schema(readable: re.Pattern[str], description: str, numbers: bool) -> WithJsonSchema:
    """What an editor checks; `numbers`: a bare whole number is read too."""
    text: JsonSchemaValue = {"type": "string", "pattern": "^" + readable.pattern.removesuffix(r"\Z") + "$"}
    schema = {"anyOf": [{"type": "integer", "minimum": 0}, text]} if numbers else text
    return WithJsonSchema({**schema, "description": description}, mode="validation")


Tokens = Annotated[int, BeforeValidator(parse_tokens), _schema(_TOKENS, TOKENS_EXPECTED, True)]
DurationS = Annotated[int, BeforeValidator(parse_duration_s), _schema(_DURATION, DURATION_EXPECTED, False)]
Bytes = Annotated[int, BeforeValidator(parse_bytes), _schema(_BYTES, BYTES_EXPECTED, False)]
