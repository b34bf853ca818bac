"""Values of trainer fields against the closed type notation of the TRL tables: int, list[float], null, ..."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from exc.spec.words import cut

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "`true` or `false`",
    "dict": "a mapping",
    "list[int]": "a list of whole numbers",
    "list[float]": "a list of numbers",
    "list[str]": "a list of texts",
    "null": "`null`",
}
_TRUE = frozenset({"true", "yes", "on", "y", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "0"})
_SHOWN_CHARACTERS = 40


def accepts(name: str, value: object) -> bool:
    """Whether a plain value is of one type of the notation. A bool is no number."""
    if name.startswith("list["):
        return isinstance(value, list) and all(accepts(name[5:-1], item) for item in value)
    if isinstance(value, bool):
        return name == "bool"
    if isinstance(value, int):
        # JSON readers hold integers of 64 bits.
        return (name == "int" and -(2**63) <= value < 2**63) or (name == "float" and abs(value) <= 2**1000)
    if isinstance(value, float):
        return name == "float" and math.isfinite(value)
    if isinstance(value, Mapping):
        return name == "dict" and _is_json(value)
    return (name == "str" and isinstance(value, str)) or (name == "null" and value is None)


def within(value: float, least: str, most: float | None) -> bool:
    """Whether a number is above 0, or at least 0, as `least` says (`>0`, `>=0`), and `most` at most."""
    return (value > 0 or (value == 0 and least == ">=0")) and (most is None or value <= most)


def bounds_in_words(least: str, most: float | None) -> str:
    """The bounds as they go on after the word "expected"."""
    if least == ">=0":
        return "a number, 0 or more" if most is None else f"a number from 0 to {most:g}"
    return "a number above 0" + ("" if most is None else f", {most:g} at most")


def typed(value: object, types: str) -> object:
    """A fresh copy of an accepted value, in which integers given for real numbers are real numbers."""
    names = types.split(" | ")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # -0.0 becomes 0.0.
        return float(value) + 0.0 if "float" in names and "int" not in names else value
    if isinstance(value, list) and "list[float]" in names:
        return [float(item) + 0.0 for item in value]
    return _copy(value)


def canonical(value: object) -> object:
    """A copy in which the keys of every mapping are in order."""
    if isinstance(value, Mapping):
        return {key: canonical(value[key]) for key in sorted(value)}
    return [canonical(item) for item in value] if isinstance(value, list) else value


def in_words(types: Sequence[str]) -> str:
    """The types as they go on after the word "expected"."""
    words = [_WORDS[name] for name in types]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def shown(value: object) -> str:
    """A value as a message quotes it: as YAML would spell it, cut when long."""
    if value is None or isinstance(value, bool):
        return f"`{'null' if value is None else str(value).lower()}`"
    if isinstance(value, (Mapping, list)):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    text = repr(value) if isinstance(value, float) else str(value)
    text = cut(text, _SHOWN_CHARACTERS)
    return f'the text "{text}"' if isinstance(value, str) else f"`{text}`"


def what_was_meant(types: Sequence[str], choices: Sequence[str], value: object) -> str | None:
    """A hint that spells a value of the wrong type as it was probably meant."""
    if isinstance(value, str):
        return _text_meant(types, value)
    if isinstance(value, bool):
        return _bool_meant(choices, value)
    if isinstance(value, list) and len(value) > 1 and not any(name.startswith("list") for name in types):
        return "for a run with each of them, make it an axis of a `matrix`"
    if isinstance(value, float) and "int" in types and value.is_integer():
        return f"write `{int(value)}`"
    if isinstance(value, int) and value in (0, 1) and "bool" in types:
        return f"write `{str(bool(value)).lower()}`"
    return None


def _text_meant(types: Sequence[str], text: str) -> str | None:
    word = text.strip().lower()
    if "bool" in types and word in _TRUE | _FALSE:
        return f"write `{'true' if word in _TRUE else 'false'}`"
    if "null" in types and word in {"none", "null", "~", ""}:
        return "write `null`"
    if "dict" in types:
        return "write the mapping itself: JSON text or a path would hide what it holds"
    if "list[str]" in types:
        return f"write a list: `[{text}]`"
    number = _number(word)
    if number is None or not ({"int", "float"} & set(types)):
        return None
    if "float" not in types:
        return f"write `{int(number)}`, without quotes" if number.is_integer() else None
    return f"write `{word}`, without quotes"


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bool_meant(choices: Sequence[str], value: bool) -> str | None:
    # TRL's and transformers' own readings of a bool for such a field.
    for word in ("group", "all") if value else ("none", "no"):
        if word in choices:
            return f"write `{word}`"
    return None


def _is_json(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    return any(accepts(name, value) for name in ("bool", "int", "float", "str", "null"))


def _copy(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
