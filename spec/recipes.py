"""Recipes: named lists of named stages, applied to a checkpoint. Stage kinds are a closed set."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from exc.spec.base import Bool, Float, Fraction, Model, Name, PositiveInt
from exc.spec.paired import Combined, Interleave, Paired, Parallel, RlSide, SftSide
from exc.spec.published import FolderModel, HubModel
from exc.spec.references import ModelRef
from exc.spec.schedule import Schedule
from exc.spec.training import Engine, Lora, Preset
from exc.spec.trunks import Pretrain

STAGE_KINDS = (
    *("sft", "grpo", "rloo", "dpo", "kto", "parallel", "combined", "interleave"),
    *("pretrain", "merge", "command", "hub", "folder"),
)


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


class Rollouts(Model):
    """What all stages say that learn from their own samples; steps are rollouts."""

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    num_generations: PositiveInt = Field(description="completions per prompt")
    prompts_per_rollout: PositiveInt = Field(description="different problems in one rollout")
    updates_per_rollout: PositiveInt = Field(default=1, description="optimizer steps on one rollout")
    rollouts: PositiveInt = Field(description="how long it trains")
    keep: Schedule | None = Field(default=None, description="rollouts kept beside the last")
    lora: Lora | None = Field(default=None, description="adapters instead of all weights")
    engine: Engine = Field(
        default="transformers", description="what samples the rollouts; vllm needs a GPU and its package"
    )

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.rollouts


class Grpo(Rollouts):
    """Group-relative policy optimisation (arXiv 2402.03300) with TRL's GRPOTrainer; steps are rollouts."""

    loss: Preset | None = Field(
        default=None,
        description="all fields of `args` that a published loss consists of, at its values; `args` wins",
    )
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's GRPOConfig")


class Rloo(Rollouts):
    """REINFORCE with the other samples of a group as baseline (arXiv 2402.14740), with TRL's RLOOTrainer."""

    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's RLOOConfig")


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


class Kto(Model):
    """Learning from single completions, each judged good or bad (arXiv 2402.01306), with TRL's KTOTrainer.

    The split has `completion` and `label` (true or false) beside the prompt's fields, or pairs: see `unpair`.
    The reference is where it starts from. Steps are optimizer steps.
    """

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    unpair: Bool = Field(
        default=False, description="rows are pairs, as dpo reads them: `chosen` is good, `rejected` is bad"
    )
    batch_size: PositiveInt = Field(description="completions per optimizer step, over all devices")
    max_steps: PositiveInt = Field(description="optimizer steps")
    keep: Schedule | None = Field(default=None, description="steps kept beside the last")
    lora: Lora | None = Field(default=None, description="adapters instead of all weights")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's KTOConfig")

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
    """One model of several of one shape, through mergekit, under its names of methods and parameters.

    `linear`: the sum of weight x model. `slerp`: from the first of two models (t 0) to the second (t 1), on
    the arc between them. `task_arithmetic` (arXiv 2212.04089): the base, and weight x (model - base) of
    each. `ties` (arXiv 2306.01708): the same of differences that are trimmed and agree in sign.
    """

    method: Literal["linear", "slerp", "ties", "task_arithmetic"] = Field(
        default="linear", description="mergekit's name"
    )
    of: tuple[ModelRef, ...] = Field(
        min_length=1, description="two models or more; task_arithmetic takes one, too"
    )
    base: ModelRef | None = Field(
        default=None, description="what differences are taken from; of ties and task_arithmetic"
    )
    weights: tuple[Float, ...] | None = Field(
        default=None,
        description="one per model, used as they are; by default equal with sum 1, in ties 1 each",
    )
    t: Fraction | None = Field(default=None, description="of slerp: how far from the first to the second")
    density: Fraction | tuple[Fraction, ...] | None = Field(
        default=None,
        description="of ties: the share of each difference that is kept, its largest; one, or one per model",
    )
    normalize: Bool | None = Field(
        default=None, description="whether weights are divided by their sum; by default in ties alone"
    )

    @property
    def parents(self) -> tuple[tuple[tuple[str | int, ...], ModelRef], ...]:
        """The models that it reads, each with the path below `merge` where it is written."""
        listed = [(("of", index), ref) for index, ref in enumerate(self.of)]
        return (*listed, *([(("base",), self.base)] if self.base is not None else []))


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


OnRows = Sft | Dpo | Kto  # those that learn from what a task's rows hold
OnTask = OnRows | Grpo | Rloo  # those that train on a task, with a trainer and the `args` of TRL
Side = OnTask | RlSide | SftSide  # what reads the rows of one task
Trained = OnTask | Paired | PretrainStage  # those that train in steps, some of which are kept
Body = Trained | Merge | Command | HubModel | FolderModel


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
    rloo: Rloo | None = Field(default=None, description="reinforcement learning by RLOO")
    dpo: Dpo | None = Field(default=None, description="preference optimisation")
    kto: Kto | None = Field(default=None, description="learning from what was judged good or bad")
    parallel: Parallel | None = Field(
        default=None, description="reinforcement and fine-tuning side by side, their models averaged"
    )
    combined: Combined | None = Field(default=None, description="both as one loss, a weighted sum")
    interleave: Interleave | None = Field(default=None, description="both in turn")
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


def sides(body: Body) -> dict[tuple[str, ...], Side]:
    """What of a stage reads a task's rows, by its place below the stage's kind: all of it, or its sides."""
    if isinstance(body, Paired):
        return {("rl",): body.rl, ("sft",): body.sft}
    return {(): body} if isinstance(body, OnTask) else {}
