"""What the training stages share: when to save, publish and stop, on top of transformers' Trainer.

A run counts in steps of its job's own unit: optimizer steps, or rollouts of `updates_per_step` optimizer
steps each. State is saved at whole steps only, which are the moments from which Trainer goes on exactly.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback

from exc.runtime.context import Counts, JobFailed, Stopped
from exc.runtime.stages.adapters import check_mergeable, has_adapters
from exc.runtime.stages.session import Run, is_first_process
from exc.runtime.stages.sharded import (
    WholeModel,
    check_sharding,
    deal_weights,
    gather_weights,
    load_optimizer,
    save_optimizer,
)
from exc.runtime.stages.states import (
    PROGRESS,
    WEIGHTS,
    State,
    write_state,
)
from exc.runtime.stages.weights import load_weights, save_weights

_SCHEDULER = "scheduler.pt"  # the name under which Trainer reads it back
# How torch reports it on a GPU and on a CPU.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


class Boundaries(TrainerCallback):
    """Asks Trainer to log, save and stop at the right optimizer steps."""

    def __init__(self, trainer: ResumableTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        control.should_log = True
        run = self.trainer.run
        step, inside = divmod(state.global_step, run.updates_per_step)
        if inside:
            return control
        if self.trainer.agree(run.wants_save(step)):
            control.should_save = True
        if self.trainer.agree(run.stopped) or step >= run.end:
            run.stopped = run.stopped or step < run.end
            control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        # Kept in memory and in every saved state otherwise, one entry a step.
        state.log_history.clear()
        if logs and "loss" in logs:
            run = self.trainer.run
            run.record(logs, state.global_step / run.updates_per_step, self.trainer.consumed)


class ResumableTrainer(Trainer):
    """The part of a stage's trainer that saves and restores; mixed in before TRL's own class."""

    run: Run

    def attach(self, run: Run) -> None:
        self.run = run
        self.remove_callback(PrinterCallback)
        self.add_callback(Boundaries(self))
        # Every batch is full; of the last, accelerate would count only as many as rows are left of an epoch.
        accelerator: Any = self.accelerator
        accelerator.gather_for_metrics = accelerator.gather

    def consumed(self) -> Counts:
        """Return what the computation has consumed up to now, from its own start."""
        raise NotImplementedError

    def agree(self, wish: bool) -> bool:
        """Make one process's wish everybody's: clocks and signals differ, but a save is collective."""
        if self.accelerator.num_processes == 1:
            return wish
        from accelerate.utils import gather_object

        return any(gather_object([wish]))

    def _send_telemetry(self) -> None:
        """TRL reports each run to its makers; a run here talks to nobody."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ARG002
        step = self.state.global_step // self.run.updates_per_step
        counts = self.consumed()
        whole = gather_weights(self.model) if self.is_fsdp_enabled else None
        state = write_state(
            self.run.ctx.work,
            step,
            lambda folder: self._fill(folder, counts, whole),
            finish=is_first_process(),
        )
        self.accelerator.wait_for_everyone()
        self.run.saved(state)
        self.run.publish(self.accelerator.unwrap_model(self.model), state, counts, whole)

    def _fill(self, folder: Path, counts: Counts, whole: WholeModel | None) -> None:
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))
        if is_first_process():
            save_weights(whole or self.accelerator.unwrap_model(self.model), folder / WEIGHTS)
            self._save_extras(folder)
            self.state.save_to_json(str(folder / "trainer_state.json"))
            totals = {"flops": counts.flops, "samples": counts.samples, "tokens": counts.tokens}
            text = json.dumps({"counts": totals, "metrics": self.run.metrics}, sort_keys=True)
            (folder / PROGRESS).write_text(text, encoding="utf-8")
        self.accelerator.wait_for_everyone()

    def _save_extras(self, folder: Path) -> None:
        """Save what a kind of trainer holds beside model and optimizer."""

    def _load_extras(self, folder: Path) -> None:
        """Restore what `_save_extras` saved."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load = deal_weights if self.is_fsdp_enabled else load_weights
        load(self.model if model is None else model, Path(resume_from_checkpoint))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        save_optimizer(self.optimizer, Path(output_dir))
        if is_first_process():
            scheduler: Any = self.lr_scheduler
            torch.save(scheduler.state_dict(), Path(output_dir, _SCHEDULER))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None and self.is_fsdp_enabled:
            load_optimizer(self.optimizer, Path(checkpoint))
            scheduler: Any = self.lr_scheduler
            scheduler.load_state_dict(torch.load(Path(checkpoint, _SCHEDULER), weights_only=True))
        else:
            super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._load_extras(Path(checkpoint))


def train(trainer: ResumableTrainer, run: Run, state: State | None) -> None:
    """Train from `state` (None: from the start) until everything to be kept is published.

    Raises Stopped if the job was asked to stop, after saving, and JobFailed if memory runs out.
    """
    trainer.attach(run)
    check_sharding(trainer)
    if has_adapters(trainer.model):
        check_mergeable(trainer.model)
    if state is not None:
        if state.step in run.ctx.kept:
            load_weights(trainer.accelerator.unwrap_model(trainer.model), state.folder)
        run.publish(trainer.accelerator.unwrap_model(trainer.model), state, run.base)
    if run.done:
        return
    if run.ctx.should_stop():
        raise Stopped
    run.start_clock()
    try:
        trainer.train(resume_from_checkpoint=None if state is None else str(state.folder))
        # The others still look into the folder that the first is about to remove; and where each is alone on
        # its node, they would be gone a while before the first has published, and the launcher end it.
        trainer.accelerator.wait_for_everyone()
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
            raise JobFailed("out-of-memory", f"not enough memory: {error}") from error
        raise
    finally:
        if is_first_process():
            shutil.rmtree(run.scratch, ignore_errors=True)
    if run.stopped and not run.done:
        raise Stopped
    if not run.done:
        raise JobFailed("config", f"training ended before step {run.end}")


def quieten() -> None:
    """Keep libraries from drawing progress bars in a log."""
    import datasets
    from transformers.utils import logging

    bars: Any = logging
    datasets.disable_progress_bars()
    bars.disable_progress_bar()
