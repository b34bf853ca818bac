"""From what is to be queued to sbatch calls, as many of them as SLURM takes."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.attempts import utc_now
from exc.runtime.slurm.element import Element
from exc.runtime.slurm.grouping import Call, Spot, group
from exc.runtime.slurm.options import bad_nodes, call_options, dependency_text, lead_time, ref
from exc.runtime.slurm.planning import Todo
from exc.runtime.slurm.queue import Queue
from exc.runtime.slurm.records import TAKEN_OUT, Ledger, Member, Record, job_name, new_key
from exc.runtime.slurm.sbatch import enqueue
from exc.runtime.slurm.scheduler import Full, Scheduler
from exc.runtime.store import Store


@dataclass
class Made:
    """What was queued so far. Counts of jobs."""

    records: list[Record] = field(default_factory=list)
    jobs: int = 0
    deferred: int = 0  # left for a later submit: there was no room for them
    full: str = ""  # what SLURM said when it took no more


class Caller:
    """Queues the jobs of one submit."""

    def __init__(
        self,
        plan: Plan,
        plan_folder: str,
        store: Store,
        ledger: Ledger,
        scheduler: Scheduler,
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._folder, self._store = plan, plan_folder, store
        self._ledger, self._scheduler, self._say = ledger, scheduler, say
        self._ids: dict[str, str] = {}  # call -> SLURM job id
        self._packed: set[str] = set()  # calls with elements of several jobs
        self._whole: dict[str, int] = {}  # calls made now -> how many elements they have
        self.made = Made()

    def queue(self, todo: Todo, queue: Queue) -> None:
        """Queue what is new. Raises SlurmError; what was queued until then is in `made`."""
        for record in queue.records:
            self._know(record)
        if not todo.new:
            return
        max_array = self._scheduler.max_array()
        calls = group(todo.new, todo.upstream, todo.spots, new_key, max_array=max_array)
        room = self._room(todo, queue)
        deferred: set[Spot] = set()
        for call in calls:
            lacking = {index for index in call.elements if call.waits_for(index) & deferred}
            able = call.without(lacking)
            able = able.without([] if room is None else list(able.elements)[room:])
            made = self._call(able) if able.elements and not self.made.full else None
            taken = made.elements.keys() if made else ()
            for index, jobs in call.elements.items():
                if index not in taken:
                    deferred.add(Spot(call.key, index))
                    self.made.deferred += len(jobs)
            if room is not None:
                room -= len(taken)

    def spare_one(self) -> None:
        """Take the last element out again, before anything is let go: one more call then fits."""
        record = self.made.records[-1]
        index = max(record.elements)
        self._ledger.note_end(record.key, record.ref(index), TAKEN_OUT)
        self._scheduler.cancel([record.ref(index)], pending=True)
        if len(record.elements) == 1:
            self.made.records.pop()
        self.made.jobs -= len(record.elements[index])
        self.made.deferred += len(record.elements[index])

    def element(self, key: str) -> Any:
        """What submitit runs for a call."""
        return Element(self._folder, str(self._store.root), self._ledger.experiment, key)

    def _room(self, todo: Todo, queue: Queue) -> int | None:
        """How many elements may still be queued; None: as many as SLURM takes."""
        limit = self._plan.profile.get("slurm", {}).get("max_jobs")
        live = {place.ref for place in queue.live.values()} - set(todo.dead)
        return None if limit is None else max(0, int(limit) - len(live))

    def _call(self, call: Call) -> Record | None:
        """Queue a call, or as large a part of it as SLURM takes; None if it takes none."""
        while True:
            try:
                record = self._enqueue(call)
            except Full as error:
                self.made.full = str(error)
                if len(call.elements) == 1:
                    return None
                call = call.without(list(call.elements)[len(call.elements) // 2 :])
                continue
            self.made.records.append(record)
            self.made.jobs += len(call.jobs)
            self._whole[call.key] = len(call.elements)
            self._know(record)
            return record

    def _know(self, record: Record) -> None:
        self._ids[record.key] = record.slurm_id
        if any(len(members) > 1 for members in record.elements.values()):
            self._packed.add(record.key)

    def _enqueue(self, call: Call) -> Record:
        record = self._intent(call)
        options = call_options(
            self._plan,
            call,
            record.name,
            dependency=dependency_text(call, self._ids, self._packed, self._whole),
            held=record.held,
            lead_s=record.lead_s,
            exclude=self._excluded(call),
            folder=self._folder,
        )
        function = self.element(call.key)
        return enqueue(self._ledger, self._scheduler, record, options, function, self._say)

    def _intent(self, call: Call) -> Record:
        waits = {index: sorted(call.waits_for(index)) for index in call.elements}
        limit = call.jobs[0].resources.get("time")
        limit_s = None if limit is None else float(limit)
        return Record(
            key=call.key,
            name=job_name(self._plan.experiment, call.cls, call.key),
            cls=call.cls,
            plan_folder=self._folder,
            user=getpass.getuser(),
            asked=utc_now(),
            elements={
                index: tuple(Member(job.id, job.identity) for job in jobs)
                for index, jobs in call.elements.items()
            },
            after={
                index: tuple(ref(self._ids[spot.call], spot.index) for spot in spots)
                for index, spots in waits.items()
            },
            # What waits for something held cannot start either.
            held=not any(spot.call in self._whole for spots in waits.values() for spot in spots),
            lead_s=lead_time(self._plan, call.jobs, self._store, limit_s),
            limit_s=limit_s,
        )

    def _excluded(self, call: Call) -> Sequence[str]:
        """Nodes that are not to be used again, as long as most of them are left."""
        bad = bad_nodes(call.jobs, self._store)
        if not bad:
            return ()
        resources = call.jobs[0].resources
        place = {**self._plan.profile.get("slurm", {}), **resources.get("slurm", {})}
        if 2 * len(bad) > self._scheduler.nodes(place.get("partition")):
            self._say(f"{', '.join(sorted(bad))}: jobs have failed there, and there are too few other nodes")
            return ()
        return sorted(bad)
