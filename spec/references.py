"""References to models, and selectors over what exists."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from exc.spec.base import Count, Model, PositiveInt
from exc.spec.units import Tokens


class ModelRef(Model):
    """A model that something else reads. A bare word in YAML is `{recipe: word}`.

    `base` is the branch's own trunk checkpoint, `prev` the stage before; a recipe's name is its last stage.
    What is left out (trunk, checkpoint, replicate) is the reader's own.
    """

    SHORT: ClassVar[str] = "the name of a recipe"

    recipe: str | None = Field(default=None, description="a recipe, `base` or `prev`")
    stage: str | None = Field(default=None, description="a stage of that recipe; by default its last")
    trunk: str | None = Field(default=None, description="another trunk than the reader's own")
    at: PositiveInt | None = Field(default=None, description="a checkpoint of the trunk, in its steps")
    step: PositiveInt | Literal["final"] | None = Field(
        default=None, description="a step of the stage, by default its last; rollouts for grpo"
    )
    replicate: Count | None = Field(
        default=None, description="counted from 0; by default the reader's own, or the only one"
    )

    def __str__(self) -> str:
        name = self.recipe or f"trunk {self.trunk or '(own)'}"
        parts = [
            f"{key} {value}"
            for key, value in (("stage", self.stage), ("at", self.at), ("step", self.step))
            if value
        ]
        return f"{name} ({', '.join(parts)})" if parts else name


class Between(Model):
    """A closed range of checkpoints by tokens."""

    start: Tokens | None = Field(default=None, description="from here on; by default from the start")
    stop: Tokens | None = Field(default=None, description="up to here; by default to the end")


class At(Model):
    """Which checkpoints of a trunk: steps (a bare list in YAML), or a closed range of tokens."""

    SHORT: ClassVar[str] = "a list of steps"

    steps: tuple[PositiveInt, ...] | None = Field(default=None, description="checkpoints by their step")
    tokens: Between | None = Field(default=None, description="checkpoints by the tokens seen")


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
