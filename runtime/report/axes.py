"""Where values stand on an axis: limits, ticks, and the way from a value to a place in the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOG_FROM = 8.0  # ratio of the largest to the smallest token count above which the axis is logarithmic
_MIN_TICK_GAP = 0.11  # of an axis in a file; nearer checkpoints leave their tick label to the neighbour
_PADDING = 0.05  # of the values' span, at each end


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


def token_ticks(tokens: Sequence[int], gap: float = _MIN_TICK_GAP) -> list[float]:
    """Checkpoints only: the last one, and from the right all that leave room for their label.

    `gap` is the share of the axis that a label takes.
    """
    logarithmic = is_logarithmic(tokens)
    place = [math.log(value) if logarithmic else float(value) for value in tokens]
    span = place[-1] - place[0] or 1.0
    kept: list[int] = []
    for index in reversed(range(len(tokens))):
        if not kept or (place[kept[-1]] - place[index]) / span >= gap:
            kept.append(index)
    return [float(tokens[index]) for index in reversed(kept)]


def padded(values: Iterable[float]) -> tuple[float, float]:
    """Limits with some air about the values, wider than nothing."""
    found = [value for value in values if math.isfinite(value)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    air = _PADDING * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air


def token_axis(tokens: Sequence[int], start: float, end: float) -> Axis:
    """The axis of rising token counts, with air at both ends."""
    logarithmic = is_logarithmic(tokens)
    if not logarithmic:
        return Axis(*padded(tokens), start, end)
    low, high = padded([math.log(tokens[0]), math.log(tokens[-1])])
    return Axis(math.exp(low), math.exp(high), start, end, logarithmic=True)


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
