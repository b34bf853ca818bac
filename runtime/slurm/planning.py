"""What of a plan is to be queued now, given what is done and what is in the queue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from exc.compiler.plan import Job, Plan
from exc.runtime.outputs import Present
from exc.runtime.slurm.grouping import Spot
from exc.runtime.slurm.queue import Place, Queue

# A job that SLURM holds because it could not be started again and again stays so until somebody acts.
_STUCK = ("JobHoldMaxRequeue", "launch_failed_requeued_held", "launch failed requeued held")


@dataclass
class Todo:
    """Jobs by what is to be done about them, in plan order."""

    new: list[Job] = field(default_factory=list)  # to be queued
    waiting: list[Job] = field(default_factory=list)  # queued already, and right so
    running: list[Job] = field(default_factory=list)  # in elements that run
    left_out: list[Job] = field(default_factory=list)  # not to be queued, nor what reads from them
    upstream: dict[str, list[str]] = field(default_factory=dict)  # of the new: job id -> ids, not done
    spots: dict[str, Spot] = field(default_factory=dict)  # job id -> where it is queued
    dead: list[str] = field(default_factory=list)  # references of elements that would never run, or not right


def what_to_do(
    plan: Plan,
    needed: Sequence[Job],
    present: Present,
    queue: Queue,
    *,
    plan_folder: str,
    skip: Collection[str] = (),
) -> Todo:
    """Sort the needed jobs, given in topological order. `skip`: ids of jobs that are not to be queued."""
    dead: set[str] = set(_of_no_use(needed, queue, plan_folder))
    while True:
        todo, found = _sort(plan, needed, present, queue, skip, dead)
        if found <= dead:
            todo.dead = sorted(dead)
            return todo
        dead |= found  # jobs packed with one that cannot stay are queued again with it


def _sort(
    plan: Plan,
    needed: Sequence[Job],
    present: Present,
    queue: Queue,
    skip: Collection[str],
    dead: Collection[str],
) -> tuple[Todo, set[str]]:
    """The jobs sorted, taking some elements for gone; and those that are not right."""
    todo, found = Todo(), set(dead)
    refs: dict[str, str] = {}  # job id -> the element that will make it
    out: set[str] = set()
    for job in needed:
        upstream = _upstream(plan, job, present)
        place = queue.live.get(job.identity)
        if place is not None and (place.entry.runs or place.ref not in dead):
            refs[job.id] = place.ref
            todo.spots[job.id] = Spot(place.record.key, place.index)
            (todo.running if place.entry.runs else todo.waiting).append(job)
            if not place.entry.runs and not _is_right(place, upstream, refs):
                found.add(place.ref)
        elif job.id in skip or any(other in out for other in upstream):
            out.add(job.id)
            todo.left_out.append(job)
        else:
            todo.new.append(job)
            todo.upstream[job.id] = upstream
    return todo, found


def _upstream(plan: Plan, job: Job, present: Present) -> list[str]:
    """The jobs whose artifacts it needs and that are not there."""
    found = {plan.job(need.job).id: None for need in job.needs if need.artifact not in present}
    return list(found)


def _is_right(place: Place, upstream: Sequence[str], refs: Mapping[str, str]) -> bool:
    """Whether a queued element will run once what it needs is there, and not before."""
    if place.entry.never or place.entry.reason in _STUCK:
        return False
    after = place.record.after.get(place.index, ())
    return all(refs.get(other) in after for other in upstream)


def _of_no_use(needed: Sequence[Job], queue: Queue, plan_folder: str) -> list[str]:
    """Elements of this plan that have not started and of which nothing is needed any more."""
    wanted = {job.identity for job in needed}
    useful = {place.ref for identity, place in queue.live.items() if identity in wanted}
    return [
        place.ref
        for place in queue.live.values()
        if place.ref not in useful and not place.entry.runs and place.record.plan_folder == plan_folder
    ]
