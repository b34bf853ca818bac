"""The grammar of schedules: which steps of a run are kept, in steps, tokens or fractions of the run."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from exc.spec.base import Fraction, Model, PositiveFloat, PositiveInt
from exc.spec.units import Tokens


class StepRange(Model):
    """`{start, stop, num | every}` in steps; both ends belong to it."""

    start: PositiveInt = Field(description="the first point")
    stop: PositiveInt = Field(description="the end; with `every`, nothing lies behind it")
    num: PositiveInt | None = Field(default=None, description="how many points; this or `every`")
    every: PositiveInt | None = Field(default=None, description="how far apart; this or `num`")
    spacing: Literal["linear", "log"] = Field(
        default="linear", description="equal distances, or equal ratios (takes `num`)"
    )


class TokenRange(Model):
    """`{start, stop, num | every}` in tokens; both ends belong to it."""

    start: Tokens = Field(description="the first point")
    stop: Tokens = Field(description="the end; with `every`, nothing lies behind it")
    num: PositiveInt | None = Field(default=None, description="how many points; this or `every`")
    every: Tokens | None = Field(default=None, description="how far apart; this or `num`")
    spacing: Literal["linear", "log"] = Field(
        default="linear", description="equal distances, or equal ratios (takes `num`)"
    )


class FractionRange(Model):
    """`{start, stop, num | every}` as fractions of the whole run; both ends belong to it."""

    start: Fraction = Field(description="the first point")
    stop: Fraction = Field(description="the end; with `every`, nothing lies behind it")
    num: PositiveInt | None = Field(default=None, description="how many points; this or `every`")
    every: PositiveFloat | None = Field(default=None, description="how far apart; this or `num`")
    spacing: Literal["linear", "log"] = Field(
        default="linear", description="equal distances, or equal ratios (takes `num`)"
    )


class FactorRange(Model):
    """`{start, stop, num | every}` as multiples of a compute-optimal run; both ends belong to it."""

    start: PositiveFloat = Field(description="the first point")
    stop: PositiveFloat = Field(description="the end; with `every`, nothing lies behind it")
    num: PositiveInt | None = Field(default=None, description="how many points; this or `every`")
    every: PositiveFloat | None = Field(default=None, description="how far apart; this or `num`")
    spacing: Literal["linear", "log"] = Field(
        default="linear", description="equal distances, or equal ratios (takes `num`)"
    )


class Schedule(Model):
    """Steps of a run. A bare list in YAML is `{steps: [...]}`; the parts given are united.

    All count from the start of the run itself, also where it starts from a model.
    """

    SHORT: ClassVar[str] = "a list of steps"

    steps: tuple[PositiveInt, ...] | StepRange | None = Field(default=None, description="steps")
    every: PositiveInt | None = Field(
        default=None, description="every so many steps, from the first multiple on"
    )
    tokens: tuple[Tokens, ...] | TokenRange | None = Field(
        default=None, description="tokens since the start of the run"
    )
    fraction: tuple[Fraction, ...] | FractionRange | None = Field(
        default=None, description="fractions of the whole run"
    )
    chinchilla: tuple[PositiveFloat, ...] | FactorRange | None = Field(
        default=None,
        description="multiples of 20 tokens per parameter of the model, all counted (arXiv 2203.15556)",
    )
    include: tuple[Literal["first", "last"] | PositiveInt, ...] = Field(
        default=(), description="single steps to add; `first` is step 1"
    )
    snap: Literal["exact", "nearest", "floor"] = Field(
        default="exact",
        description="a point between two steps is an error, the nearest step, or the one before",
    )
