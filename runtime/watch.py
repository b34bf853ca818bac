"""What `exc watch` knows: a plan's state, frame by frame, from the store's markers and events alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, last_attempt
from exc.runtime.events import Event, EventTail
from exc.runtime.forecast import Forecast
from exc.runtime.slurm.looking import Looking
from exc.runtime.state import WORDS, JobState, Word, job_states
from exc.runtime.store import Store
from exc.runtime.submitters import submitters
from exc.runtime.watch_frame import ClassRow, FailedRow, Frame, RunningRow

_KEPT_VALUES = 200  # of a running job's loss or reward
_FIRST_BYTES = 1 << 18  # of an events file that is already long when it is first seen
_LEARNT_PER_LOOK = 200  # ended jobs whose times are read in one look
_LEARNT_PER_CLASS = 32  # at the first look, of those that ended before


class Watch:
    """Looks at a plan again and again; what was read once of a file is not read again."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self._store = store
        self._order = class_order(plan)
        self._progress: dict[Path, _Progress] = {}  # by attempt
        self._times = _Times(plan, store)
        self._looking = Looking(plan, store) if plan.profile.get("backend") == "slurm" else None

    def look(self) -> Frame:
        """The plan as it is now."""
        now = time.time()
        states = job_states(self.plan, self._store, self._looking.queue() if self._looking else None)
        found = tuple(submitters(self._store, self.plan.experiment))
        self._times.learn(states)
        running = self._running(states, now)
        return Frame(
            self.plan.experiment,
            _counts(states),
            self._left(states, running, sum(one.cpus for one in found)),
            (self._used(running, "cpus", 1), sum(one.cpus for one in found)),
            (self._used(running, "gpus", 0), sum(one.gpus for one in found)),
            found,
            self._classes(states),
            running,
            _failures(states),
        )

    def _running(self, states: Mapping[str, JobState], now: float) -> tuple[RunningRow, ...]:
        rows, there = [], {}
        for job in self.plan.jobs:
            state = states[job.id]
            if state.word != "running":
                continue
            attempt = state.attempt
            seen = _Progress(None)
            if attempt is not None:
                seen = self._progress.get(attempt.path) or _Progress(attempt)
                there[attempt.path] = seen
            seen.look()
            host = state.holder.owner.host if state.holder and state.holder.owner else ""
            elapsed = max(0.0, now - seen.began) if seen.began else 0.0
            left = self._times.forecast(1).left(job, seen.as_if_whole(elapsed), seen.last)
            rows.append(
                RunningRow(job.id, job.kind, host, elapsed, left, seen.last, seen.measure, tuple(seen.values))
            )
        self._progress = there  # those that ended are forgotten
        return tuple(rows)

    def _used(self, running: Sequence[RunningRow], what: str, otherwise: int) -> int:
        return sum(int(self.plan.job(row.job).resources.get(what) or otherwise) for row in running)

    def _left(self, states: Mapping[str, JobState], running: Sequence[RunningRow], cpus: int) -> float | None:
        """Seconds until all is done, by whoever submits; None where nobody does, or it cannot be said."""
        if not cpus or any(row.left_s is None for row in running):
            return None
        # What is left of each is known by now: said as a second of work done, and that many to do.
        triples = [
            (self.plan.job(row.job), 1.0, {"step": 1.0, "total": 1.0 + (row.left_s or 0.0)})
            for row in running
        ]
        waiting = [job for job in self.plan.jobs if states[job.id].word in ("waiting", "interrupted")]
        if not triples and not waiting:
            return None
        return self._times.forecast(cpus).remaining(triples, waiting)

    def _classes(self, states: Mapping[str, JobState]) -> tuple[ClassRow, ...]:
        counts: dict[str, dict[Word, int]] = {}
        lacks: dict[str, dict[str, None]] = {}
        kinds: dict[str, str] = {}
        cls = {job.id: job.cls for job in self.plan.jobs}
        for job in self.plan.jobs:
            row = counts.setdefault(job.cls, {})
            word = states[job.id].word
            row[word] = row.get(word, 0) + 1
            kinds[job.cls] = job.kind
            if word in ("waiting", "blocked", "interrupted", "cancelled", "queued"):
                for need in job.needs:
                    other = self.plan.job(need.job).id
                    if states[other].word != "done":
                        lacks.setdefault(job.cls, {}).setdefault(cls[other])
        return tuple(
            ClassRow(
                name,
                kinds[name],
                counts[name],
                self._times.mean(name),
                tuple(other for other in lacks.get(name, ()) if other != name),
            )
            for name in self._order
        )


def class_order(plan: Plan) -> list[str]:
    """Job classes so that what is read comes before what reads it, as far as classes have such an order."""
    cls = {job.id: job.cls for job in plan.jobs}
    depth: dict[str, int] = {}
    for job in plan.jobs:  # in topological order
        others = (cls[plan.job(need.job).id] for need in job.needs)
        depth.setdefault(job.cls, 0)
        deepest = max((depth[other] + 1 for other in others if other != job.cls), default=0)
        if depth[job.cls] < deepest <= len(cls):
            depth[job.cls] = deepest
    first = {name: place for place, name in reversed(list(enumerate(cls.values())))}
    return sorted(depth, key=lambda name: (depth[name], first[name]))


def _counts(states: Mapping[str, JobState]) -> dict[Word, int]:
    counts: dict[Word, int] = dict.fromkeys(WORDS, 0)
    for state in states.values():
        counts[state.word] += 1
    return counts


def _failures(states: Mapping[str, JobState]) -> tuple[FailedRow, ...]:
    rows = [
        FailedRow(
            job_id,
            state.failure.kind,
            state.failure.message,
            str(state.attempt.read().get("ended", "")),
            state.attempt.log,
        )
        for job_id, state in states.items()
        if state.word == "failed" and state.failure is not None and state.attempt is not None
    ]
    return tuple(sorted(rows, key=lambda row: row.ended, reverse=True))


class _Progress:
    """What one attempt has reported so far."""

    def __init__(self, attempt: Attempt | None) -> None:
        self._tail = EventTail(attempt.events, _FIRST_BYTES) if attempt else None
        self.last: dict[str, Any] = {}
        self.measure = ""
        self.values: deque[float] = deque(maxlen=_KEPT_VALUES)
        self.began = _unix(str(attempt.read().get("began", ""))) if attempt else None
        self._attempt = attempt
        self._first: tuple[float, float] | None = None  # time and step of the first report

    def look(self) -> None:
        if self._tail is None or self._attempt is None:
            return
        if self.began is None:
            self.began = _unix(str(self._attempt.read().get("began", "")))
        for event in self._tail.read():
            if event["event"] == "progress":
                self._take(event)

    def _take(self, event: Event) -> None:
        self.last = {**self.last, **event}
        step = event.get("step")
        if self._first is None and isinstance(step, int | float):
            self._first = float(event.get("time", 0)), float(step)
        measure = "reward" if "reward" in event else "loss" if "loss" in event else ""
        if measure and measure != self.measure:
            self.measure = measure
            self.values.clear()
        value = event.get(measure)
        if isinstance(value, int | float):
            self.values.append(float(value))

    def as_if_whole(self, elapsed: float) -> float:
        """Seconds that the job would have taken from its first step, at the pace since its first report.

        A job that was resumed has taken its first steps in another attempt; one that starts has to import
        its libraries once.
        """
        step, at = self.last.get("step"), self.last.get("time")
        if self._first is None or not isinstance(step, int | float) or not isinstance(at, int | float):
            return elapsed
        began, first = self._first
        return (at - began) * step / (step - first) if step > first and at > began else elapsed


class _Times:
    """How long jobs took, from the records of their attempts; each is read once."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan, self._store = plan, store
        self._read: set[str] = set()
        self._taken: dict[str, list[float]] = {}  # by class
        self._forecast = Forecast(1)
        self._first = True

    def learn(self, states: Mapping[str, JobState]) -> None:
        """Read the times of jobs that have ended: a sample of each class at first, then all that are new."""
        new = [job for job in self._plan.jobs if states[job.id].word == "done" and job.id not in self._read]
        if self._first:
            self._first = False
            by_class: dict[str, list[Job]] = {}
            for job in new:
                by_class.setdefault(job.cls, []).append(job)
            self._read.update(job.id for job in new)
            new = [job for jobs in by_class.values() for job in jobs[-_LEARNT_PER_CLASS:]]
        for job in islice(new, _LEARNT_PER_LOOK):
            self._read.add(job.id)
            seconds = _seconds(last_attempt(self._store, job.identity))
            if seconds is not None:
                self._taken.setdefault(job.cls, []).append(seconds)
                self._forecast.learn(job, seconds)

    def mean(self, cls: str) -> float | None:
        taken = self._taken.get(cls)
        return sum(taken) / len(taken) if taken else None

    def forecast(self, slots: int) -> Forecast:
        self._forecast.slots = slots
        return self._forecast


def _seconds(attempt: Attempt | None) -> float | None:
    """How long an attempt took that finished its job."""
    record = attempt.read() if attempt else {}
    began, ended = _unix(str(record.get("began", ""))), _unix(str(record.get("ended", "")))
    if record.get("exit") != 0 or began is None or ended is None:
        return None
    return max(0.0, ended - began)


def _unix(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
