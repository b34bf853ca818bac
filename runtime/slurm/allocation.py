"""An element where SLURM runs it: the ready queue of this machine over its jobs, and what becomes of it.

A signal, whichever, asks the jobs to save and stop, and no second one kills them. What is left then, near the
time limit or to make room, is put back into the queue by the element itself, unless SLURM ends it for good.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from exc.compiler.plan import Job, Need, Plan, PlanError, read_plan
from exc.runtime.attempts import Failure, failure_of, last_attempt, slurm_place
from exc.runtime.backends.interrupts import SHELL_SIGNALLED, Interrupts
from exc.runtime.backends.inventory import choose_gpus
from exc.runtime.backends.local import run_local
from exc.runtime.backends.running import Part
from exc.runtime.backends.slots import usable_cpus
from exc.runtime.outputs import is_done, missing_needs
from exc.runtime.reporter import Outcome
from exc.runtime.slurm.endings import came_further
from exc.runtime.slurm.grouping import ALONE
from exc.runtime.slurm.lines import LineReporter
from exc.runtime.slurm.records import ENDED, OUTSIDE, Ledger, Record
from exc.runtime.slurm.sbatch import Patience
from exc.runtime.slurm.scheduler import Busy, Scheduler, SlurmError
from exc.runtime.stopping import EXIT_FAILED, EXIT_RESUMES
from exc.runtime.store import Store
from exc.spec.units import format_duration
from exc.spec.words import plural

SHARED_S = 30.0  # how late a file that was written on one node may be seen on another
_LOOK_AGAIN_S = 1.0
_EARLY_S = 75.0  # SLURM looks at time limits each minute, and signals a minute early rather than late
_END_S = 5.0
_MAX_RESTARTS = 5  # of an element that comes no further


class Shield(Interrupts):
    """Signals as requests: each is passed on as one that may be repeated; none is an order to end at once.

    It is entered for the whole of an element, and again by the run in it.
    """

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)

    def __init__(self) -> None:
        super().__init__()
        self.received: list[signal.Signals] = []
        self._depth = 0

    def __enter__(self) -> Shield:
        self._depth += 1
        if self._depth == 1:
            super().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            super().__exit__()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        self.received.append(signal.Signals(number))

    def to_pass_on(self) -> signal.Signals | None:
        return None if super().to_pass_on() is None else signal.SIGUSR2

    def may_end_with(self) -> set[int]:
        # SLURM signals what an element has started, too.
        told = (signal.SIGUSR2, *self.received)
        return {code for number in told for code in (-number, SHELL_SIGNALLED + number)}


@dataclass(frozen=True)
class Place:
    """Where this element is: its record, its index there, how SLURM calls it."""

    ledger: Ledger
    record: Record
    index: int
    ref: str

    @property
    def packed(self) -> bool:
        """Whether what waits for it does so however it ends, and looks for itself."""
        return any(len(members) > 1 for members in self.record.elements.values())


def run_element(plan_folder: str, store_root: str, experiment: str, key: str) -> int:
    """Run this element's jobs; gives the exit code, 0 only where what waits for it may start.

    0 all done, or, of several, all that could be; 1 failed, 75 stopped and to go on. Call it from the main
    thread of a process that SLURM has started.
    """
    began = time.monotonic()
    store = Store(Path(store_root))
    with Shield() as shield:
        try:
            place = _find(Ledger(store, experiment), key)
            plan = read_plan(Path(plan_folder))
            jobs = _jobs(plan, place)
        except (PlanError, LookupError) as error:
            print(error.args[0], file=sys.stderr)
            return EXIT_FAILED
        place.ledger.note_end(key, place.ref, "")
        outcome = _run(plan, Path(plan_folder), store, jobs, shield)
        left = [job for job in jobs if not is_done(job, store)]
        if shield.asked and any(job.id in _unfinished(outcome) for job in left):
            return _stopped(place, store, left, outcome, shield, began)
        place.ledger.note_end(key, place.ref, "done" if not left else "failed")
        return 0 if not left or place.packed else EXIT_FAILED


def _find(ledger: Ledger, key: str) -> Place:
    """Raises LookupError if this element is not to run."""
    own = slurm_place(os.environ).get("job", "")
    slurm_id, _, index = own.partition("_")
    until = time.monotonic() + SHARED_S
    while (record := ledger.find(key)) is None:
        if time.monotonic() > until:
            raise LookupError(
                f"{ledger.root}: there is no record of call {key}; `exc submit` queues it again"
            )
        time.sleep(_LOOK_AGAIN_S)
    number = int(index) if index else ALONE
    if number not in record.elements:
        raise LookupError(f"call {key} has no element {index or 'alone'}")
    if record.ended not in ("", ENDED) or record.slurm_id not in ("", slurm_id):
        other = f"; SLURM job {record.slurm_id} does" if record.slurm_id else ""
        raise LookupError(
            f"SLURM job {own} is not to run this: {record.ended or 'it was queued twice'}{other}"
        )
    return Place(ledger, record, number, own)


def _jobs(plan: Plan, place: Place) -> list[Job]:
    """The element's jobs, as the plan has them now. Raises LookupError if it has others."""
    found: list[Job] = []
    for member in place.record.elements[place.index]:
        job = plan.by_id.get(member.job)
        if job is None or job.identity != member.identity:
            raise LookupError(
                f"{member.job} is not in the plan any more as it was queued; `exc submit` queues what is"
            )
        found.append(job)
    return found


def _run(plan: Plan, plan_folder: Path, store: Store, jobs: list[Job], shield: Shield) -> Outcome:
    """The jobs that can be run, side by side as far as the allocation goes."""
    restarted = bool(int(os.environ.get("SLURM_RESTART_COUNT") or 0))
    todo = [job for job in jobs if not is_done(job, store) and not (restarted and _failed_here(job, store))]
    todo = _with_inputs(plan, todo, store, shield)
    if not todo:
        return Outcome()
    part = Part(todo, limited=False, interrupts=shield)
    reporter = LineReporter(slurm_place(os.environ)["job"])
    return run_local(plan, plan_folder, store, reporter, _allocated_cpus(), choose_gpus(None), part)


def _failed_here(job: Job, store: Store) -> bool:
    """Whether it has failed in an earlier run of this same SLURM job."""
    attempt = last_attempt(store, job.identity)
    record = attempt.read() if attempt else {}
    return (
        failure_of(record) is not None
        and record.get("slurm", {}).get("job") == slurm_place(os.environ)["job"]
    )


def _with_inputs(plan: Plan, jobs: list[Job], store: Store, shield: Shield) -> list[Job]:
    """Those whose inputs are there, or come into sight within the time that a shared disk may take."""
    until = time.monotonic() + SHARED_S
    while True:
        lacking = {job.id: needs for job in jobs if (needs := missing_needs(job, store))}
        late = shield.asked or time.monotonic() > until
        if not lacking or late or not any(_may_come(needs, plan, store) for needs in lacking.values()):
            break
        time.sleep(_LOOK_AGAIN_S)
    for name, needs in lacking.items():
        makers = ", ".join(sorted({need.job for need in needs}))
        print(f"{name}: blocked, for what it reads is not there: {makers}", file=sys.stderr, flush=True)
    return [job for job in jobs if job.id not in lacking]


def _may_come(needs: Sequence[Need], plan: Plan, store: Store) -> bool:
    """Whether each of these was made, as far as its maker's record tells, and is only not seen here yet."""
    makers = [last_attempt(store, plan.job(need.job).identity) for need in needs]
    return all(maker is None or maker.read().get("exit", 0) == 0 for maker in makers)


def _unfinished(outcome: Outcome) -> set[str]:
    return {*outcome.interrupted, *outcome.unstarted}


def _allocated_cpus() -> int:
    """CPUs of this node that SLURM has given."""
    said = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return int(said) if said.isdigit() and int(said) else usable_cpus()


def _stopped(
    place: Place, store: Store, left: list[Job], outcome: Outcome, shield: Shield, began: float
) -> int:
    """Jobs were asked to stop and have: back into the queue with the rest, if SLURM lets them go on."""
    scheduler = Scheduler()
    state, left_s = _fate(place, scheduler, time.monotonic() - began)
    stopped = [job for job in left if job.id in outcome.interrupted]
    further = bool(outcome.done) or any(_further(job, store) for job in stopped)
    over = left_s is not None and left_s <= place.record.lead_s + _EARLY_S
    restarts = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    stuck = [job for job in stopped if not _further(job, store)] if over else []
    if not over and not further and restarts >= _MAX_RESTARTS:
        stuck = stopped
    for job in stuck:
        _give_up(job, store, place, over=over, restarts=restarts)
    rest = [job for job in left if job.id in _unfinished(outcome) and job not in stuck]
    asked = signal.SIGUSR2 in shield.received or state == "RUNNING"
    again = further or restarts < _MAX_RESTARTS  # it may have waited for another process all the time
    if rest and asked and again and _requeue(place, scheduler):
        print(f"{plural(len(rest), 'job')} put back into the queue, to go on from what was saved", flush=True)
        _await_the_end(shield)
        return EXIT_RESUMES
    if rest and not asked:
        for job in stopped:
            _annotate(job, store, f"SLURM job {place.ref} was {OUTSIDE}")
    place.ledger.note_end(place.record.key, place.ref, "stopped")
    return EXIT_RESUMES if rest else EXIT_FAILED


def _await_the_end(shield: Shield) -> None:
    """SLURM ends what it has put back into the queue: by then it has taken note."""
    told, until = len(shield.received), time.monotonic() + _END_S
    while len(shield.received) == told and time.monotonic() < until:
        time.sleep(0.05)


def _fate(place: Place, scheduler: Scheduler, elapsed_s: float) -> tuple[str, float | None]:
    """This job's state for SLURM, and the seconds that it would still let it run, as far as is known."""
    try:
        return scheduler.fate(place.ref)
    except SlurmError:
        limit = place.record.limit_s
        return "", None if limit is None else limit - elapsed_s


def _further(job: Job, store: Store) -> bool:
    attempt = last_attempt(store, job.identity)
    return attempt is not None and came_further(attempt)


def _give_up(job: Job, store: Store, place: Place, *, over: bool, restarts: int) -> None:
    """Record that more of the same would not help."""
    attempt = last_attempt(store, job.identity)
    if attempt is None:
        return
    if over:
        limit = place.record.limit_s
        said = f" of {format_duration(int(limit))}" if limit else ""
        why = f"its time limit{said} (`time` in the profile) was over before it had saved anything new"
        failure = Failure("time-out", f"{why}, SLURM job {place.ref}")
    else:
        why = f"it had to make room {restarts + 1} times and came no further"
        failure = Failure("preempted", f"{why}, SLURM job {place.ref}")
    attempt.end(EXIT_FAILED, failure)
    print(f"{job.id}: failed ({failure.kind}): {failure.message}", file=sys.stderr, flush=True)


def _annotate(job: Job, store: Store, note: str) -> None:
    if attempt := last_attempt(store, job.identity):
        attempt.annotate(note)


def _requeue(place: Place, scheduler: Scheduler) -> bool:
    """Put this SLURM job back into the queue, which ends this process; False if SLURM does not want it."""
    patience = Patience(place.record.lead_s)
    while True:
        try:
            scheduler.requeue(place.ref)
            return True
        except Busy as error:
            if not patience.wait():
                print(f"could not be queued again: {error}", file=sys.stderr, flush=True)
                return False
        except SlurmError as error:
            print(f"could not be queued again: {error}", file=sys.stderr, flush=True)
            return False
