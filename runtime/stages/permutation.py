"""Seeded permutations that are computed, not stored: position i of n in constant time and memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_MASK = (1 << 64) - 1
_ROUNDS = 6  # of the Feistel network: enough that neighbours land far apart, few enough to cost microseconds


def seed_key(*parts: int | str) -> int:
    """Return a 64-bit key for what the parts name together; ("ab", 1) and ("a", "b1") differ."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


@dataclass(frozen=True, slots=True)
class Permutation:
    """A bijection of range(size) chosen by `key`.

    A balanced Feistel network permutes the next power of four; what falls outside range(size) is permuted
    again until it falls inside, which takes fewer than four tries on average.
    """

    size: int
    key: int

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(f"{index} is not in range({self.size})")
        half = max(1, ((self.size - 1).bit_length() + 1) // 2)
        low = (1 << half) - 1
        value = index
        while True:
            left, right = value >> half, value & low
            for number in range(_ROUNDS):
                left, right = right, left ^ (_mix(right + self.key + number * 0x9E3779B97F4A7C15) & low)
            value = left << half | right
            if value < self.size:
                return value


def _mix(value: int) -> int:
    """Scramble 64 bits (the finaliser of splitmix64)."""
    value &= _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
