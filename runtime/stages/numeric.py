"""Finding the number that a solution ends in, and comparing numbers by value."""

from __future__ import annotations

import re
from collections import deque
from fractions import Fraction

MAX_DIGITS = 60  # a longer run of digits is babble, not an answer
MAX_EXPONENT = 60

# A sign counts only where it cannot be an operator or a hyphen: "7-4" ends in 4, "is -4" in -4.
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)"
_NUMBER = (
    rf"(?P<sign>(?<![\w).])[-+])?(?P<whole>{_DIGITS})?(?P<decimals>\.\d+)?(?P<exponent>[eE][-+]?\d{{1,4}}(?!\w))?"
    r"(?:\s?/\s?(?P<denominator>\d+)(?!\d|\.\d))?"
)
# Something must stand before the exponent: a whole part, or decimals that do not follow a digit or a dot.
NUMBER = re.compile(rf"(?=[-+]?\d|[-+]?(?<![\d.])\.\d){_NUMBER}", re.ASCII)
_HASHES = re.compile(r"####\s*(?=[-+]?\.?\d)", re.ASCII)
_HASH = re.compile(r"(?<![#\w])#\s?(?=[-+]?\.?\d)", re.ASCII)
_BRACE = re.compile(r"\\boxed\s*\{|\\[{}]|[{}]")

_THIN_SPACE = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_FRAC = re.compile(
    r"(?:(\d{1,12})\s*)?\\[dt]?frac\s*(?:\{\s*([-+]?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))", re.ASCII
)
_MIXED = re.compile(r"(?<![\d.,/^])(\d{1,12})\s(\d{1,3})\s?/\s?(\d{1,3})(?![\d/]|\.\d)", re.ASCII)
# Of a unit or a letter, not of a number: the 2 of `cm^2`, `\text{ cm}^2` and `x^{2}`.
_POWER = re.compile(r"(?<=[A-Za-z}])\s*\^\s*(?:\{\s*[-+]?\d+\s*\}|[-+]?\d+)", re.ASCII)
_CURRENCY = "$\u20ac\u00a3\u00a5"
# LaTeX's escaped currency and percent, its thin spaces and its "1{,}234".
_LATEX = ((r"\$", ""), (r"\%", "%"), (r"\,", "\u2009"), (r"\;", " "), (r"\:", " "), (r"\!", ""), ("{,}", ","))


def find_number(text: str) -> Fraction | None:
    """Return the number that `text` gives as its answer, or None.

    The first of these that is there decides: the last `\\boxed{...}`; the first `#### 12`; the first `#12`;
    the last number of the text. A box without a number is no answer. Thousands separators, currency, percent
    signs, trailing dots and powers of units do not count; `1/2`, `\\frac{1}{2}` and `0.5` are the same, and
    `3 1/2` is 3.5. Numbers of more than 60 digits, and division by zero, are no answer.
    """
    text = _plain(text)
    boxed = last_boxed(text)
    if boxed is not None:
        return _last_number(boxed)
    for marker in (_HASHES, _HASH):
        found = marker.search(text)
        if found is not None:
            return _value(NUMBER.match(text, found.end()))
    return _last_number(text)


def _plain(text: str) -> str:
    """Reduce LaTeX, currency and the digits of other scripts to plain ASCII numbers."""
    if not text.isascii():
        text = "".join(str(int(char)) if char.isdecimal() else char for char in text)
        text = text.replace("\u2212", "-")
    for old, new in _LATEX:
        text = text.replace(old, new)
    text = _THIN_SPACE.sub(",", text)
    text = re.sub(rf"(?<=\d)[{_CURRENCY}]+(?=\d)", " ", text)
    text = text.translate(dict.fromkeys(map(ord, _CURRENCY)))
    text = _FRAC.sub(_fraction, _POWER.sub("", text))
    return _MIXED.sub(_mixed, text)


def _mixed(found: re.Match[str]) -> str:
    """Rewrite "3 1/2" as "7/2"; what is no part of one, as in "2 5/3", stays."""
    whole, top, bottom = (int(group) for group in found.groups())
    return f"{whole * bottom + top}/{bottom}" if top < bottom else found[0]


def _fraction(found: re.Match[str]) -> str:
    r"""Rewrite "3\frac{1}{2}" as "7/2"."""
    whole, top, bottom = found[1], found[2] or found[3], found[4] or found[5]
    if whole is None or len(top) + len(bottom) > MAX_DIGITS:
        return f"{whole or ''}{top}/{bottom}"
    return f"{int(whole) * int(bottom) + int(top)}/{bottom}"


def last_boxed(text: str) -> str | None:
    """Return what the last complete `\\boxed{...}` holds; braces inside it may nest, and may be missing."""
    content = None
    opened: list[tuple[bool, int]] = []  # is it a box; where its content starts
    for found in _BRACE.finditer(text):
        if found[0].endswith("{") and found[0] != r"\{":
            opened.append((found[0] != "{", found.end()))
        elif found[0] == "}" and opened:
            is_box, start = opened.pop()
            if is_box:
                content = text[start : found.start()]
    return content


def _last_number(text: str) -> Fraction | None:
    last = deque(NUMBER.finditer(text), maxlen=1)
    return _value(last[0]) if last else None


def _value(found: re.Match[str] | None) -> Fraction | None:
    if found is None or len(found[0]) > 2 * MAX_DIGITS:
        return None
    whole, decimals, exponent = found["whole"] or "0", found["decimals"] or "", found["exponent"] or ""
    if len(whole) > MAX_DIGITS or len(decimals) > MAX_DIGITS:
        return None
    if exponent and abs(int(exponent[1:])) > MAX_EXPONENT:
        return None
    value = Fraction(whole.replace(",", "") + decimals + exponent)
    if found["denominator"] is not None:
        if int(found["denominator"]) == 0:
            return None
        value /= int(found["denominator"])
    return -value if found["sign"] == "-" else value
