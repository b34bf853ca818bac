"""What the training stages share: when to save, publish and stop, on top of transformers' Trainer.

A run counts in steps of its job's own unit: optimizer steps, or rollouts of `updates_per_step` optimizer
steps each. State is saved at whole steps only, which are the moments from which Trainer goes on exactly.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, Trainer, TrainerCallback

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.adapters import ADAPTER, check_mergeable, has_adapters, write_adapter
from exc.runtime.stages.states import (
    PROGRESS,
    WEIGHTS,
    State,
    copy_state,
    find_state,
    remove_leftovers,
    remove_older,
    write_state,
)
from exc.runtime.stages.weights import load_weights, save_weights, write_model

REFERENCE_WEIGHTS = "reference.safetensors"
ENTROPY_STATE = "entropy_ctrl_state.json"  # the name under which TRL reads it back
# How torch reports it on a GPU and on a CPU.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
# What Trainer and TRL call it -> what events and metrics call it.
_REPORTED = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "reward": "reward",
    "reward_std": "reward_std",
    "kl": "kl",
    "entropy": "entropy",
    "mean_token_accuracy": "token_accuracy",
    "rewards/accuracies": "pairs_in_order",
    "rewards/margins": "reward_margin",
    "completions/clipped_ratio": "clipped_ratio",
    "completions/mean_length": "completion_length",
}


@dataclass(slots=True)
class Run:
    """One training job in this process: what is to be kept, where it starts, what it has measured."""

    ctx: JobContext
    tokenizer: Path  # folder whose tokenizer files go with every published model
    updates_per_step: int = 1
    emit_interval_s: float = 0.5  # wall-clock; steps that end sooner after the last event are not reported
    base: Counts = field(default_factory=Counts)  # consumed before this process began
    metrics: dict[str, float] = field(default_factory=dict)
    stopped: bool = False
    _missing: set[int] = field(default_factory=set)
    _state: State | None = None
    _saved_at: float = 0.0
    _emitted_at: float = 0.0
    _emitted: tuple[float, int] = (0.0, 0)  # time and tokens at the last event, for the rate
    _last_finite: float | None = None

    @property
    def end(self) -> int:
        """The step at which the job ends."""
        return max(self.ctx.kept)

    def begin(self) -> State | None:
        """Choose the state to start from: the newest that is not past anything still to be published."""
        ctx = self.ctx
        if not ctx.kept:
            raise JobFailed("config", f"{ctx.job_id} keeps no step")
        ctx.work.mkdir(parents=True, exist_ok=True)
        if is_first_process():
            remove_leftovers(ctx.work)
        self._missing = {step for step, there in ctx.kept.items() if not there}
        if not self._missing:
            return None
        folders = [ctx.work, *([ctx.inputs["resumes"]] if "resumes" in ctx.inputs else [])]
        self._state = find_state(folders, min(self._missing))
        if self._state is not None:
            progress = json.loads((self._state.folder / PROGRESS).read_text(encoding="utf-8"))
            self.base = Counts(**progress["counts"])
            self.metrics = progress["metrics"]
            ctx.emit("progress", step=self._state.step, total=self.end, resumed=True)
        return self._state

    @property
    def done(self) -> bool:
        """Whether everything to be kept is in the store."""
        return not self._missing

    def publish(self, model: Any, state: State, counts: Counts) -> None:
        """Publish the model and the state of a kept step that is not in the store yet."""
        if state.step not in self._missing:
            return

        def write(folder: Path) -> None:
            write_model(model, self.tokenizer, folder / "model")
            if has_adapters(model):
                write_adapter(model, folder / ADAPTER)
            copy_state(state, folder / "state")

        if is_first_process():
            self.ctx.publish(write, step=state.step, metrics=dict(self.metrics), counts=counts)
        self._missing.discard(state.step)

    def wants_save(self, step: int) -> bool:
        """Whether a whole step is a moment to save; asks whether to stop, too."""
        self.stopped = self.stopped or self.ctx.should_stop()
        overdue = time.monotonic() - self._saved_at >= self.ctx.save_interval_s
        return self.stopped or overdue or step in self._missing or step >= self.end

    def record(self, logs: Mapping[str, Any], step: float, counts: Callable[[], Counts]) -> None:
        """Take in what Trainer logged after an optimizer step.

        Raises JobFailed("diverged") if loss or gradient norm is not a finite number.
        """
        values = {
            _REPORTED[name]: float(value)
            for name, value in logs.items()
            if name in _REPORTED and value is not None
        }
        for name in ("loss", "grad_norm"):
            if name in values and not math.isfinite(values[name]):
                raise JobFailed("diverged", self._explain(name, values[name], step))
        self._last_finite = values.get("loss", self._last_finite)
        self.metrics.update(values)
        now = time.monotonic()
        if step != int(step) or (now - self._emitted_at < self.emit_interval_s and step < self.end):
            return
        tokens = counts().tokens
        rate = (tokens - self._emitted[1]) / (now - self._emitted[0])
        self._emitted_at, self._emitted = now, (now, tokens)
        if is_first_process():
            self.ctx.emit(
                "progress",
                step=int(step),
                total=self.end,
                tokens=tokens,
                tokens_per_second=rate,
                **self.metrics,
            )

    def _explain(self, name: str, value: float, step: float) -> str:
        last = self._last_finite if self._last_finite is not None else self.metrics.get("loss")
        since = f"the last finite loss was {last:.6g}" if last is not None else "no loss was ever finite"
        return f"{name.replace('_', ' ')} is {value} at step {math.ceil(step)}; {since}"

    def saved(self, state: State) -> None:
        """Forget the states before one that has just been completed."""
        if is_first_process():
            remove_older(self.ctx.work, state)
            self.ctx.emit("saved", step=state.step)
        self._saved_at = time.monotonic()

    @property
    def scratch(self) -> Path:
        """A folder that Trainer wants, and in which nothing of worth is ever written."""
        return self.ctx.work / ".tmp-trainer"

    def start_clock(self) -> None:
        self._saved_at = time.monotonic()
        self._emitted = (self._saved_at, self.base.tokens)


def is_first_process() -> bool:
    """Whether this process is the one of its world that writes."""
    return int(os.environ.get("RANK", "0")) == 0


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
        state = write_state(
            self.run.ctx.work, step, lambda folder: self._fill(folder, counts), finish=is_first_process()
        )
        self.accelerator.wait_for_everyone()
        self.run.saved(state)
        self.run.publish(self.accelerator.unwrap_model(self.model), state, counts)

    def _fill(self, folder: Path, counts: Counts) -> None:
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))
        if is_first_process():
            save_weights(self.accelerator.unwrap_model(self.model), folder / WEIGHTS)
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
        load_weights(self.model if model is None else model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._load_extras(Path(checkpoint))


def train(trainer: ResumableTrainer, run: Run, state: State | None) -> None:
    """Train from `state` (None: from the start) until everything to be kept is published.

    Raises Stopped if the job was asked to stop, after saving, and JobFailed if memory runs out.
    """
    trainer.attach(run)
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
