"""Direct preference optimisation (arXiv 2305.18290) on pairs of completions, with TRL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trl import DPOConfig, DPOTrainer

from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.adapters import adapter_config, check_targets
from exc.runtime.stages.encoding import encode_behind, end_token
from exc.runtime.stages.models import count_nonembedding
from exc.runtime.stages.prompts import Row, read_rows, render_prompt
from exc.runtime.stages.trlconfig import build_config
from exc.runtime.stages.tuning import RowTrainer, load_reference, row_arguments, save_reference, tune
from exc.runtime.stages.weights import load_policy

SIDES = ("chosen", "rejected")
_PASSES = 6.0 + 2.0  # operations per parameter and token: training, and the reference's log-probabilities


def run(ctx: JobContext) -> None:
    """Train the model to prefer `chosen` to `rejected`, beside the model that it starts from.

    Counts are 8 N operations for each token of prompts and completions, padding not; samples are pairs.
    Metrics hold the last step's loss, and the share of its pairs that the model puts in the right order.
    Raises JobFailed("config" | "data" | "diverged" | "disk" | "out-of-memory").
    """
    tune(ctx, _make_trainer)


def _make_trainer(ctx: JobContext, scratch: Path) -> PreferenceTrainer:
    from datasets import Dataset

    config = ctx.config
    rows = read_rows(ctx.inputs["rows"])
    arguments = make_arguments(config, scratch)
    model, tokenizer = load_policy(ctx.inputs["model"], config["args"].get("model_init_kwargs") or {})
    check_targets(model, config.get("lora"))
    pairs = encode_pairs(tokenizer, make_pairs(rows, config["prompt"]), config["args"].get("max_length"))
    trainer = PreferenceTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
        peft_config=adapter_config(config.get("lora")),
    )
    trainer.rows_per_step = config["batch_size"]
    return trainer


def make_pairs(rows: Sequence[Row], template: str) -> list[dict[str, str]]:
    """Put each row's prompt before its two completions. Raises JobFailed("data") for what is no pair."""
    pairs = []
    for row in rows:
        texts = {side: row.fields[side] for side in SIDES}
        for side, text in texts.items():
            if not isinstance(text, str):
                raise JobFailed("data", f"row {row.index}: `{side}` is no text, but {text!r}")
        if texts["chosen"] == texts["rejected"]:
            raise JobFailed("data", f"row {row.index}: `chosen` and `rejected` are the same")
        pairs.append({"prompt": render_prompt(template, row.fields), **texts})
    if not pairs:
        raise JobFailed("data", "there are no pairs to learn from")
    return pairs


def encode_pairs(
    tokenizer: Any, pairs: Sequence[Mapping[str, str]], longest: int | None
) -> list[dict[str, list[int]]]:
    """The ids of prompts and of both completions, their ends included; longer ones are cut at `longest`.

    A pair whose prompt alone is as long is left out. Raises JobFailed("data") if all are.
    """
    end = end_token(tokenizer, None)
    prompts = [pair["prompt"] for pair in pairs]
    prompt_ids, *completion_ids = encode_behind(
        tokenizer, prompts, *([pair[side] for pair in pairs] for side in SIDES), end=end
    )
    encoded = [
        {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
        for prompt, chosen, rejected in zip(prompt_ids, *completion_ids, strict=True)
        if longest is None or len(prompt) < longest
    ]
    if not encoded:
        raise JobFailed(
            "data", f"every prompt fills `max_length` ({longest} tokens): nothing is left to learn from"
        )
    return encoded


def make_arguments(config: Mapping[str, Any], scratch: Path) -> DPOConfig:
    """Build TRL's configuration from the job's."""
    owned = {**row_arguments(config, scratch), "precompute_ref_log_probs": False}
    return build_config(DPOConfig, config["args"], owned)


class PreferenceTrainer(RowTrainer, DPOTrainer):
    """TRL's trainer over encoded pairs in a resumable order, every batch full."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        """The pairs are encoded: TRL would let a token reach over the end of the prompt."""
        return dataset

    def consumed(self) -> Counts:
        base = self.run.base
        tokens = int(self._total_train_tokens)  # in this process's life
        samples = self.state.global_step * self.rows_per_step
        flops = base.flops + _PASSES * count_nonembedding(self.model) * tokens
        return Counts(flops, samples, base.tokens + tokens)

    def _save_extras(self, folder: Path) -> None:
        save_reference(self, folder)

    def _load_extras(self, folder: Path) -> None:
        load_reference(self, folder)
