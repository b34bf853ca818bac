"""Supervised fine-tuning on demonstrations, with TRL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.adapters import adapter_config, check_targets
from exc.runtime.stages.encoding import encode_behind, end_token
from exc.runtime.stages.models import count_nonembedding
from exc.runtime.stages.pretrain import FLOPS_PER_PARAMETER_AND_TOKEN
from exc.runtime.stages.prompts import Row, read_rows, render_prompt
from exc.runtime.stages.session import Run
from exc.runtime.stages.trlconfig import build_config
from exc.runtime.stages.tuning import RowTrainer, row_arguments, tune
from exc.runtime.stages.weights import load_policy
from exc.spec.words import plural


def run(ctx: JobContext) -> None:
    """Fine-tune the model on prompts and demonstrations; the loss is the demonstration's, its end included.

    Counts are 6 N operations for each token, prompts included and padding not. Metrics hold the last step's
    loss and token accuracy, and the share of examples that were cut to `max_length`.
    Raises JobFailed("config" | "data" | "diverged" | "disk" | "out-of-memory").
    """
    tune(ctx, _make_trainer)


def _make_trainer(ctx: JobContext, scratch: Path) -> FineTuner:
    config = ctx.config
    # Before the model is loaded, so that what is wrong with the rows is said at once.
    examples = make_examples(read_rows(ctx.inputs["rows"]), config["prompt"], config["demonstrations"])
    policy = load_policy(ctx.inputs["model"], config["args"].get("model_init_kwargs") or {})
    check_targets(policy[0], config.get("lora"))
    return make_trainer(config, examples, policy, scratch)


def make_trainer(
    config: Mapping[str, Any], examples: Sequence[Mapping[str, str]], policy: tuple[Any, Any], scratch: Path
) -> FineTuner:
    """The trainer of a job's config, for a (model, tokenizer) and texts.

    Raises JobFailed("config" | "data").
    """
    from datasets import Dataset

    model, tokenizer = policy
    arguments = make_arguments(config, scratch)
    rows = tokenise(tokenizer, examples, arguments.eos_token)
    trainer = FineTuner(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=adapter_config(config.get("lora")),
    )
    trainer.rows_per_step = config["batch_size"]
    trainer.cut_rate = _cut_rate(rows, arguments)
    tokenised: Any = trainer.train_dataset
    if len(tokenised) == 0:
        longest = config["args"].get("max_length")
        raise JobFailed(
            "data", f"every prompt fills `max_length` ({longest} tokens): nothing is left to learn from"
        )
    return trainer


def make_examples(rows: list[Row], template: str, demonstrations: str) -> list[dict[str, str]]:
    """Pair each row's prompt with its first demonstration, or with each; rows without one are left out.

    Raises JobFailed("data") if nothing is left.
    """
    examples = [
        {"prompt": render_prompt(template, row.fields), "completion": text}
        for row in rows
        for text in (row.demonstrations if demonstrations == "all" else row.demonstrations[:1])
    ]
    if not examples:
        raise JobFailed("data", f"none of the {len(rows)} rows has a demonstration to learn from")
    return examples


def tokenise(
    tokenizer: Any, examples: Sequence[Mapping[str, str]], end: str | None
) -> list[dict[str, list[int]]]:
    """Put the ids of each demonstration, its end included, behind the ids of its prompt."""
    prompts, completions = encode_behind(
        tokenizer,
        [example["prompt"] for example in examples],
        [example["completion"] for example in examples],
        end=end_token(tokenizer, end),
    )
    return [
        {
            "input_ids": prompt + completion,
            "completion_mask": [0] * len(prompt) + [1] * len(completion),
        }
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def _cut_rate(rows: Sequence[Mapping[str, Sequence[int]]], arguments: SFTConfig) -> float:
    """The share of examples that TRL cuts to `max_length` without a word; the log has how many."""
    longest = arguments.max_length
    num_cut = 0 if longest is None else sum(len(row["input_ids"]) > longest for row in rows)
    if num_cut and arguments.process_index == 0:
        print(
            f"{num_cut:,} of {plural(len(rows), 'example')} are cut to `max_length` ({longest:,} tokens): of "
            "those the model does not learn how an answer ends",
            flush=True,
        )
    return num_cut / len(rows)


def make_arguments(config: Mapping[str, Any], scratch: Path) -> SFTConfig:
    """Build TRL's configuration from the job's."""
    owned = row_arguments(config, scratch)
    if config["args"].get("completion_only_loss") is None:
        owned["completion_only_loss"] = True  # TRL infers it from columns of text, and is given ids
    return build_config(SFTConfig, config["args"], owned)


class FineTuner(RowTrainer, SFTTrainer):
    """TRL's trainer over rows in a resumable order, every batch full."""

    cut_rate: float

    def attach(self, run: Run) -> None:
        super().attach(run)
        run.metrics["cut_rate"] = self.cut_rate

    def consumed(self) -> Counts:
        base = self.run.base
        # TRL counts the tokens of this process's life.
        tokens = base.tokens + int(self._total_train_tokens)
        samples = self.state.global_step * self.rows_per_step
        return Counts(
            FLOPS_PER_PARAMETER_AND_TOKEN * count_nonembedding(self.model) * tokens, samples, tokens
        )
