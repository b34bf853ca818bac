"""References to models, and selectors over what exists."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from exc.spec.base import Count, Fraction, Model, PositiveInt
from exc.spec.harness import less_is_better
from exc.spec.schedule import FractionRange, StepRange, TokenRange
from exc.spec.units import Tokens

BASE = "base"  # in place of a recipe: the checkpoint that was branched


class Best(Model):
    """The kept step that did best in an evaluation: a selection, and labelled as one wherever it appears."""

    evaluation: str = Field(description="the evaluation that decides; it measures every kept step")
    metric: str = Field(description="one of its metrics, such as `pass@1`")
    mode: Literal["max", "min"] | None = Field(
        default=None, description="whether more is better; by default what the metric means"
    )

    @property
    def name(self) -> str:
        """What the chosen step is called in ids and reports: no two choices that differ have one name."""
        against = "" if self.is_max != less_is_better(self.metric) else ".max" if self.is_max else ".min"
        return f"best.{self.evaluation}.{self.metric}{against}"

    @property
    def is_max(self) -> bool:
        return self.mode == "max" or (self.mode is None and not less_is_better(self.metric))


class BestStep(Model):
    """A step that is chosen by how the kept steps did."""

    best: Best = Field(description="by which evaluation and metric")


class ModelRef(Model):
    """A model that something else reads. A bare word in YAML is `{recipe: word}`.

    `base` is the branch's own trunk checkpoint, `prev` the stage before; a recipe's name is its last stage.
    What is left out (trunk, checkpoint, replicate) is the reader's own.
    """

    SHORT: ClassVar[str] = "the name of a recipe"

    recipe: str | None = Field(default=None, description="a recipe, `base` or `prev`")
    stage: str | None = Field(default=None, description="a stage of that recipe; by default its last")
    trunk: str | None = Field(default=None, description="another trunk than the reader's own")
    at: PositiveInt | Literal["first", "last"] | None = Field(
        default=None, description="a checkpoint of the trunk, in its steps; or its first or last"
    )
    step: PositiveInt | Literal["final"] | BestStep | None = Field(
        default=None, description="a step of the stage, by default its last; rollouts for grpo"
    )
    replicate: Count | None = Field(
        default=None, description="counted from 0; by default the reader's own, or the only one"
    )

    def __str__(self) -> str:
        name = self.recipe or f"trunk {self.trunk or '(own)'}"
        step = self.step.best.name if isinstance(self.step, BestStep) else self.step
        trunk = self.trunk if self.recipe else None
        said = {"stage": self.stage, "trunk": trunk, "at": self.at, "step": step, "replicate": self.replicate}
        parts = [f"{key} {value}" for key, value in said.items() if value is not None]
        return f"{name} ({', '.join(parts)})" if parts else name


class StepsBetween(Model):
    """A closed range of checkpoints by steps."""

    start: PositiveInt | None = Field(default=None, description="from here on; by default from the start")
    stop: PositiveInt | None = Field(default=None, description="up to here; by default to the end")


class TokensBetween(Model):
    """A closed range of checkpoints by tokens."""

    start: Tokens | None = Field(default=None, description="from here on; by default from the start")
    stop: Tokens | None = Field(default=None, description="up to here; by default to the end")


class FractionBetween(Model):
    """A closed range of checkpoints by the share of the run."""

    start: Fraction | None = Field(default=None, description="from here on; by default from the start")
    stop: Fraction | None = Field(default=None, description="up to here; by default to the end")


class At(Model):
    """Which checkpoints of a trunk; the parts given are united. A bare list in YAML is `{steps: [...]}`.

    It has the grammar of a schedule, but for a range without `num` and `every`, which takes in all within it.
    A point that is a checkpoint of one trunk alone selects nothing on the others.
    """

    SHORT: ClassVar[str] = "a list of steps"

    steps: tuple[PositiveInt, ...] | StepsBetween | StepRange | None = Field(
        default=None, description="checkpoints by their step"
    )
    every: PositiveInt | None = Field(default=None, description="checkpoints at multiples of so many steps")
    tokens: tuple[Tokens, ...] | TokensBetween | TokenRange | None = Field(
        default=None, description="checkpoints by the tokens seen"
    )
    fraction: tuple[Fraction, ...] | FractionBetween | FractionRange | None = Field(
        default=None, description="checkpoints by the share of the whole run"
    )
    include: tuple[Literal["first", "last"] | PositiveInt, ...] = Field(
        default=(), description="single checkpoints to add"
    )
    snap: Literal["exact", "nearest", "floor"] = Field(
        default="exact", description="how points in tokens or fractions become steps"
    )


class Selector(Model):
    """A filter over what exists; what is left out selects all."""

    trunks: tuple[str, ...] | None = Field(default=None, description="names of trunks")
    recipes: tuple[str, ...] | None = Field(
        default=None,
        description="names of recipes; for an evaluation, `base` means the checkpoints themselves",
    )
    at: At | None = Field(default=None, description="checkpoints")
    step: tuple[PositiveInt, ...] | Literal["final", "used", "all"] | None = Field(
        default=None,
        description="kept steps of a branch's last stage, for an evaluation: the last, also those that "
        "another stage starts from, or all",
    )
    replicates: tuple[Count, ...] | None = Field(default=None, description="replicates, counted from 0")
