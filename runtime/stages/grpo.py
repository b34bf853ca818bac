"""Reinforcement learning against a verifier by GRPO, with TRL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig, GRPOTrainer

from exc.compiler.batch import grpo_batch
from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.adapters import adapter_config, check_targets
from exc.runtime.stages.completions import cut_at_stop, keep_until_stop
from exc.runtime.stages.judging import DEFAULT_TIMEOUT_S, Judge, load_judge
from exc.runtime.stages.models import count_nonembedding
from exc.runtime.stages.ordering import OrderedSampler
from exc.runtime.stages.prompts import Row, read_rows, render_prompt
from exc.runtime.stages.session import Run
from exc.runtime.stages.training import ResumableTrainer, quieten, train
from exc.runtime.stages.trlconfig import build_config, lay_out, owned_arguments
from exc.runtime.stages.tuning import load_reference, save_reference
from exc.runtime.stages.weights import load_policy

Reward = Callable[..., list[float | None]]
_ENTROPY_STATE = "entropy_ctrl_state.json"  # the name under which TRL reads it back
_ENOUGH = 100  # completions before their share that could not be verified says something


def run(ctx: JobContext, judging: Callable[..., Judge] = load_judge) -> None:
    """Train the model to complete prompts in ways that the verifier accepts. Steps are rollouts.

    Counts, for N parameters outside the embeddings and T tokens of prompts and completions in a rollout:
    2 N T to sample, 6 N T for each pass of training over the rollout, 2 N T for the reference model (beta
    above zero), 2 N T for the log-probabilities at sampling time (more than one optimizer step a rollout).
    Samples are completions. Metrics hold the last rollout's reward and the last step's loss.
    Raises JobFailed("config" | "data" | "verifier" | "diverged" | "disk" | "out-of-memory").
    """
    quieten()
    torch.set_num_threads(max(1, ctx.num_threads))
    # Every rollout is reported: they are few, and their rewards are a curve that people look at.
    session = Run(ctx, ctx.inputs["model"], ctx.config["updates_per_rollout"], emit_interval_s=0.0)
    state = session.begin()
    if session.done:
        return
    timeout_s = ctx.config.get("verifier_timeout", DEFAULT_TIMEOUT_S)
    with judging(ctx.config["verifier"], ctx.root, timeout_s) as judge:
        train(_make_trainer(ctx, session.scratch, judge), session, state)


def _make_trainer(ctx: JobContext, scratch: Path, judge: Judge) -> RolloutTrainer:
    from datasets import Dataset

    config = ctx.config
    rows = read_rows(ctx.inputs["rows"])
    if not rows:
        raise JobFailed("data", "there are no rows to make prompts of")
    arguments = make_arguments(config, scratch)
    model, tokenizer = load_policy(ctx.inputs["model"], config["args"].get("model_init_kwargs") or {})
    most = config.get("max_unverifiable", 0.05)
    check_targets(model, config.get("lora"))
    reward = make_reward(rows, judge, config["rewards"], config["stop"], most)
    prompts = [
        {"prompt": render_prompt(config["prompt"], row.fields), "row": n} for n, row in enumerate(rows)
    ]
    trainer = RolloutTrainer(
        model=model,
        reward_funcs=[reward],
        args=arguments,
        train_dataset=Dataset.from_list(prompts),
        processing_class=tokenizer,
        peft_config=adapter_config(config.get("lora")),
    )
    trainer.stop, trainer.rollouts = tuple(config["stop"]), config["rollouts"]
    return trainer


def make_arguments(config: Mapping[str, Any], scratch: Path) -> GRPOConfig:
    """Build TRL's configuration from the job's.

    The `updates_per_rollout` optimizer steps take equal parts of a rollout, each part once. Raises
    JobFailed("config") if they do not come out even.
    """
    args = config["args"]
    if config["stop"] and args.get("mask_truncated_completions"):
        raise JobFailed("config", "`mask_truncated_completions` would mask what ends in a stop string, too")
    owned = owned_arguments(
        scratch,
        seed=config["seed"],
        max_steps=config["rollouts"] * config["updates_per_rollout"],
        bf16=args.get("bf16"),
    )
    owned |= {
        **lay_out(
            grpo_batch,
            config["num_generations"],
            config["prompts_per_rollout"],
            config["updates_per_rollout"],
            config.get("micro_batch_size"),
        ),
        "num_generations": config["num_generations"],
        "generation_batch_size": None,
        "remove_unused_columns": False,
        # These write files or talk to a hub.
        "log_completions": False,
        "log_completions_hub_repo": None,
    }
    return build_config(GRPOConfig, args, owned)


def make_reward(
    rows: Sequence[Row], judge: Judge, rewards: Mapping[str, float], stop: Sequence[str], most: float = 1.0
) -> Reward:
    """Return TRL's reward function: `correct` if right, else `format` if an answer was found, else 0.

    What cannot be verified has no reward, and is left out of its group. Raises JobFailed("verifier") when
    that is so of a whole rollout, since nothing could be learned, and when it is so of more than the share
    `most` of all completions since the process began.
    """
    num_judged = 0
    errors: list[str] = []

    def reward(completions: list[str], row: list[int], **_: Any) -> list[float | None]:
        nonlocal num_judged
        verdicts = judge.judge(
            [(cut_at_stop(text, stop), rows[index]) for text, index in zip(completions, row, strict=True)]
        )
        if not any(verdict.verifiable for verdict in verdicts):
            raise JobFailed("verifier", f"no completion of a rollout could be verified: {verdicts[0].error}")
        num_judged += len(verdicts)
        errors.extend(verdict.error or "" for verdict in verdicts if not verdict.verifiable)
        if num_judged >= _ENOUGH and len(errors) > most * num_judged:
            raise JobFailed(
                "verifier",
                f"{len(errors)} of {num_judged} completions could not be verified, which is more than "
                f"max_unverifiable = {most:g}; the last: {errors[-1]}",
            )
        found = rewards.get("format", 0.0)
        return [
            None
            if not verdict.verifiable
            else rewards["correct"]
            if verdict.correct
            else (found if verdict.parsed is not None else 0.0)
            for verdict in verdicts
        ]

    return reward


class RolloutTrainer(ResumableTrainer, GRPOTrainer):
    """TRL's trainer with prompts in a resumable order, stop strings, and a count of what it consumes."""

    stop: tuple[str, ...] = ()
    rollouts: int
    sampled_tokens: int = 0  # prompts and completions, in this process's life
    clipped_ratio: float | None = None  # of the last rollout: completions that ended in neither way

    def _get_train_sampler(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, dataset: Any = None
    ) -> OrderedSampler:
        rows: Any = self.train_dataset if dataset is None else dataset
        args: Any = self.args
        return OrderedSampler(
            len(rows),
            self.rollouts,
            args.generation_batch_size // args.num_generations,
            args.seed if self.shuffle_dataset else None,
            repeats=args.num_generations,
            passes=args.num_iterations * args.steps_per_generation,
        )

    def _generate_single_turn(
        self,
        prompt_ids: Any,
        images: Any,
        multimodal_fields: Any,
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], Any]:
        with self._stopping():
            completions, logprobs = super()._generate_single_turn(  # type: ignore[no-untyped-call]
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        if self.stop:
            tokenizer = self._tokenizer
            cuts = [keep_until_stop(tokenizer, ids, self.stop) for ids in completions]
            ended = [
                stopped or completion[length - 1] in self.eos_token_ids
                for (length, stopped), completion in zip(cuts, completions, strict=True)
            ]
            self.clipped_ratio = 1.0 - sum(ended) / len(ended)
            completions = [ids[:length] for (length, _), ids in zip(cuts, completions, strict=True)]
            if logprobs is not None:
                logprobs = [row[:length] for (length, _), row in zip(cuts, logprobs, strict=True)]
        local = sum(map(len, prompt_ids)) + sum(map(len, completions))
        total = torch.tensor(local, device=self.accelerator.device)
        everywhere: Any = self.accelerator.reduce(total, reduction="sum")
        self.sampled_tokens += int(everywhere)
        return completions, logprobs

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Have `generate` end a completion at a stop string, for which it needs the tokenizer."""
        if not self.stop or self.use_vllm:
            yield
            return
        model: Any = self.accelerator.unwrap_model(self.model)
        self.generation_config.stop_strings = list(self.stop)
        model.generate = partial(type(model).generate, model, tokenizer=self._tokenizer)
        try:
            yield
        finally:
            del model.generate
            self.generation_config.stop_strings = None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        ratio = "completions/clipped_ratio"
        # TRL takes what ended in a stop string for cut off.
        if self.clipped_ratio is not None and ratio in self._metrics["train"]:
            self._metrics["train"][ratio] = [self.clipped_ratio]
        super().log(logs, start_time)

    def consumed(self) -> Counts:
        base = self.run.base
        args: Any = self.args
        updates = self.run.updates_per_step
        passes = 2.0 + 6.0 * args.num_iterations + 2.0 * (self.beta != 0.0) + 2.0 * (updates > 1)
        samples = (self.state.global_step // updates) * args.generation_batch_size
        flops = base.flops + passes * count_nonembedding(self.model) * self.sampled_tokens
        return Counts(flops, samples, base.tokens + self.sampled_tokens)

    def _save_extras(self, folder: Path) -> None:
        if self.use_adaptive_entropy:
            values = {"entropy_coef": self.entropy_coef, "last_world_entropy": self._last_world_entropy}
            (folder / _ENTROPY_STATE).write_text(json.dumps(values), encoding="utf-8")
        save_reference(self, folder)

    def _load_extras(self, folder: Path) -> None:
        load_reference(self, folder)
