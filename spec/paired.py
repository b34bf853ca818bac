"""Stages that train a model in two ways: by reinforcement, their side `rl`, and on demonstrations, `sft`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from exc.spec.base import Float, Model, PositiveInt
from exc.spec.schedule import Schedule
from exc.spec.training import Engine, Lora, Preset

# Side -> the kind of the stage that it is like. In a copy, what that stage's length is called stays behind.
SIDES = {"rl": "grpo", "sft": "sft"}
LENGTHS = {"rl": "rollouts", "sft": "max_steps"}


class RlSide(Model):
    """A `grpo` stage without its length, which makes one optimizer step on each rollout."""

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    num_generations: PositiveInt = Field(description="completions per prompt")
    prompts_per_rollout: PositiveInt = Field(description="different problems in one rollout")
    updates_per_rollout: PositiveInt = Field(
        default=1,
        description="1: both sides move at every step; to be said where `like` copies another number",
    )
    engine: Engine = Field(
        default="transformers", description="what samples the rollouts; vllm needs a GPU and its package"
    )
    loss: Preset | None = Field(
        default=None,
        description="all fields of `args` that a published loss consists of, at its values; "
        "what `args` says wins",
    )
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's GRPOConfig")


class SftSide(Model):
    """An `sft` stage without its length."""

    task: str = Field(description="the task that it trains on")
    split: str = Field(default="train", description="the split of the task")
    demonstrations: Literal["first", "all"] = Field(
        default="first", description="of each problem, the first demonstration or all"
    )
    batch_size: PositiveInt = Field(description="demonstrations per optimizer step, over all devices")
    args: dict[str, Any] = Field(default_factory=dict, description="any other field of TRL's SFTConfig")


class _Paired(Model):
    """What stages with two sides have in common."""

    keep: Schedule | None = Field(default=None, description="steps kept beside the last")
    lora: Lora | None = Field(default=None, description="adapters, the same for both sides")
    rl: RlSide = Field(
        description="reinforcement: a grpo stage without its length; `{like: RECIPE.STAGE}` copies one"
    )
    sft: SftSide = Field(
        description="demonstrations: an sft stage without its length; `{like: RECIPE.STAGE}` copies one"
    )


class Parallel(_Paired):
    """Both sides train from the same weights, and the mean of their models goes on (arXiv 2606.04272).

    Each side has an optimizer, a learning rate and a clipping of its own. Steps are optimizer steps of each
    side, and so rollouts.
    """

    max_steps: PositiveInt = Field(description="optimizer steps of each side")
    weights: tuple[Float, Float] = Field(
        default=(0.5, 0.5), description="of the mean: rl, sft; their sum is 1"
    )
    sync_every: PositiveInt = Field(
        default=1, description="steps that each side takes by itself between two means"
    )

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.max_steps


class Combined(_Paired):
    """One optimizer, that of `rl`, follows a weighted sum of both losses; steps are optimizer steps."""

    max_steps: PositiveInt = Field(description="optimizer steps")
    weights: tuple[Float, Float] = Field(description="of the losses: rl, sft")

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.max_steps


class Interleave(_Paired):
    """Steps on demonstrations and on rollouts in turn, in rounds; each side has an optimizer of its own.

    A round begins with the demonstrations. Steps are rounds.
    """

    rounds: PositiveInt = Field(description="how often both are gone through")
    sft_steps: PositiveInt = Field(description="optimizer steps on demonstrations in a round")
    rl_steps: PositiveInt = Field(description="optimizer steps on rollouts in a round, one on each")

    @property
    def horizon(self) -> int:
        """The last step, in the stage's own unit."""
        return self.rounds


Paired = Parallel | Combined | Interleave
PAIRED_KINDS = ("parallel", "combined", "interleave")
