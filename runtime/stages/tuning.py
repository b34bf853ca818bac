"""What the stages that tune a model on rows share: the way in, the order of rows, the reference model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from exc.compiler.batch import sft_batch
from exc.runtime.context import JobContext, JobFailed
from exc.runtime.stages.ordering import SAMPLING, OrderedSampler
from exc.runtime.stages.session import Run
from exc.runtime.stages.training import ResumableTrainer, quieten, train
from exc.runtime.stages.trlconfig import lay_out, owned_arguments
from exc.runtime.stages.weights import save_weights

_REFERENCE_WEIGHTS = "reference.safetensors"


def tune(ctx: JobContext, make_trainer: Callable[[JobContext, Path], ResumableTrainer]) -> None:
    """Train the job's model with the trainer that `make_trainer` gives for a scratch folder.

    Raises JobFailed("config" | "data" | "diverged" | "disk" | "out-of-memory").
    """
    quieten()
    torch.set_num_threads(max(1, ctx.num_threads))
    session = Run(ctx, ctx.inputs["model"])
    state = session.begin()
    if not session.done:
        train(make_trainer(ctx, session.scratch), session, state)


def check_sampling(args: Mapping[str, Any]) -> None:
    """Raise JobFailed("config") if the rows come in an order that cannot be resumed."""
    sampling = args.get("train_sampling_strategy", SAMPLING[0])
    if sampling not in SAMPLING:
        raise JobFailed(
            "config",
            f"`train_sampling_strategy: {sampling}` cannot be resumed exactly; use {' or '.join(SAMPLING)}",
        )


def row_arguments(config: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """What a stage on rows sets itself of TRL's configuration, its batch laid out over the processes.

    Raises JobFailed("config") for an order that cannot be resumed or a batch that cannot be split.
    """
    args = config["args"]
    check_sampling(args)
    owned = owned_arguments(
        scratch, seed=config["seed"], max_steps=config["max_steps"], bf16=args.get("bf16")
    )
    batch = lay_out(sft_batch, config["batch_size"], config.get("micro_batch_size"))
    # A model object is given: TRL would warn that what says how to load one is ignored.
    return {**owned, **batch, "model_init_kwargs": None}


class RowTrainer(ResumableTrainer):
    """Goes through rows in a resumable order, every batch full; mixed in before TRL's own class."""

    rows_per_step: int

    def _get_train_sampler(self, train_dataset: Any = None) -> OrderedSampler:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        args: Any = self.args
        seed = args.seed if args.train_sampling_strategy == "random" else None
        return OrderedSampler(len(rows), args.max_steps, self.rows_per_step, seed)


def save_reference(trainer: Any, folder: Path) -> None:
    """Save the reference model with a state, if it follows the model that is trained."""
    if trainer.args.sync_ref_model:
        save_weights(trainer.accelerator.unwrap_model(trainer.ref_model), folder / _REFERENCE_WEIGHTS)


def load_reference(trainer: Any, folder: Path) -> None:
    """Restore what `save_reference` saved."""
    from safetensors.torch import load_model

    if trainer.args.sync_ref_model:
        load_model(trainer.accelerator.unwrap_model(trainer.ref_model), folder / _REFERENCE_WEIGHTS)
