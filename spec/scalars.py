"""What a plain (unquoted) scalar means: the YAML 1.2 core schema, and nothing more.

YAML 1.1, which most Python loaders follow, reads `1e-6` as text, `no` as false and `010` as 8.
"""

from __future__ import annotations

import re

Plain = str | bool | int | float | None

_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED_INT = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_NUMBER_STARTS = frozenset("+-.0123456789")
# Python refuses to read longer decimals. Such a "number" stays text, and fails as text.
_MAX_DIGITS = 4000


def resolve_plain(raw: str) -> Plain:
    """The value of the unquoted scalar `raw`; text when it is nothing else."""
    if not raw or raw[0] not in _NUMBER_STARTS:
        return _WORDS.get(raw, raw)
    if len(raw) > _MAX_DIGITS:
        return raw
    if _INT.match(raw):
        return int(raw)
    if _FLOAT.match(raw):
        return float(raw)
    if _BASED_INT.match(raw):
        return int(raw, 0)
    if found := _INFINITE.match(raw):
        return float(f"{found[1]}inf")
    return float("nan") if raw in _NAN else raw
