"""Queue what a plan needs and is not queued, so that it may be broken off at any moment and done again.

All is queued before anything may start: what waits for nothing is queued held, and released at the end. After
a submit that was killed on the way, the records say what was to be queued, and the names of jobs in the queue
say what was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from exc.compiler.plan import Job, Plan
from exc.runtime.outputs import Present
from exc.runtime.ready import needed_jobs
from exc.runtime.slurm.calling import Caller, Made
from exc.runtime.slurm.endings import settle_held
from exc.runtime.slurm.planning import Todo, what_to_do
from exc.runtime.slurm.queue import Queue, fresh_look
from exc.runtime.slurm.records import Ledger, Record, key_of
from exc.runtime.slurm.sbatch import Patience, accepted
from exc.runtime.slurm.scheduler import Busy, Scheduler, SlurmError
from exc.runtime.store import Store

NEVER_QUEUED = "never queued, as far as SLURM knew"
_LOOK_S = 20.0  # patience with a scheduler that does not answer before anything was done
_RELEASE_S = 120.0
_ENDING_S = 5.0  # for elements that are about to end: only then can it be said what is left of them


def wants_controller(plan: Plan) -> bool:
    """Whether a job of the plan's own goes on with it. It counts as one more where SLURM takes so many."""
    return bool(plan.profile.get("slurm", {}).get("controller"))


@dataclass
class Submitted:
    """How a submit ended."""

    todo: Todo
    made: Made = field(default_factory=Made)
    trouble: SlurmError | None = None  # what ended it before its time


class Submission:
    """One submit, by the holder of the lease on the records."""

    def __init__(
        self,
        plan: Plan,
        plan_folder: Path,
        store: Store,
        ledger: Ledger,
        scheduler: Scheduler,
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._store, self._ledger, self._scheduler = plan, store, ledger, scheduler
        self._folder, self._say = str(plan_folder.resolve()), say
        self._caller = Caller(plan, self._folder, store, ledger, scheduler, say)

    def look(self) -> Queue:
        """The queue as it is, with what an earlier submit left half done put right. Raises SlurmError."""
        patience = Patience(_LOOK_S)
        ending = Patience(_ENDING_S)
        while True:
            try:
                queue = fresh_look(self._ledger, self._scheduler)
                if any(place.entry.state == "COMPLETING" for place in queue.live.values()) and ending.wait():
                    continue
                return self._healed(queue)
            except Busy as error:
                if not patience.wait():
                    raise
                self._say(f"the scheduler does not answer ({error}); trying again")

    def run(self, queue: Queue, skip: Callable[[Sequence[Job]], set[str]]) -> Submitted:
        """Queue what is needed and is not queued; `skip` gives the ids of those that are not to be."""
        settle_held(self._plan, self._store, self._ledger, queue, self._scheduler)
        present = Present(self._plan, self._store)  # after the queue: what has left it since is seen here
        needed = needed_jobs(self._plan, present)
        todo = what_to_do(self._plan, needed, present, queue, plan_folder=self._folder, skip=skip(needed))
        done = Submitted(todo, self._caller.made)
        try:
            queue.note_taken_out(self._ledger, todo.dead)
            self._scheduler.cancel(todo.dead, pending=True)
            self._caller.queue(todo, queue)
            if done.made.full and done.made.records and wants_controller(self._plan):
                self._caller.spare_one()
        except SlurmError as error:
            done.trouble = error
        try:
            self._release(queue)
        except SlurmError as error:
            done.trouble = done.trouble or error
        return done

    def _healed(self, queue: Queue) -> Queue:
        """Note the job ids of calls whose answer was lost; forget the calls that were never made."""
        records: list[Record] = []
        written = {record.key: record for record in self._ledger.open_records()}
        for record in queue.records:
            known = written.get(record.key)
            if known is None or known.slurm_id:
                records.append(record)
            elif record.slurm_id or (record := self._from_accounts(record)).slurm_id:
                records.append(
                    accepted(self._ledger, known, record.slurm_id, self._caller.element(record.key))
                )
            else:  # should it be queued yet, by an sbatch that still tries: it will find this, and not run
                self._ledger.close(known, NEVER_QUEUED)
        self._cancel_strays(queue)
        return replace(queue, records=tuple(records))

    def _from_accounts(self, record: Record) -> Record:
        """A call that squeue does not know may have run and be forgotten there."""
        try:
            entries = self._scheduler.named(record.name, record.asked)
        except SlurmError:
            return record
        found = {entry.ref.partition("_")[0] for entry in entries}
        return replace(record, slurm_id=min(found)) if found else record

    def _cancel_strays(self, queue: Queue) -> None:
        """Take out what was queued after it was taken for never queued, or twice."""
        known = {record.slurm_id for record in queue.records}
        strays = []
        for entry in queue.entries.values():
            key, slurm_id = key_of(entry.name, self._plan.experiment), entry.ref.partition("_")[0]
            if not key or entry.ended or slurm_id in known:
                continue
            record = self._ledger.find(key)
            if record is not None and record.plan_folder == self._folder and record.slurm_id != slurm_id:
                strays.append(slurm_id)
        self._scheduler.cancel(sorted(set(strays)))

    def _release(self, queue: Queue) -> None:
        """Let what was queued held go, of this submit and of one before it."""
        held = [record for record in queue.records if record.slurm_id and record.held and not record.released]
        held += [record for record in self._caller.made.records if record.held]
        if not held:
            return
        patience = Patience(_RELEASE_S)
        while True:
            try:
                self._scheduler.release([record.slurm_id for record in held])
                break
            except Busy as error:
                if not patience.wait():
                    raise
                self._say(f"the scheduler is busy ({error}); trying again")
        still_open = {record.key for record in self._ledger.open_records()}
        for record in held:
            if record.key in still_open:  # it was not found to have ended meanwhile
                self._ledger.write(replace(record, released=True))
