"""What the stages share that learn from their own samples: prompts, rewards, stop strings, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from exc.compiler.batch import grpo_batch
from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.adapters import adapter_config, check_targets
from exc.runtime.stages.completions import cut_at_stop, keep_until_stop
from exc.runtime.stages.engine import engine_arguments, seeded_engine
from exc.runtime.stages.forms import in_form
from exc.runtime.stages.judging import DEFAULT_TIMEOUT_S, Judge
from exc.runtime.stages.models import count_nonembedding
from exc.runtime.stages.ordering import OrderedSampler
from exc.runtime.stages.prompts import Row, read_rows, render_prompt
from exc.runtime.stages.session import Run
from exc.runtime.stages.training import ResumableTrainer, quieten, train
from exc.runtime.stages.trlconfig import lay_out, owned_arguments
from exc.runtime.stages.weights import load_policy

Reward = Callable[..., list[float | None]]
T = TypeVar("T", bound="SampledTrainer")
_ENOUGH = 100  # completions before their share that could not be verified says something


def run_rollouts(ctx: JobContext, trainer_class: type[SampledTrainer], judging: Callable[..., Judge]) -> None:
    """Train the job's model with a trainer on its own samples, judged by what `judging` makes.

    Raises JobFailed("config" | "data" | "verifier" | "diverged" | "disk" | "out-of-memory").
    """
    quieten()
    torch.set_num_threads(max(1, ctx.num_threads))
    config = ctx.config
    # Every rollout is reported: they are few, and their rewards are a curve that people look at.
    session = Run(ctx, ctx.inputs["model"], config["updates_per_rollout"], emit_interval_s=0.0)
    state = session.begin()
    if session.done:
        return
    timeout_s = config.get("verifier_timeout", DEFAULT_TIMEOUT_S)
    with judging(config["verifier"], ctx.root, timeout_s) as judge:
        policy = load_policy(ctx.inputs["model"], config["args"].get("model_init_kwargs") or {})
        rows = ctx.inputs["rows"]
        train(make_trainer(trainer_class, config, rows, policy, session.scratch, judge), session, state)


def make_trainer(
    trainer_class: type[T],
    config: Mapping[str, Any],
    rows_folder: Path,
    policy: tuple[Any, Any],
    scratch: Path,
    judge: Judge,
) -> T:
    """The trainer of a job's config, for a (model, tokenizer) and the rows that prompts are made of.

    Raises JobFailed("config" | "data").
    """
    from datasets import Dataset

    rows = read_rows(rows_folder)
    if not rows:
        raise JobFailed("data", "there are no rows to make prompts of")
    arguments = trainer_class.make_arguments(config, scratch)
    model, tokenizer = policy
    most = config.get("max_unverifiable", 0.05)
    check_targets(model, config.get("lora"))
    reward = make_reward(rows, judge, config["rewards"], config["stop"], most)
    prompts = [
        {"prompt": render_prompt(config["prompt"], row.fields), "row": n} for n, row in enumerate(rows)
    ]
    made: Any = trainer_class
    with seeded_engine(config):
        trainer: T = made(
            model=model,
            reward_funcs=[reward],
            args=arguments,
            train_dataset=Dataset.from_list(prompts),
            processing_class=tokenizer,
            peft_config=adapter_config(config.get("lora")),
        )
    trainer.stop, trainer.rollouts = tuple(config["stop"]), config["rollouts"]
    return trainer


def rollout_arguments(config: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """What a stage on samples sets itself of TRL's configuration.

    The `updates_per_rollout` optimizer steps take equal parts of a rollout, each part once. Raises
    JobFailed("config") if they do not come out even, or if what is to sample is not there.
    """
    args = config["args"]
    owned = owned_arguments(
        scratch,
        seed=config["seed"],
        max_steps=config["rollouts"] * config["updates_per_rollout"],
        bf16=args.get("bf16"),
    )
    if args.get("use_transformers_continuous_batching") and (owned["bf16"] or args.get("fp16")):
        raise JobFailed(
            "config",
            "`use_transformers_continuous_batching` casts the weights themselves when it samples in mixed "
            "precision, and would train them so from then on: say `bf16: false` beside it, or leave it out",
        )
    return owned | {
        **lay_out(
            grpo_batch,
            config["num_generations"],
            config["prompts_per_rollout"],
            config["updates_per_rollout"],
            config.get("micro_batch_size"),
        ),
        **engine_arguments(config),
        "num_generations": config["num_generations"],
        "generation_batch_size": None,
        "remove_unused_columns": False,
        "log_completions": False,  # writes files
    }


def make_reward(
    rows: Sequence[Row], judge: Judge, rewards: Mapping[str, Any], stop: Sequence[str], most: float = 1.0
) -> Reward:
    """Return TRL's reward function: `correct` if right, else `format` if an answer was found, else 0.

    Where `rewards` has a `form`, the answer must stand in it to earn `format`.

    What cannot be verified has no reward, and is left out of its group. Raises JobFailed("verifier") when
    that is so of a whole rollout, since nothing could be learned, and when it is so of more than the share
    `most` of all completions since the process began.
    """
    num_judged = 0
    errors: list[str] = []

    def reward(completions: list[str], row: list[int], **_: Any) -> list[float | None]:
        nonlocal num_judged
        calls = [(cut_at_stop(text, stop), rows[index]) for text, index in zip(completions, row, strict=True)]
        verdicts = judge.judge(calls)
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
        found, form = rewards.get("format", 0.0), rewards.get("form", "any")
        return [
            None
            if not verdict.verifiable
            else rewards["correct"]
            if verdict.correct
            else (found if verdict.parsed is not None and in_form(text, form) else 0.0)
            for verdict, (text, _) in zip(verdicts, calls, strict=True)
        ]

    return reward


class Ended(list[int]):
    """The ids of a completion that ended in a stop string.

    TRL asks for the last id to tell what was cut off, and is answered with the end of text: else it would
    count, and mask where it is told to, what ended by itself.
    """

    end: int

    def __getitem__(self, index: Any) -> Any:
        return self.end if index == -1 else super().__getitem__(index)


class SampledTrainer(ResumableTrainer):
    """Prompts in a resumable order, stop strings, and a count of what is consumed; before TRL's own class."""

    stop: tuple[str, ...] = ()
    rollouts: int
    sampled_tokens: int = 0  # prompts and completions, in this process's life

    @staticmethod
    def make_arguments(config: Mapping[str, Any], scratch: Path) -> Any:
        """Build TRL's configuration from the job's. Raises JobFailed("config")."""
        raise NotImplementedError

    @property
    def passes(self) -> float:
        """Operations per parameter and sampled token: to sample, to train, for other log-probabilities."""
        raise NotImplementedError

    def _get_train_sampler(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, dataset: Any = None
    ) -> OrderedSampler:
        rows: Any = self.train_dataset if dataset is None else dataset
        args: Any = self.args
        trainer: Any = self
        return OrderedSampler(
            len(rows),
            self.rollouts,
            args.generation_batch_size // args.num_generations,
            args.seed if trainer.shuffle_dataset else None,
            repeats=args.num_generations,
            passes=args.num_iterations * args.steps_per_generation,
        )

    def cut_and_count(
        self, prompt_ids: Any, completions: list[list[int]], logprobs: Any = None
    ) -> tuple[list[list[int]], Any]:
        """Cut completions behind the first stop string, and count the tokens of this rollout."""
        trainer: Any = self
        if self.stop:
            tokenizer = trainer._tokenizer
            cuts = [keep_until_stop(tokenizer, ids, self.stop) for ids in completions]
            completions = [_cut(ids, *cut, tokenizer) for cut, ids in zip(cuts, completions, strict=True)]
            if logprobs is not None:
                logprobs = [row[:length] for (length, _), row in zip(cuts, logprobs, strict=True)]
        local = sum(map(len, prompt_ids)) + sum(map(len, completions))
        total = torch.tensor(local, device=self.accelerator.device)
        everywhere: Any = self.accelerator.reduce(total, reduction="sum")
        self.sampled_tokens += int(everywhere)
        return completions, logprobs

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Have what samples end a completion at a stop string."""
        trainer: Any = self
        if not self.stop:
            yield
            return
        if trainer.use_vllm:
            trainer.vllm_generation.generation_kwargs["stop"] = list(self.stop)
            trainer.vllm_generation.generation_kwargs["include_stop_str_in_output"] = True
            yield
            return
        model: Any = self.accelerator.unwrap_model(self.model)
        trainer.generation_config.stop_strings = list(self.stop)
        before = vars(model).get("generate")  # FSDP's, which has the root's weights gathered
        # `generate` needs the tokenizer to know them.
        model.generate = partial(model.generate, tokenizer=trainer._tokenizer)
        try:
            yield
        finally:
            del model.generate
            if before is not None:
                model.generate = before
            trainer.generation_config.stop_strings = None

    def consumed(self) -> Counts:
        base = self.run.base
        args: Any = self.args
        samples = (self.state.global_step // self.run.updates_per_step) * args.generation_batch_size
        flops = base.flops + self.passes * count_nonembedding(self.model) * self.sampled_tokens
        return Counts(flops, samples, base.tokens + self.sampled_tokens)


def _cut(ids: list[int], length: int, is_stopped: bool, tokenizer: Any) -> list[int]:
    kept = ids[:length]
    if not is_stopped:
        return kept
    ended = Ended(kept)
    ended.end = int(tokenizer.eos_token_id)
    return ended
