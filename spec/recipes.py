"""Recipes: named lists of named stages, applied to a checkpoint. Stage kinds are a closed set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from exc.spec.base import Float, Model, Name, PositiveInt
from exc.spec.references import ModelRef
from exc.spec.schedule import Schedule

STAGE_KINDS = ("sft", "grpo", "merge", "command")


class Sft(Model):
    """Supervised fine-tuning on a task's demonstrations with TRL's SFTTrainer; steps are optimizer steps."""

    task: str
    split: str = "train"
    demonstrations: Literal["first", "all"] = "first"
    batch_size: PositiveInt = Field(description="demonstrations per optimizer step, over all devices")
    max_steps: PositiveInt
    keep: Schedule | None = Field(default=None, description="steps kept beside the last")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's SFTConfig")


class Grpo(Model):
    """Group-relative policy optimisation (arXiv 2402.03300) with TRL's GRPOTrainer; steps are rollouts."""

    task: str
    split: str = "train"
    num_generations: PositiveInt = Field(description="completions per prompt")
    prompts_per_rollout: PositiveInt
    updates_per_rollout: PositiveInt = Field(default=1, description="optimizer steps on one rollout")
    rollouts: PositiveInt
    keep: Schedule | None = Field(default=None, description="rollouts kept beside the last")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's GRPOConfig")


class Merge(Model):
    """A weighted mean of models of one shape, through mergekit."""

    method: Literal["linear"] = "linear"
    of: tuple[ModelRef, ...] = Field(min_length=2)
    weights: tuple[Float, ...] | None = Field(
        default=None, description="one per model, used as they are; equal by default"
    )


class Command(Model):
    """A command of your own that reads a model and leaves a model."""

    run: str = Field(
        description="a shell line; EXC_INPUT_MODEL and EXC_OUTPUT name its folders, EXC_SEED its seed"
    )
    files: tuple[str, ...] = Field(
        default=(), description="files it reads beside the spec; their content is part of identity"
    )
    leaves: str = Field(
        default="model", description="sub-folder of EXC_OUTPUT in which it leaves a Hugging Face model"
    )


class Stage(Model):
    """One operation that makes a model. In YAML: `- name: {from: ..., kind: {...}}`."""

    name: Name
    from_: ModelRef | None = Field(
        default=None, alias="from", description="what it starts from; `prev` by default"
    )
    sft: Sft | None = None
    grpo: Grpo | None = None
    merge: Merge | None = None
    command: Command | None = None

    @property
    def kind(self) -> str:
        return next(kind for kind in STAGE_KINDS if getattr(self, kind) is not None)

    @property
    def body(self) -> Sft | Grpo | Merge | Command:
        body: Sft | Grpo | Merge | Command = getattr(self, self.kind)
        return body
