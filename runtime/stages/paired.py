"""What the stages share that train a model in two ways: by reinforcement and on demonstrations.

TRL's GRPOTrainer runs, with its own optimizer; the supervised side is a `Stream` that comes in at whole
optimizer steps. `parallel`, `combined` and `interleave` say when, and what becomes of its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages import grpo, rollouts, sft
from exc.runtime.stages.adapters import check_targets
from exc.runtime.stages.judging import DEFAULT_TIMEOUT_S, Judge
from exc.runtime.stages.models import count_nonembedding
from exc.runtime.stages.pretrain import FLOPS_PER_PARAMETER_AND_TOKEN
from exc.runtime.stages.prompts import read_rows
from exc.runtime.stages.session import Run
from exc.runtime.stages.stream import Stream
from exc.runtime.stages.training import quieten, train
from exc.runtime.stages.weights import load_policy

_STREAM_STATE = "sft.pt"
Judging = Callable[..., Judge]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a job is in steps of its own, and how many optimizer steps of each side make one."""

    steps: int
    rl: int = 1
    sft: int = 1


class PairedTrainer(grpo.RolloutTrainer):
    """GRPO, one step a rollout, and beside it a stream of demonstrations that trains the same model."""

    stream: Stream
    pace: Pace
    trained: list[Any]  # the parameters that both sides change

    def join(self, stream: Stream, pace: Pace, config: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Take in the stream and the job's config, before training begins. Raises JobFailed("config")."""
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            message = "a stage with two sides changes whole weights, which FSDP and DeepSpeed spread"
            raise JobFailed("config", message)
        self.stream, self.pace = stream, pace
        model: Any = self.model
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.add_callback(_Moments(self))

    def before_step(self) -> None:
        """Called before the first micro-batch of an optimizer step, and before its rollout."""

    def at_gradients(self, model: Any) -> None:
        """Called when the gradients of a step are whole, and neither clipped nor used."""

    def after_step(self) -> None:
        """Called when the optimizer has moved the parameters."""

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        loss: Any = super().training_step(  # type: ignore[no-untyped-call]
            model, inputs, num_items_in_batch
        )
        if self.accelerator.sync_gradients:
            self.at_gradients(model)
        return loss

    def take_gradients(self) -> list[Any]:
        """Take the gradients from the parameters, which then have none."""
        taken: list[Any] = []
        for parameter in self.trained:
            gradient: Any = parameter.grad
            if gradient is not None and gradient._base is not None:
                gradient = gradient.clone()  # under DDP, a view of a bucket that the next pass writes to
            taken.append(gradient)
            parameter.grad = None
        return taken

    def give_gradients(self, gradients: list[Any]) -> None:
        for parameter, gradient in zip(self.trained, gradients, strict=True):
            parameter.grad = gradient

    def differentiate(self, model: Any, step: int) -> None:
        """Add the gradients of the stream's step `step` to the parameters'."""
        self.report(sft_loss=self.stream.differentiate(self.accelerator, model, step))
        if (accuracy := self.stream.take_accuracy()) is not None:
            self.report(sft_token_accuracy=accuracy)

    def step_stream(self) -> None:
        """Clip the stream's gradients, and let its own optimizer move the parameters."""
        self.report(sft_learning_rate=self.stream.learning_rate, sft_grad_norm=self.stream.clip(self.trained))
        self.stream.advance()

    def report(self, **values: float) -> None:
        """Have values logged with the step; of several in one step the mean."""
        for name, value in values.items():
            self._metrics["train"][name].append(value)

    @property
    def passes(self) -> float:
        """Operations per parameter and sampled token: sampling, training, and judging once more."""
        return 2.0 + 6.0 + 2.0 * (self.beta != 0.0) + 2.0 * bool(self.use_vllm)

    def consumed(self) -> Counts:
        base, pace, stream = self.run.base, self.pace, self.stream
        args: Any = self.args
        operations = self.passes * self.sampled_tokens + FLOPS_PER_PARAMETER_AND_TOKEN * stream.num_tokens
        completions = self.state.global_step * int(args.generation_batch_size)
        rows = self.state.global_step // pace.rl * pace.sft * stream.trainer.rows_per_step
        return Counts(
            base.flops + count_nonembedding(self.model) * operations,
            completions + rows,
            base.tokens + self.sampled_tokens + stream.num_tokens,
        )

    def _save_extras(self, folder: Path) -> None:
        super()._save_extras(folder)
        torch.save({**self.stream.state(), **self.own_state()}, folder / _STREAM_STATE)

    def _load_extras(self, folder: Path) -> None:
        super()._load_extras(folder)
        # The optimizer moves its own to where the parameters are.
        state = torch.load(folder / _STREAM_STATE, map_location="cpu", weights_only=True)
        self.stream.load(state)
        self.load_own(state)

    def own_state(self) -> dict[str, Any]:
        """What a kind holds beside weights, optimizers and schedules."""
        return {}

    def load_own(self, state: Mapping[str, Any]) -> None:
        """Restore what `own_state` gave."""


class _Moments(TrainerCallback):
    """Tells the trainer of the moments around an optimizer step."""

    def __init__(self, trainer: PairedTrainer) -> None:
        self.trainer = trainer

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.trainer.before_step()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.trainer.after_step()


def run_paired(ctx: JobContext, judging: Judging, trainer_class: type[PairedTrainer], pace: Pace) -> None:
    """Train the job's model in both ways until all that is to be kept is published.

    Counts are those of `grpo` and `sft` together; samples are completions and demonstrations. Raises
    JobFailed("config" | "data" | "verifier" | "diverged" | "disk" | "out-of-memory").
    """
    quieten()
    torch.set_num_threads(max(1, ctx.num_threads))
    session = Run(ctx, ctx.inputs["model"], pace.rl, emit_interval_s=0.0)
    state = session.begin()
    if session.done:
        return
    rl = ctx.config["rl"]
    timeout_s = rl.get("verifier_timeout", DEFAULT_TIMEOUT_S)
    with judging(rl["verifier"], ctx.root, timeout_s) as judge:
        train(make_trainer(ctx, session.scratch, judge, trainer_class, pace), session, state)


def make_trainer(
    ctx: JobContext, scratch: Path, judge: Judge, trainer_class: type[PairedTrainer], pace: Pace
) -> PairedTrainer:
    """The trainer of a job, with its stream. Raises JobFailed("config" | "data")."""
    config = ctx.config
    shared = {name: config[name] for name in ("seed", "lora", "micro_batch_size", "vllm") if name in config}
    rl: dict[str, Any] = {
        **config["rl"],
        **shared,
        "updates_per_rollout": 1,
        "rollouts": pace.steps * pace.rl,
    }
    # The adapters are there when the stream's trainer is made.
    tuning: dict[str, Any] = {**config["sft"], **shared, "lora": None, "max_steps": pace.steps * pace.sft}
    demonstrated = read_rows(ctx.inputs["rows:sft"])
    examples = sft.make_examples(demonstrated, tuning["prompt"], tuning["demonstrations"])
    policy = load_policy(ctx.inputs["model"], rl["args"].get("model_init_kwargs") or {})
    check_targets(policy[0], config.get("lora"))
    trainer = rollouts.make_trainer(trainer_class, rl, ctx.inputs["rows:rl"], policy, scratch, judge)
    model = trainer.model
    stream = Stream(
        lambda: sft.make_trainer(tuning, examples, (model, policy[1]), scratch), model, tuning["max_steps"]
    )
    trainer.join(stream, pace, config)
    return trainer
