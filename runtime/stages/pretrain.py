"""Pre-training, from scratch or from a model, in segments that end at kept steps and join without a seam."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainingArguments

from exc.compiler.batch import sft_batch
from exc.compiler.learning_rate import make_schedule
from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.mixture import MixedRows, Mixture, open_tokens
from exc.runtime.stages.models import count_nonembedding, load_tokenizer
from exc.runtime.stages.moments import load_moments
from exc.runtime.stages.session import Run
from exc.runtime.stages.sharded import deal_moments
from exc.runtime.stages.training import ResumableTrainer, quieten, train
from exc.runtime.stages.trlconfig import build_config, lay_out, owned_arguments
from exc.runtime.stages.weights import load_model, make_model

FLOPS_PER_PARAMETER_AND_TOKEN = 6.0  # two of a forward pass, four of a backward pass


def run(ctx: JobContext) -> None:
    """Train a model from random weights, from those of a model, or from a state, up to the job's last step.

    With the input `continues`, the optimizer's moments are those of that state at first. The config says at
    which step of the learning rate, and at which row of the mixture, the run begins; its steps count from 1.
    Counts are 6 N operations for each of D tokens, with N the parameters outside the embeddings. Metrics hold
    the last step's loss and `tokens/SOURCE`, the tokens seen of each source.
    Raises JobFailed("config" | "data" | "diverged" | "disk" | "out-of-memory").
    """
    quieten()
    torch.set_num_threads(max(1, ctx.num_threads))
    session = Run(ctx, ctx.inputs["tokenizer"])
    state = session.begin()
    if session.done:
        return
    train(_make_trainer(ctx, session, resumed=state is not None), session, state)


def _make_trainer(ctx: JobContext, session: Run, *, resumed: bool) -> PretrainTrainer:
    config = ctx.config
    length, batch_size = config["sequence_length"], config["batch_size"]
    tokenizer = load_tokenizer(ctx.inputs["tokenizer"])
    # A list, because the order of the sources is part of what is computed.
    weights = {source["name"]: source["weight"] for source in config["mixture"]}
    sources = {name: open_tokens(name, ctx.inputs[f"tokens:{name}"], length) for name in weights}
    order = config["seed"] if config.get("data_seed") is None else config["data_seed"]
    start_step, start_row = config.get("start_step", 0), config.get("start_row", 0)
    mixture = Mixture({name: len(rows) for name, rows in sources.items()}, weights, order)
    if config["model"]:
        model = make_model(config["model"], tokenizer, config["seed"])
    else:  # its shape comes with the weights
        model = load_model(ctx.inputs["model"], len(tokenizer), config["seed"])
    # A map-style data set is what has length and items, whatever its class.
    rows: Any = MixedRows(mixture, sources, session.end * batch_size, start_row)
    trainer = PretrainTrainer(
        model=model,
        args=_make_arguments(config, session),
        train_dataset=rows,
        data_collator=collate,
    )
    try:
        schedule = make_schedule(config["lr"])
    except ValueError as error:
        raise JobFailed("config", str(error)) from None
    trainer.schedule = lambda steps_taken: schedule(start_step + steps_taken)
    trainer.mixture, trainer.rows_per_step, trainer.row_length = mixture, batch_size, length
    trainer.start_row, trainer.continues = start_row, None if resumed else ctx.inputs.get("continues")
    return trainer


def _make_arguments(config: Mapping[str, Any], session: Run) -> TrainingArguments:
    optimizer = config["optimizer"]
    settings = {
        **lay_out(sft_batch, config["batch_size"], config.get("micro_batch_size")),
        "learning_rate": config["lr"]["peak"],
        "adam_beta1": optimizer["betas"][0],
        "adam_beta2": optimizer["betas"][1],
        "adam_epsilon": optimizer["eps"],
        "weight_decay": optimizer["weight_decay"],
        # Trainer clips nothing at 0.
        "max_grad_norm": optimizer["max_grad_norm"] or 0.0,
        "optim": "adamw_torch_fused",
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
    }
    owned = owned_arguments(
        session.scratch, seed=config["seed"], max_steps=session.end, bf16=config["precision"] == "bf16"
    )
    return build_config(TrainingArguments, settings, owned)


def collate(rows: Sequence[NDArray[np.int64]]) -> dict[str, torch.Tensor]:
    """Stack rows into a batch in which every token but the first of each row is predicted."""
    tokens = torch.from_numpy(np.stack(rows))
    return {"input_ids": tokens, "labels": tokens}


class PretrainTrainer(ResumableTrainer):
    """Trainer with a learning rate that is a function of the step and knows no horizon beyond it."""

    schedule: Callable[[int], float]
    mixture: Mixture
    rows_per_step: int
    row_length: int  # tokens
    start_row: int  # of the mixture
    continues: Path | None  # the state whose moments it begins with; None also where its own state has them

    def create_optimizer(self, model: Any = None) -> Any:
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        # FSDP puts other parameters into the optimizer once it is made.
        if is_new and self.continues is not None and not self.is_fsdp_enabled:
            load_moments(optimizer, self.continues)
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ARG002
        if self.lr_scheduler is None:
            if self.continues is not None and self.is_fsdp_enabled:
                load_moments(self.optimizer, self.continues, deal_moments)
            optimizer = self.optimizer if optimizer is None else optimizer
            self.lr_scheduler = LambdaLR(optimizer, self.schedule)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        # A state holds the next step's rate as the run that saved it saw it; another horizon may differ.
        scheduler: Any = self.lr_scheduler
        optimizer: Any = self.optimizer
        rates = [base * self.schedule(scheduler.last_epoch) for base in scheduler.base_lrs]
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        scheduler._last_lr = rates

    def consumed(self) -> Counts:
        rows = self.state.global_step * self.rows_per_step
        tokens = rows * self.row_length
        return Counts(FLOPS_PER_PARAMETER_AND_TOKEN * count_nonembedding(self.model) * tokens, rows, tokens)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        stop = self.start_row + self.state.global_step * self.rows_per_step
        seen = self.mixture.between(self.start_row, stop)
        self.run.metrics |= {f"tokens/{name}": float(rows * self.row_length) for name, rows in seen.items()}
        super()._save_checkpoint(model, trial)
