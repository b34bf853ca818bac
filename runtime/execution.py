"""One job, done: its stage is called with what it needs, and what it leaves goes to the store."""

from __future__ import annotations

import importlib
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from exc.compiler.identity import identity_fields
from exc.compiler.launch import processes, world_size
from exc.compiler.plan import Job, Plan
from exc.runtime import trackers
from exc.runtime.adoption import inherited
from exc.runtime.attempts import Attempt, Failure, utc_now
from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.devices import ON_DEVICE, check_gpus, describe_device, show_gpus, usable
from exc.runtime.environment import describe_environment, git_commit, prepare_process
from exc.runtime.events import EventWriter
from exc.runtime.failures import classify
from exc.runtime.outputs import input_path, is_done, link_results
from exc.runtime.sources import check_sources
from exc.runtime.stages import STAGES
from exc.runtime.stopping import Interrupted, StopFlag
from exc.runtime.store import Store


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended: done, stopped, or failed with a failure."""

    word: str
    failure: Failure | None = None
    trace: str = ""


@dataclass
class Execution:
    """One attempt at one job whose lease this process holds. `say` gives a line to the person and the log."""

    plan: Plan
    job: Job
    store: Store
    root: Path
    attempt: Attempt
    say: Callable[[str], None]
    stop: StopFlag
    lost: Callable[[], bool]  # whether the lease is another's now, or someone asked its holder to stop

    def run(self) -> Ending:
        """Do the job. Never raises an Exception: whatever goes wrong is in what it returns."""
        self.began, self.clock = utc_now(), time.monotonic()
        self.events = EventWriter(self.attempt.events)
        self.events.emit("start", job=self.job.id)
        tracking = trackers.start(self.plan, self.job, self.store, self.root, self.attempt)
        try:
            ending = self._guarded()
            if ending.failure is None:
                self.events.emit(ending.word)
            else:
                self.events.emit("failed", **ending.failure.to_json())
            return ending
        finally:
            self.events.close()
            trackers.let_finish(tracking)

    def _guarded(self) -> Ending:
        try:
            with self.stop.during():
                self._stage()
            if not is_done(self.job, self.store):
                raise JobFailed("error", "the stage ended without leaving everything it must")
            link_results(self.plan, self.job, self.store)
            return Ending("done")
        except (Stopped, Interrupted, KeyboardInterrupt):
            return Ending("stopped")
        except (Exception, SystemExit) as error:  # a library that exits must not pass for a job that is done
            return Ending("failed", classify(error), traceback.format_exc())

    def _stage(self) -> None:
        num_threads = max(1, int(self.job.resources.get("cpus") or 1) // self._per_node)
        prepare_process(num_threads, is_alone=self._world == 1)
        show_gpus(usable(self.job))
        inputs = {need.role: input_path(need, self.store) for need in self.job.inputs}
        check_sources(self.job.config, self.root, self.store)
        if self.job.kind in ON_DEVICE:
            check_gpus(usable(self.job))
        stage = load_stage(self.job.kind)
        stage(
            JobContext(
                job_id=self.job.id,
                kind=self.job.kind,
                config=self.job.config,
                inputs=inputs,
                root=self.root,
                work=self.store.work_path(self.job.work_key),
                kept=self.kept(),
                publish=self._publish,
                emit=self._emit,
                should_stop=lambda: self.stop() or self.lost(),
                save_interval_s=float(self.plan.profile.get("save_interval_s", 300)),
                num_threads=num_threads,
            )
        )

    def kept(self) -> dict[int, bool]:
        """The steps to be kept, and whether each is in the store already."""
        return {step: self.store.has(self.job.kind, key) for step, key in self.job.kept.items()}

    @property
    def _per_node(self) -> int:
        return processes(self.job.kind, self.job.resources)

    @property
    def _world(self) -> int:
        return world_size(self.job.kind, self.job.resources)

    def _publish(
        self,
        write: Callable[[Path], None],
        *,
        step: int | None = None,
        metrics: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> None:
        identity = self._identity_of(step)

        def describe() -> dict[str, Any]:
            return {
                "job": self.job.id,
                "experiment": self.plan.experiment,
                "step": step,
                **self._lineage,
                "metrics": dict(metrics or {}),
                "counts": asdict(counts or Counts()),
                "ended": utc_now(),
                "seconds": round(time.monotonic() - self.clock, 3),
            }

        self.store.publish(self.job.kind, identity, write, describe)
        self._emit("published", artifact=f"{self.job.kind}/{identity}", step=step)

    def _identity_of(self, step: int | None) -> str:
        if not self.job.kept and step is None:
            return self.job.identity
        if step is None or step not in self.job.kept:
            keeps = sorted(self.job.kept) or None
            raise ValueError(f"{self.job.id} publishes step {step}, the plan keeps {keeps}")
        return self.job.kept[step]

    @cached_property
    def _lineage(self) -> dict[str, Any]:
        """What is the same for all artifacts of this attempt."""
        return {
            "fields": identity_fields(self.job.kind, self.job.config),
            "inputs": {need.role: need.artifact for need in self.job.inputs},
            **inherited(self.store, [need.artifact for need in self.job.inputs]),
            "environment": self._environment(),
            "git_commit": git_commit(self.root),
            "host": socket.gethostname(),
            "started": self.began,
        }

    def _environment(self) -> dict[str, Any]:
        """What may move the last bits of a result without being part of its identity."""
        found = describe_environment(int(self.job.resources.get("cpus") or 1))
        if self.job.kind in ON_DEVICE:
            found["device"] = describe_device()
        if (micro := self.job.config.get("micro_batch_size")) is not None:
            found[f"micro_batch_size of {self.job.kind}"] = micro
        if self._world > 1:
            found["processes"] = self._world
        return found

    def _emit(self, event: str, **fields: Any) -> None:
        written = self.events.emit(event, **fields)
        if event == "progress":
            self.say(progress_text(written))


def progress_text(event: Mapping[str, Any]) -> str:
    """One progress event as a person reads it: `step 20/600  loss 3.21  lr 0.0004  812 tokens/s`."""
    step, total = event.get("step"), event.get("total")
    parts = [f"step {step}/{total}" if total else f"step {step}"]
    for field, word in (("loss", "loss"), ("reward", "reward"), ("learning_rate", "lr")):
        value = event.get(field)
        if isinstance(value, int | float):
            parts.append(f"{word} {value:.4g}")
        elif value is not None:
            parts.append(f"{word} {value}")
    if isinstance(rate := event.get("tokens_per_second"), int | float):
        parts.append(f"{rate:.0f} tokens/s")
    return "  ".join(parts)


def load_stage(kind: str) -> Callable[[JobContext], None]:
    """The function that does jobs of a kind, imported now. Raises JobFailed for a kind nobody does."""
    try:
        module, _, function = STAGES[kind].partition(":")
    except KeyError:
        known = ", ".join(sorted(STAGES)) or "none"
        raise JobFailed("config", f"no stage does jobs of kind {kind} (known: {known})") from None
    stage: Callable[[JobContext], None] = getattr(importlib.import_module(module), function)
    return stage
