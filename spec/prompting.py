"""How a model is asked: settings that evaluations and sampled data share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from exc.spec.base import Model


class Fewshot(Model):
    """Exemplars in the prompt by class of model: base (only pre-training in its ancestry) and trained."""

    SHORT: ClassVar[str] = "a whole number, 0 or more"

    base: int = Field(default=0, ge=0, strict=True, description="exemplars for checkpoints of a trunk")
    trained: int = Field(default=0, ge=0, strict=True, description="exemplars for what a stage has made")
