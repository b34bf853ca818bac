"""Learning from completions that are judged good or bad, one by one (arXiv 2402.01306), with TRL.

Its loss compares each completion with how far the model is from its reference over all of a batch: the mean
of their log-ratio on completions that belong to other prompts. TRL takes that mean over what a device holds
at once, and pairs neighbours there. Here the pairs are fixed for a job, and the mean is that of the whole
optimizer step, so that neither micro-batches nor the number of devices change what is learnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from trl import KTOConfig, KTOTrainer

from exc.compiler.batch import kto_batch
from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.adapters import adapter_config, check_targets
from exc.runtime.stages.encoding import encode_behind, end_token
from exc.runtime.stages.models import count_nonembedding
from exc.runtime.stages.ordering import OrderedSampler, row_at
from exc.runtime.stages.prompts import Row, read_rows, render_prompt
from exc.runtime.stages.trlconfig import build_config, lay_out
from exc.runtime.stages.tuning import (
    RowTrainer,
    check_sampling,
    load_reference,
    row_arguments,
    save_reference,
    tune,
)
from exc.runtime.stages.weights import load_policy

_PASSES = 6.0 + 2.0  # operations per parameter and token: training, and the reference's log-probabilities
_APART_PASSES = 2.0 + 2.0  # on completions of other prompts: the model's and the reference's
SIDES = {"chosen": True, "rejected": False}


def run(ctx: JobContext) -> None:
    """Train the model towards completions labelled good and away from bad ones, near where it starts from.

    Counts are 8 N operations for each token of prompts and completions, and 4 N for each token of the pairs
    that the distance to the reference is measured on; padding not. Samples are completions, and tokens theirs
    with their prompts. Metrics hold the last step's loss, and how far good ones are rewarded above bad ones.
    Raises JobFailed("config" | "data" | "diverged" | "disk" | "out-of-memory").
    """
    tune(ctx, _make_trainer)


def _make_trainer(ctx: JobContext, scratch: Path) -> JudgedTrainer:
    from datasets import Dataset

    config = ctx.config
    examples = make_examples(read_rows(ctx.inputs["rows"]), config["prompt"], config.get("unpair", False))
    arguments = make_arguments(config, scratch)
    model, tokenizer = load_policy(ctx.inputs["model"], config["args"].get("model_init_kwargs") or {})
    check_targets(model, config.get("lora"))
    encoded = encode_examples(tokenizer, examples, config["args"].get("max_length"))
    if arguments.loss_type == "kto":
        add_mismatched(encoded, config["seed"])
    trainer = JudgedTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(encoded),
        processing_class=tokenizer,
        peft_config=adapter_config(config.get("lora")),
    )
    trainer.rows_per_step = config["batch_size"]
    sampling = config["args"].get("train_sampling_strategy", "random")
    trainer.order_seed = config["seed"] if sampling == "random" else None
    return trainer


def make_examples(rows: Sequence[Row], template: str, unpair: bool) -> list[dict[str, Any]]:
    """Put each row's prompt before its completion and label, or before each side of a pair.

    Raises JobFailed("data") for what is no text or no label, and if all are good, or all bad.
    """
    examples: list[dict[str, Any]] = []
    for row in rows:
        prompt = render_prompt(template, row.fields)
        if unpair:
            judged = [(row.fields[side], label) for side, label in SIDES.items()]
        else:
            judged = [(row.fields["completion"], _label(row))]
        for text, label in judged:
            if not isinstance(text, str):
                raise JobFailed("data", f"row {row.index}: the completion is no text, but {text!r}")
            examples.append({"prompt": prompt, "completion": text, "label": label})
    if not examples:
        raise JobFailed("data", "there are no completions to learn from")
    if len({example["label"] for example in examples}) == 1:
        which = "good" if examples[0]["label"] else "bad"
        raise JobFailed(
            "data", f"all {len(examples)} completions are labelled {which}: nothing tells them apart"
        )
    return examples


def _label(row: Row) -> bool:
    label = row.fields["label"]
    if not isinstance(label, bool) and label not in (0, 1):
        raise JobFailed("data", f"row {row.index}: `label` is neither true nor false, but {label!r}")
    return bool(label)


def encode_examples(
    tokenizer: Any, examples: Sequence[Mapping[str, Any]], longest: int | None
) -> list[dict[str, Any]]:
    """The ids of prompts and completions, their ends included; those whose prompt fills `longest` left out.

    Raises JobFailed("data") if all are.
    """
    end = end_token(tokenizer, None)
    texts = [example["completion"] for example in examples]
    prompts, completions = encode_behind(
        tokenizer, [example["prompt"] for example in examples], texts, end=end
    )
    encoded = [
        {"prompt_ids": prompt, "completion_ids": completion, "label": example["label"]}
        for prompt, completion, example in zip(prompts, completions, examples, strict=True)
        if longest is None or len(prompt) < longest
    ]
    if not encoded:
        message = f"every prompt fills `max_length` ({longest} tokens): nothing is left to learn from"
        raise JobFailed("data", message)
    return encoded


def add_mismatched(encoded: list[dict[str, Any]], seed: int) -> None:
    """Give each example, as `KL_completion_ids`, a completion that belongs to another prompt.

    Rows are gone through in an order of the seed's; each takes the completion of the next one in it that has
    another prompt. Raises JobFailed("data") if there is none.
    """
    num = len(encoded)
    order = [row_at(position, num, seed) for position in range(num)]
    if all(each["prompt_ids"] == encoded[0]["prompt_ids"] for each in encoded):
        message = "all prompts are the same: kto compares with completions of other prompts"
        raise JobFailed("data", message)
    last = next(
        place for place in range(num) if _prompt(encoded, order, place) != _prompt(encoded, order, place - 1)
    )
    other = last  # the place of the next row whose prompt is another, seen from behind
    for place in range(last - 1, last - 1 - num, -1):
        if _prompt(encoded, order, place) != _prompt(encoded, order, place + 1):
            other = place + 1
        partner = encoded[order[other % num]]
        encoded[order[place % num]]["KL_completion_ids"] = partner["completion_ids"]


def _prompt(encoded: Sequence[Mapping[str, Any]], order: Sequence[int], place: int) -> list[int]:
    prompt: list[int] = encoded[order[place % len(order)]]["prompt_ids"]
    return prompt


def make_arguments(config: Mapping[str, Any], scratch: Path) -> KTOConfig:
    """Build TRL's configuration from the job's."""
    check_sampling(config["args"])
    owned = {
        **row_arguments(config, scratch),
        **lay_out(kto_batch, config["batch_size"], config.get("micro_batch_size")),
        "precompute_ref_log_probs": False,
        # TRL pairs neighbours in this order, and refuses another; here rows are paired, and then shuffled.
        "train_sampling_strategy": "sequential",
    }
    return build_config(KTOConfig, config["args"], owned)


class JudgedTrainer(RowTrainer, KTOTrainer):
    """TRL's trainer over encoded completions in a resumable order, with one distance for a whole step."""

    order_seed: int | None = None
    apart_tokens: int = 0  # of mismatched pairs, in this process's life
    _distance: torch.Tensor | None = None  # mean log-ratio of the step's mismatched pairs

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        """The completions are encoded: TRL would let a token reach over the end of the prompt."""
        return dataset

    def get_batch_samples(self, *given: Any, **options: Any) -> Any:
        """The micro-batches of an optimizer step, before which its distance to the reference is measured."""
        samples, num_items = super().get_batch_samples(*given, **options)
        if self.calculate_KL and samples:
            self._distance = self._measure(samples)
        return samples, num_items

    def _measure(self, samples: Sequence[Mapping[str, Any]]) -> torch.Tensor:
        measure: Any = super()._compute_kl_logps
        own, others = [], []
        assert self.model_wrapped is not None
        self.model_wrapped.train()  # as in the steps: the first one of a process must not differ
        for batch in samples:
            held = {key: value.to(self.accelerator.device) for key, value in batch.items()}
            with self.compute_loss_context_manager():
                own.append(measure(self.model_wrapped, held))
                with self._as_reference() as reference:
                    others.append(measure(reference, held))
            self.apart_tokens += self._everywhere(held["KL_attention_mask"].sum())
        gathered: Any = self.accelerator.gather(torch.cat(own) - torch.cat(others))
        distance: torch.Tensor = gathered.mean()
        return distance

    @contextmanager
    def _as_reference(self) -> Iterator[Any]:
        """The reference: a model of its own, or the trained one without its adapters."""
        if self.ref_model is not None:
            yield self.ref_model
            return
        model: Any = self.accelerator.unwrap_model(self.model)
        with model.disable_adapter():
            yield self.model_wrapped

    def _compute_kl_logps(self, model: Any, batch: Any) -> Any:  # noqa: ARG002
        """For the model the distance of the step, for the reference 0: TRL takes their difference's mean."""
        if self._distance is None:
            return None
        return self._distance if torch.is_grad_enabled() else torch.zeros_like(self._distance)

    def _everywhere(self, number: torch.Tensor) -> int:
        total: Any = self.accelerator.reduce(number, reduction="sum")
        return int(total)

    def _get_train_sampler(self, train_dataset: Any = None) -> OrderedSampler:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        args: Any = self.args
        return OrderedSampler(len(rows), args.max_steps, self.rows_per_step, self.order_seed)

    def consumed(self) -> Counts:
        base = self.run.base
        tokens = int(self._total_train_tokens)  # in this process's life
        samples = self.state.global_step * self.rows_per_step
        operations = _PASSES * tokens + _APART_PASSES * self.apart_tokens
        flops = base.flops + count_nonembedding(self.model) * operations
        return Counts(flops, samples, base.tokens + tokens)

    def _save_extras(self, folder: Path) -> None:
        save_reference(self, folder)

    def _load_extras(self, folder: Path) -> None:
        load_reference(self, folder)
