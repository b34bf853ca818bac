"""References to models, and selectors over what exists."""

from __future__ import annotations

from typing import Literal

from exc.spec.base import Count, Model, PositiveInt
from exc.spec.units import Tokens


class ModelRef(Model):
    """A model that something else reads. A bare word in YAML is `{recipe: word}`.

    `base` is the branch's own trunk checkpoint, `prev` the stage before; a recipe's name is its last stage.
    What is left out (trunk, checkpoint, replicate) is the reader's own.
    """

    recipe: str | None = None
    stage: str | None = None
    trunk: str | None = None
    at: PositiveInt | None = None  # a trunk's checkpoint, in its steps
    step: PositiveInt | Literal["final"] | None = None  # a stage's kept step; rollouts for grpo
    replicate: Count | None = None

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

    start: Tokens | None = None
    stop: Tokens | None = None


class At(Model):
    """Which checkpoints of a trunk: steps (a bare list in YAML), or a closed range of tokens."""

    steps: tuple[PositiveInt, ...] | None = None
    tokens: Between | None = None


class Selector(Model):
    """A filter over what exists; what is left out selects all."""

    trunks: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None  # `base` names the trunk's own checkpoints
    at: At | None = None
    step: tuple[PositiveInt, ...] | Literal["final", "used", "all"] | None = None
    replicates: tuple[Count, ...] | None = None
