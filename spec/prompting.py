"""How a model is asked: settings that evaluations and sampled data share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from exc.spec.base import Bool, Model, PositiveFloat, PositiveInt
from exc.spec.training import Engine


class Fewshot(Model):
    """Exemplars in the prompt by class of model: base (only pre-training in its ancestry) and trained."""

    SHORT: ClassVar[str] = "a whole number, 0 or more"

    base: int = Field(default=0, ge=0, strict=True, description="exemplars for checkpoints of a trunk")
    trained: int = Field(default=0, ge=0, strict=True, description="exemplars for what a stage has made")


class Sampling(Model):
    """What is drawn from a model: which problems it is asked, how often, and how a completion is sampled."""

    task: str = Field(description="the task that is asked")
    split: str = Field(description="the split of the task")
    limit: PositiveInt | None = Field(default=None, description="only the first so many problems")
    num_samples: PositiveInt = Field(description="samples per problem; drawn in blocks of 16")
    temperature: float = Field(
        default=1.0, ge=0, strict=True, description="0 always takes the likeliest token"
    )
    top_p: PositiveFloat = Field(
        default=1.0, description="sample from the likeliest tokens that hold this share; 1 is all"
    )
    max_new_tokens: PositiveInt = Field(description="length of a completion, in tokens")
    num_fewshot: Fewshot = Field(
        default=Fewshot(), description="exemplars in the prompt, from the task's pool"
    )
    engine: Engine = Field(
        default="transformers", description="what samples; vllm needs a GPU and its package"
    )
    chat_template: Bool = Field(
        default=False,
        description="puts the prompt, as what a user says, into the template of the tokenizer; by default "
        "no model sees one, and a base model has none",
    )
