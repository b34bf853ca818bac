"""Trunks: pre-training runs whose checkpoints are branched."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from exc.spec.base import Bool, Float, Fraction, Int, Model, Name, PositiveFloat, PositiveInt
from exc.spec.schedule import Schedule
from exc.spec.units import Bytes, Tokens


class Bpe(Model):
    """A byte-level BPE tokenizer trained on the trunk's own data."""

    vocab_size: PositiveInt
    split_digits: Bool = Field(
        default=True, description="every digit and punctuation mark is a token of its own"
    )
    max_bytes: Bytes = Field(
        default=20_000_000, description="how much text it is trained on, shared evenly by the sources"
    )


class Tokenizer(Model):
    """Exactly one of these."""

    bpe: Bpe | None = None
    path: str | None = Field(default=None, description="a folder in Hugging Face form, relative to the spec")


class LrSchedule(Model):
    """The learning rate over the run: linear warmup to `peak`, then the shape, down to `floor` x peak.

    `wsd` (warmup, stable, decay) is constant until the last `decay` tokens and falls linearly over them.
    """

    shape: Literal["constant", "linear", "cosine", "wsd"]
    peak: PositiveFloat
    warmup: Tokens = 0
    decay: Tokens | None = Field(default=None, description="wsd only: length of the final decay")
    floor: Fraction = Field(default=0.0, description="final learning rate as a fraction of peak")


class Optimizer(Model):
    """AdamW."""

    betas: tuple[Float, Float] = (0.9, 0.95)
    eps: PositiveFloat = 1e-8
    weight_decay: Float = 0.1
    max_grad_norm: PositiveFloat = 1.0


class Pretrain(Model):
    """Pre-training from scratch on a mixture of packed sources."""

    model: dict[str, Any] = Field(description="`architecture` and any field of that transformers config")
    tokenizer: Tokenizer
    data: dict[str, PositiveFloat] = Field(description="relative weights of data sources, by tokens")
    batch_size: PositiveInt = Field(description="sequences per optimizer step, over all devices")
    sequence_length: PositiveInt
    tokens: Tokens = Field(description="length of the run, rounded up to whole steps")
    schedule: LrSchedule
    optimizer: Optimizer = Optimizer()
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: Int | None = Field(
        default=None, description="pins the seed; otherwise derived from the experiment's"
    )

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    @property
    def total_steps(self) -> int:
        return -(-self.tokens // self.tokens_per_step)


class Trunk(Model):
    """A run and the checkpoints that are branched."""

    pretrain: Pretrain
    checkpoints: Schedule


Trunks = dict[Name, Trunk]
