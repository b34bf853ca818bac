"""The grammar of schedules: which steps of a run are kept, in steps, tokens or fractions of the run."""

from __future__ import annotations

from typing import Literal

from exc.spec.base import Fraction, Model, PositiveFloat, PositiveInt
from exc.spec.units import Tokens


class StepRange(Model):
    """`{start, stop, num | every}` in steps; both ends belong to it."""

    start: PositiveInt
    stop: PositiveInt
    num: PositiveInt | None = None
    every: PositiveInt | None = None
    spacing: Literal["linear", "log"] = "linear"


class TokenRange(Model):
    """`{start, stop, num | every}` in tokens; both ends belong to it."""

    start: Tokens
    stop: Tokens
    num: PositiveInt | None = None
    every: Tokens | None = None
    spacing: Literal["linear", "log"] = "linear"


class FractionRange(Model):
    """`{start, stop, num | every}` as fractions of the whole run; both ends belong to it."""

    start: Fraction
    stop: Fraction
    num: PositiveInt | None = None
    every: PositiveFloat | None = None
    spacing: Literal["linear", "log"] = "linear"


class Schedule(Model):
    """Steps of a run. A bare list in YAML is `{steps: [...]}`; the parts given are united."""

    steps: tuple[PositiveInt, ...] | StepRange | None = None
    every: PositiveInt | None = None
    tokens: tuple[Tokens, ...] | TokenRange | None = None
    fraction: tuple[Fraction, ...] | FractionRange | None = None
    include: tuple[Literal["first", "last"] | PositiveInt, ...] = ()
    snap: Literal["exact", "nearest", "floor"] = "exact"
