"""What several kinds of stages say of how a model is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from exc.spec.base import Bool, Fraction, Model, PositiveFloat, PositiveInt

Engine = Literal["transformers", "vllm"]  # what samples: their numerics differ, and so do their results
Preset = Literal["grpo", "dr-grpo", "dapo"]  # losses of grpo that are known by a name


class Lora(Model):
    """Low-rank adapters instead of all weights (arXiv 2106.09685), under peft's names.

    The stage's model is the merged one; the adapter is kept beside it.
    """

    r: PositiveInt = Field(description="rank of the adapters")
    lora_alpha: PositiveFloat = Field(description="scale: the update is multiplied by lora_alpha / r")
    lora_dropout: Fraction = Field(default=0.0, description="dropout on the input of the adapters")
    target_modules: tuple[str, ...] | Literal["all-linear"] = Field(
        default="all-linear",
        description="names of the layers that get one; all but the output layer by default",
    )
    use_rslora: Bool = Field(default=False, description="scale by lora_alpha / sqrt(r) (arXiv 2312.03732)")
