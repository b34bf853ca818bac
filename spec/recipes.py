"""Recipes: named lists of named stages, applied to a checkpoint. Stage kinds are a closed set."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from exc.spec.base import Bool, Float, Fraction, Model, Name, PositiveFloat, PositiveInt
from exc.spec.published import FolderModel, HubModel
from exc.spec.references import ModelRef
from exc.spec.schedule import Schedule
from exc.spec.trunks import Pretrain

STAGE_KINDS = ("sft", "grpo", "dpo", "pretrain", "merge", "command", "hub", "folder")


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
    lora: Lora | None = Field(default=None, description="adapters instead of all weights")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's SFTConfig")

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.max_steps


class Grpo(Model):
    """Group-relative policy optimisation (arXiv 2402.03300) with TRL's GRPOTrainer; steps are rollouts."""

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    num_generations: PositiveInt = Field(description="completions per prompt")
    prompts_per_rollout: PositiveInt = Field(description="different problems in one rollout")
    updates_per_rollout: PositiveInt = Field(default=1, description="optimizer steps on one rollout")
    rollouts: PositiveInt = Field(description="how long it trains")
    keep: Schedule | None = Field(default=None, description="rollouts kept beside the last")
    lora: Lora | None = Field(default=None, description="adapters instead of all weights")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's GRPOConfig")

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.rollouts


class Dpo(Model):
    """Direct preference optimisation (arXiv 2305.18290) with TRL's DPOTrainer; steps are optimizer steps.

    The split has `chosen` and `rejected` beside the prompt's fields. The reference is where it starts from.
    """

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    batch_size: PositiveInt = Field(description="pairs per optimizer step, over all devices")
    max_steps: PositiveInt = Field(description="optimizer steps")
    keep: Schedule | None = Field(default=None, description="steps kept beside the last")
    lora: Lora | None = Field(default=None, description="adapters instead of all weights")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's DPOConfig")

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.max_steps


class PretrainStage(Pretrain):
    """More pre-training, on the model that the stage starts from; steps are optimizer steps."""

    keep: Schedule | None = Field(default=None, description="steps kept beside the last")

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.total_steps


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


Body = Sft | Grpo | Dpo | PretrainStage | Merge | Command | HubModel | FolderModel
Trained = Sft | Grpo | Dpo | PretrainStage  # those that train in steps, some of which are kept


class Stage(Model):
    """One operation that makes a model. In YAML: `- name: {from: ..., kind: {...}}`.

    Stages may stand in a block that is repeated: `- name: {repeat: 3, stages: [...]}`. The stage `rl` of such
    a block is then `rl-1`, `rl-2` and so on.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("name", "repeats")  # not written: the first is the key of the body

    name: Name = Field(description="what the recipe calls it")
    repeats: str | None = Field(default=None, description="in a repeated block: its name without the number")
    from_: ModelRef | None = Field(
        default=None, alias="from", description="what it starts from; `prev` by default"
    )
    sft: Sft | None = Field(default=None, description="supervised fine-tuning")
    grpo: Grpo | None = Field(default=None, description="reinforcement learning")
    dpo: Dpo | None = Field(default=None, description="preference optimisation")
    pretrain: PretrainStage | None = Field(default=None, description="more pre-training")
    merge: Merge | None = Field(default=None, description="a mean of models")
    command: Command | None = Field(default=None, description="your own")
    hub: HubModel | None = Field(
        default=None, description="a model that others published: nothing is trained"
    )
    folder: FolderModel | None = Field(default=None, description="a model in a folder: nothing is trained")

    @property
    def round(self) -> int:
        """Which time over this is in a repeated block, counted from 1; elsewhere 1."""
        return 1 if self.repeats is None else int(self.name.removeprefix(f"{self.repeats}-"))

    @property
    def kind(self) -> str:
        return next(kind for kind in STAGE_KINDS if getattr(self, kind) is not None)

    @property
    def body(self) -> Body:
        body: Body = getattr(self, self.kind)
        return body
