"""Recipes: named lists of named stages, applied to a checkpoint. Stage kinds are a closed set."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from exc.spec.base import Float, Model, Name, PositiveInt
from exc.spec.references import ModelRef
from exc.spec.schedule import Schedule

STAGE_KINDS = ("sft", "grpo", "merge", "command")


class Sft(Model):
    """Supervised fine-tuning on a task's demonstrations with TRL's SFTTrainer; steps are optimizer steps."""

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    demonstrations: Literal["first", "all"] = Field(
        default="first", description="of each problem, the first demonstration or all"
    )
    batch_size: PositiveInt = Field(description="demonstrations per optimizer step, over all devices")
    max_steps: PositiveInt = Field(description="optimizer steps")
    keep: Schedule | None = Field(default=None, description="steps kept beside the last")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's SFTConfig")


class Grpo(Model):
    """Group-relative policy optimisation (arXiv 2402.03300) with TRL's GRPOTrainer; steps are rollouts."""

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    num_generations: PositiveInt = Field(description="completions per prompt")
    prompts_per_rollout: PositiveInt = Field(description="different problems in one rollout")
    updates_per_rollout: PositiveInt = Field(default=1, description="optimizer steps on one rollout")
    rollouts: PositiveInt = Field(description="how long it trains")
    keep: Schedule | None = Field(default=None, description="rollouts kept beside the last")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's GRPOConfig")


class Merge(Model):
    """A weighted mean of models of one shape, through mergekit."""

    method: Literal["linear"] = Field(default="linear", description="mergekit's name")
    of: tuple[ModelRef, ...] = Field(min_length=2, description="two models or more")
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

    HIDDEN: ClassVar[tuple[str, ...]] = ("name",)  # the key that the body stands under

    name: Name = Field(description="what the recipe calls it")
    from_: ModelRef | None = Field(
        default=None, alias="from", description="what it starts from; `prev` by default"
    )
    sft: Sft | None = Field(default=None, description="supervised fine-tuning")
    grpo: Grpo | None = Field(default=None, description="reinforcement learning")
    merge: Merge | None = Field(default=None, description="a mean of models")
    command: Command | None = Field(default=None, description="your own")

    @property
    def kind(self) -> str:
        return next(kind for kind in STAGE_KINDS if getattr(self, kind) is not None)

    @property
    def body(self) -> Sft | Grpo | Merge | Command:
        body: Sft | Grpo | Merge | Command = getattr(self, self.kind)
        return body
