"""One training job in one process: what is still to be kept, and what was measured up to now."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.adapters import ADAPTER, has_adapters, write_adapter
from exc.runtime.stages.states import PROGRESS, State, copy_state, find_state, remove_leftovers, remove_older
from exc.runtime.stages.weights import write_model

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
    # Of a stage with two sides, the supervised one.
    "sft_loss": "sft_loss",
    "sft_grad_norm": "sft_grad_norm",
    "sft_learning_rate": "sft_learning_rate",
    "sft_token_accuracy": "sft_token_accuracy",
}
_FINITE = ("loss", "grad_norm", "sft_loss", "sft_grad_norm")


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

    def publish(self, model: Any, state: State, counts: Counts, whole: Any = None) -> None:
        """Publish the model and the state of a kept step that is not in the store yet.

        `whole` has the weights of a model of which this process has only a part.
        """
        if state.step not in self._missing:
            return

        def write(folder: Path) -> None:
            write_model(model, self.tokenizer, folder / "model", whole)
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
        for name in _FINITE:
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
