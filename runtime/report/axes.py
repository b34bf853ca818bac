"""Where values stand on an axis: limits, ticks, and the way from a value to a place in the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exc.runtime.report.formats import count
from exc.runtime.report.panels import Across

LOG_FROM = 8.0  # ratio of the largest to the smallest token count above which the axis is logarithmic
_PADDING = 0.05  # of the values' span, at each end
_SLANTED = 0.35  # of the room for a number's label, that a slanted name takes beside another
_NAMES_AIR = 0.5  # about the outermost names, in places
Tick = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high` stand from `start` to `end`, which may be the smaller one."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def is_logarithmic(tokens: Sequence[float]) -> bool:
    """Of rising token counts, whether they are drawn on a logarithmic axis."""
    return tokens[0] > 0 and tokens[-1] / tokens[0] >= LOG_FROM


def padded(values: Iterable[float]) -> tuple[float, float]:
    """Limits with some air about the values, wider than nothing."""
    found = [value for value in values if math.isfinite(value)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    air = _PADDING * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` + 1 multiples of 1, 2, 2.5 or 5 times a power of ten within the limits."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, last + 1)]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """All with the decimals that the finest of them needs, and a real minus."""
    digits = next((n for n in range(12) if all(abs(round(t, n) - t) < 1e-9 for t in ticks)), 12)
    return [f"{tick:.{digits}f}".replace("-", "\u2212") for tick in ticks]


def is_log(across: Across, xs: Sequence[float]) -> bool:
    """Whether an axis is logarithmic: as it says, or as its rising places need."""
    if across.kind == "names" or not xs or xs[0] <= 0:
        return False
    return is_logarithmic(xs) if across.logarithmic is None else across.logarithmic


def place_axis(across: Across, xs: Sequence[float], start: float, end: float, *, beside: bool) -> Axis:
    """The axis across, with air at both ends; for what stands `beside` each other, half a place."""
    if is_log(across, xs):
        low, high = padded([math.log(xs[0]), math.log(xs[-1])])
        return Axis(math.exp(low), math.exp(high), start, end, logarithmic=True)
    if across.kind == "names" and beside:
        return Axis(xs[0] - _NAMES_AIR, xs[-1] + _NAMES_AIR, start, end)
    return Axis(*padded(xs), start, end)


def place_ticks(across: Across, axis: Axis, xs: Sequence[float], room: float) -> list[Tick]:
    """Where words stand under the axis. `room` is the share of the axis that a number's label takes."""
    if across.kind == "tokens":
        return _apart([(x, count(x)) for x in xs], axis, room)
    if across.kind == "names":
        named = [(place, text) for place, text in across.names if place in set(xs)]
        if not across.together:
            return _apart(named, axis, room)
        return named if len(named) * _SLANTED * room <= 1 else []
    if axis.logarithmic:
        return [(tick, count(tick)) for tick in log_ticks(axis.low, axis.high)]
    return [(tick, count(tick) if tick >= 0 else f"{tick:g}") for tick in round_ticks(axis.low, axis.high, 5)]


def is_slanted(across: Across, ticks: Sequence[Tick], axis: Axis, room: float) -> bool:
    """Whether names that are all to be there do not fit beside each other, level as they are."""
    return across.together and len(_apart(ticks, axis, room)) < len(ticks)


def _apart(ticks: Sequence[Tick], axis: Axis, room: float) -> list[Tick]:
    """Those that leave each other room: words before numbers, and of numbers the last first."""
    span = abs(axis.end - axis.start)
    letters = 5  # that `room` is for
    kept: list[Tick] = []
    order = [tick for tick in ticks if not tick[1][:1].isdigit()]
    order += [tick for tick in reversed(ticks) if tick not in order]
    for value, text in order:
        width = room * span * max(len(text), letters) / letters

        def clear(other: Tick, value: float = value, width: float = width) -> bool:
            theirs = room * span * max(len(other[1]), letters) / letters
            return abs(axis.place(value) - axis.place(other[0])) >= (width + theirs) / 2

        if all(clear(other) for other in kept):
            kept.append((value, text))
    return sorted(kept)


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within the limits; with 2 and 5 times them where those are fewer than three."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [10.0**power for power in range(first, last + 1)]
    tens = [tick for tick in powers if low <= tick <= high]
    if len(tens) > 2:
        return tens[:: -(-len(tens) // 6)]
    return [f * p for p in powers for f in (1, 2, 5) if low <= f * p <= high]
