"""Trunks: pre-training runs whose checkpoints are branched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from exc.spec.base import Bool, Float, Fraction, Int, Model, Name, PositiveFloat, PositiveInt
from exc.spec.ladders import Names
from exc.spec.published import FolderRun, HubModel, HubRun
from exc.spec.references import ModelRef
from exc.spec.schedule import Schedule
from exc.spec.units import Bytes, Tokens

Weight = Annotated[Float, Field(ge=0)]


class Bpe(Model):
    """A byte-level BPE tokenizer trained on the trunk's own data."""

    vocab_size: PositiveInt = Field(description="tokens, two special ones included; at least 258")
    split_digits: Bool = Field(default=True, description="every digit is a token of its own")
    max_bytes: Bytes = Field(
        default=20_000_000, description="how much text it is trained on, shared evenly by the sources"
    )


class Tokenizer(Model):
    """How text becomes tokens: trained here, or taken from a folder or a repository on the hub."""

    bpe: Bpe | None = Field(default=None, description="trained on the mixture of the trunk")
    path: str | None = Field(default=None, description="a folder in Hugging Face form, relative to the spec")
    hub: HubModel | None = Field(
        default=None, description="that of a repository on the hub, of which nothing else is fetched"
    )


class LrSchedule(Model):
    """The learning rate over the run: linear warmup to `peak`, then the shape, down to `floor` x peak.

    `wsd` (warmup, stable, decay) is constant until the last `decay` tokens and falls linearly over them.
    """

    shape: Literal["constant", "linear", "cosine", "wsd"] = Field(
        description="how the rate goes after the warmup"
    )
    peak: PositiveFloat = Field(description="the highest learning rate")
    warmup: Tokens = Field(default=0, description="tokens over which the rate rises from 0 to the peak")
    decay: Tokens | None = Field(default=None, description="wsd only: length of the final decay")
    floor: Fraction = Field(default=0.0, description="final learning rate as a fraction of peak")


class Optimizer(Model):
    """AdamW."""

    betas: tuple[Float, Float] = Field(
        default=(0.9, 0.95), description="decay of the two moments, each below 1"
    )
    eps: PositiveFloat = Field(default=1e-8, description="added to the denominator")
    weight_decay: Float = Field(default=0.1, description="decoupled weight decay")
    max_grad_norm: PositiveFloat = Field(default=1.0, description="gradients are clipped to this norm")


class Continues(Model):
    """What pre-training from a model takes over from the last pre-training in that model's ancestry."""

    optimizer: Literal["fresh", "continue"] = Field(
        default="fresh", description="the optimizer's moments: from zero, or where they were left"
    )
    data_position: Literal["fresh", "continue"] = Field(
        default="fresh", description="the mixture: from its start, or behind what was already read"
    )
    schedule: Literal["fresh", "continue"] = Field(
        default="fresh",
        description="the learning rate: counted from this run's start, or from where the other ended",
    )


class Pretrain(Model):
    """Pre-training on a mixture of packed sources, from scratch or from a model."""

    model: dict[str, Any] | None = Field(
        default=None,
        description="`architecture` and any field of that transformers config; not with `from`",
    )
    tokenizer: Tokenizer | None = Field(
        default=None, description="one of its kinds; not where it starts from a model, which has one"
    )
    continues: Continues = Field(
        default=Continues(), description="where it starts from a model: what it takes over"
    )
    data: dict[str, Weight] = Field(
        description="relative weights of data sources, by tokens; one of 0 is as if it were not there"
    )
    batch_size: PositiveInt = Field(description="sequences per optimizer step, over all devices")
    sequence_length: PositiveInt = Field(description="tokens per sequence")
    tokens: Tokens = Field(description="length of the run, rounded up to whole steps")
    schedule: LrSchedule = Field(description="the learning rate")
    optimizer: Optimizer = Field(default=Optimizer(), description="AdamW's settings")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="of the computation; bf16 is mixed precision"
    )
    seed: Int | None = Field(
        default=None, description="pins the seed; otherwise derived from the experiment's"
    )

    @field_validator("data")
    @classmethod
    def _without_zeros(cls, data: dict[str, float]) -> dict[str, float]:
        """A sweep of shares ends at none: the same run as one that never names the source."""
        return {name: weight for name, weight in data.items() if weight}

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    @property
    def total_steps(self) -> int:
        return -(-self.tokens // self.tokens_per_step)


class CommandRun(Model):
    """A run of a trainer of your own, which saves checkpoints as it goes.

    It is run once for each checkpoint that is branched, until that is there, in one folder that outlives
    every attempt: a trainer that stops at EXC_STEP goes on from where it was, one that runs through is
    not started again for what it has left already.
    """

    run: str = Field(
        description="a shell line that trains to the step EXC_STEP, with the seed EXC_SEED, and saves under "
        "EXC_WORK"
    )
    resume: str | None = Field(
        default=None,
        description="a shell line that goes on from what lies under EXC_WORK; by default `run` again, which "
        "must see for itself. Not part of identity",
    )
    files: tuple[str, ...] = Field(
        default=(), description="files it reads beside the spec; their content is part of identity"
    )
    leaves: str = Field(
        default="step{step}", description="the folder of a checkpoint under EXC_WORK, with `{step}` in it"
    )
    convert: str | None = Field(
        default=None,
        description="a shell line that makes a Hugging Face model in EXC_OUTPUT of the checkpoint in "
        "EXC_CHECKPOINT; by default the checkpoint is one",
    )
    step_tokens: PositiveInt | None = Field(
        default=None,
        alias="tokens_per_step",
        description="tokens in one step; or `batch_size` and `sequence_length`",
    )
    batch_size: PositiveInt | None = Field(default=None, description="sequences per step, over all devices")
    sequence_length: PositiveInt | None = Field(default=None, description="tokens per sequence")
    tokens: Tokens = Field(description="length of the run, rounded up to whole steps")
    seed: Int | None = Field(
        default=None, description="pins EXC_SEED; otherwise derived from the experiment's"
    )

    @property
    def tokens_per_step(self) -> int:
        return self.step_tokens or (self.batch_size or 1) * (self.sequence_length or 1)

    @property
    def total_steps(self) -> int:
        return -(-self.tokens // self.tokens_per_step)


TRUNK_KINDS = ("pretrain", "hub", "folder", "command")


class Trunk(Model):
    """A run and the checkpoints that are branched."""

    from_: ModelRef | None = Field(
        default=None,
        alias="from",
        description="the model that it starts from, such as a checkpoint of another trunk; by default none",
    )
    hub: HubRun | None = Field(
        default=None, description="checkpoints, or a model, that others published, instead of a run"
    )
    folder: FolderRun | None = Field(
        default=None, description="checkpoints, or a model, in a folder, instead of a run"
    )
    pretrain: Pretrain | None = Field(default=None, description="the run")
    command: CommandRun | None = Field(default=None, description="the run of a trainer of your own")
    checkpoints: Schedule | None = Field(
        default=None, description="the steps that are kept and branched; a single model is one itself"
    )

    @property
    def published(self) -> HubRun | FolderRun | None:
        """What others made; None for a trunk that is trained."""
        return self.hub or self.folder

    @property
    def run(self) -> Pretrain | CommandRun | None:
        """What trains it; None for what others made."""
        return self.pretrain or self.command

    @property
    def names(self) -> Names | None:
        """How published checkpoints are called; None of a run, and of a single model."""
        return self.published.names if self.published is not None else None

    @property
    def total_steps(self) -> int:
        """The last step; of published checkpoints, which only their names tell, 0."""
        if self.run is not None:
            return self.run.total_steps
        return self.published.step if self.published is not None and self.published.is_single else 0

    @property
    def tokens_per_step(self) -> int:
        """Of a published model what its tokens come to, rounded; 0 where nobody says how many it has seen."""
        if self.run is not None:
            return self.run.tokens_per_step
        published = self.published
        return (published.tokens or 0) // published.step if published is not None else 0

    def tokens_at(self, step: int) -> int:
        """The tokens of its own that it has seen at a step; 0 where nobody says how many."""
        if self.published is not None:
            return self.published.tokens or 0
        return step * self.tokens_per_step


Trunks = dict[Name, Trunk]
