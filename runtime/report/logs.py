"""What training jobs logged while they ran: the progress events of their attempts, as one run by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt
from exc.runtime.events import Event, read_events
from exc.runtime.files import names
from exc.runtime.report.cells import Cell, job_of
from exc.runtime.store import Store
from exc.spec.references import BASE

FIGURE = "training"  # the one that draws logs
_NO_VALUES = ("event", "time", "step", "total")
_MOST = 1e300  # what is larger, or is no number at all, was not measured


@dataclass(frozen=True, slots=True)
class Log:
    """What one training job logged: by step of its stage, each value by its name."""

    steps: Mapping[int, Mapping[str, float]]
    num_attempts: int  # that the store still has

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset(name for values in self.steps.values() for name in values)

    def of(self, metric: str) -> dict[int, float]:
        """A metric by step, where it was logged."""
        return {step: values[metric] for step, values in self.steps.items() if metric in values}


def logs_of(plan: Plan, store: Store, cells: Iterable[Cell]) -> dict[str, Log]:
    """The log of the last stage of every branch, by its job's identity."""
    jobs = (job_of(plan, cell.model_job) for cell in cells if cell.recipe != BASE)
    distinct = {job.identity: job for job in jobs if job is not None}
    return {identity: read_log(store, job) for identity, job in distinct.items()}


def read_log(store: Store, job: Job) -> Log:
    """Put a job's attempts together: where two logged the same steps, what the newer one says counts."""
    steps: dict[int, dict[str, float]] = {}
    # A job that was made longer has attempts under the name of the step at which it ended before.
    identities = dict.fromkeys([*(job.kept[step] for step in sorted(job.kept)), job.identity])
    attempts = [attempt for identity in identities for attempt in _attempts(store, identity)]
    end = max(job.kept, default=_MOST)
    for attempt in attempts:
        for begun, found in _pieces(_events(attempt), end):
            # What the older one did from where this one began was done anew, logged at each step or not.
            for step in [step for step in steps if begun < step <= max(found)]:
                del steps[step]
            steps.update(found)
    return Log(dict(sorted(steps.items())), len(attempts))


def _attempts(store: Store, identity: str) -> Iterator[Attempt]:
    folder = store.attempts_path(identity)
    if folder.is_dir():
        for number in sorted(int(name) for name in names(folder) if name.isdecimal()):
            yield Attempt(folder / str(number))


def _events(attempt: Attempt) -> Sequence[Event]:
    try:
        return read_events(attempt.events)
    except OSError:
        return ()


def _pieces(events: Sequence[Event], end: float) -> Iterator[tuple[int, dict[int, dict[str, float]]]]:
    """Stretches without a break that logged something: the step after which one began, and its steps.

    A step after the job's `end` is none of its own.
    """
    begun, found = 0, dict[int, dict[str, float]]()
    for event in events:
        step = event.get("step")
        if event["event"] != "progress" or type(step) is not int or not 0 <= step <= end:
            continue
        if event.get("resumed"):
            if found:
                yield begun, found
            begun, found = step, {}
        elif values := _values(event):
            found[step] = values
    if found:
        yield begun, found


def _values(event: Event) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in event.items()
        if name not in _NO_VALUES
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < _MOST
    }
