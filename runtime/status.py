"""`exc status`: where a plan stands, what failed and why, and the one command to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exc.compiler.plan import Plan
from exc.runtime.adoption import adopted_artifacts
from exc.runtime.execution import progress_text
from exc.runtime.failure_text import failure_block, width_of
from exc.runtime.room import RESERVE_BYTES, free_bytes
from exc.runtime.state import WORDS, JobState, Word, job_states
from exc.runtime.store import Store
from exc.runtime.submitters import submitters
from exc.runtime.wording import here, plan_command, submit_command
from exc.spec.units import format_bytes
from exc.spec.words import plural

if TYPE_CHECKING:
    from exc.runtime.slurm.queue import Queue

_STYLES: Mapping[Word, str] = {
    "done": "green",
    "running": "cyan",
    "queued": "blue",
    "failed": "red",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "waiting": "",
    "blocked": "magenta",
    "unneeded": "dim",
}


@dataclass(frozen=True, slots=True)
class StatusRow:
    """A job class and how many of its jobs are in each state."""

    cls: str
    kind: str
    counts: Mapping[Word, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def status_rows(plan: Plan, states: Mapping[str, JobState]) -> list[StatusRow]:
    """One row per job class, in the order in which the plan has them."""
    counts: dict[tuple[str, str], dict[Word, int]] = {}
    for job in plan.jobs:
        row = counts.setdefault((job.cls, job.kind), {})
        word = states[job.id].word
        row[word] = row.get(word, 0) + 1
    return [StatusRow(cls, kind, row) for (cls, kind), row in counts.items()]


def status_json(plan: Plan, store: Store) -> dict[str, Any]:
    """The state of a plan as plain data: counts, and every job with its state."""
    queue = _queue(plan, store)
    states = job_states(plan, store, queue)
    rows = status_rows(plan, states)
    return {
        "experiment": plan.experiment,
        "counts": {word: sum(row.counts.get(word, 0) for row in rows) for word in WORDS},
        "classes": [{"class": row.cls, "kind": row.kind, "counts": dict(row.counts)} for row in rows],
        "submitters": [one.to_json() for one in submitters(store, plan.experiment)],
        "jobs": [{"id": job_id, **_state_json(state)} for job_id, state in states.items()],
        "adopted": adopted_jobs(plan, store),
        **({} if queue is None else {"queue": {"at": queue.at or None, "problem": queue.problem or None}}),
    }


def _queue(plan: Plan, store: Store) -> Queue | None:
    """One look at the cluster's queue; None for a plan that runs elsewhere."""
    if plan.profile.get("backend") != "slurm":
        return None
    from exc.runtime.slurm.looking import look_on

    return look_on(plan, store)


def adopted_jobs(plan: Plan, store: Store) -> list[str]:
    """Jobs that are done, or partly, because a result from elsewhere was adopted for them."""
    adopted = adopted_artifacts(plan, store)
    return [job.id for job in plan.jobs if any(ref in adopted for ref in job.artifacts())]


def _state_json(state: JobState) -> dict[str, Any]:
    data: dict[str, Any] = {"state": state.word}
    if state.attempt is not None:
        data["log"] = str(state.attempt.log)
    if state.failure is not None:
        data["failure"] = state.failure.to_json()
    if state.blocked_by:
        data["blocked_by"] = state.blocked_by
    if state.progress is not None:
        data["progress"] = dict(state.progress)
    if state.holder is not None and state.holder.owner is not None:
        data["host"], data["pid"] = state.holder.owner.host, state.holder.owner.pid
    if state.place is not None:
        entry = state.place.entry
        data["slurm"] = {"job": entry.ref, "state": entry.state, "reason": entry.reason or None}
    if note := _note(state):
        data["note"] = note
    return data


def _note(state: JobState) -> str:
    """What was learnt of the end of a job that was interrupted."""
    if state.word != "interrupted" or state.attempt is None:
        return ""
    return str(state.attempt.read().get("note", ""))


def print_status(plan: Plan, plan_folder: Path, store: Store, console: Console) -> int:
    """Print where a plan stands; gives 1 if a job failed, else 0."""
    queue = _queue(plan, store)
    states = job_states(plan, store, queue)
    rows = status_rows(plan, states)
    console.print(_table(rows))
    for job_id, state in states.items():
        if state.word == "running":
            console.print(_running_text(job_id, state), soft_wrap=True)
        elif note := _note(state):
            console.print(f"interrupted {job_id}: {note}", highlight=False, markup=False, soft_wrap=True)
    if queue is not None:
        _print_queue(queue, states, console)
    failed = [(job_id, state) for job_id, state in states.items() if state.word == "failed"]
    for job_id, state in failed:
        console.print()
        blocked = [job for job in plan.jobs if states[job.id].blocked_by == job_id]
        assert state.failure is not None
        assert state.attempt is not None
        what, width = (job_id, state.failure, state.attempt), width_of(console)
        block = failure_block(*what, plan, plan_folder, blocked, width, with_log=True)
        console.print(block, soft_wrap=True)
    free = free_bytes(store.root)
    if failed:
        console.print()
    if free is not None and free < RESERVE_BYTES:
        said = f"the disk is full: {format_bytes(free, 2)} free where {here(store.root)} is"
        console.print(said, style="red", highlight=False, soft_wrap=True)
    for submitter in submitters(store, plan.experiment):
        console.print(submitter.text(), highlight=False, soft_wrap=True)
    if adopted := adopted_jobs(plan, store):
        names = ", ".join(adopted[:3]) + (", ..." if len(adopted) > 3 else "")
        console.print(f"adopted, not computed here: {plural(len(adopted), 'job')} ({names})", soft_wrap=True)
    console.print(_last_line(rows, plan_folder), soft_wrap=True)
    return 1 if failed else 0


def _print_queue(queue: Queue, states: Mapping[str, JobState], console: Console) -> None:
    from exc.runtime.slurm.looking import queue_lines

    queued = {job_id: state.place for job_id, state in states.items() if state.place is not None}
    for line in queue_lines(queue, queued):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _table(rows: list[StatusRow]) -> Table:
    used: list[Word] = [word for word in WORDS if any(row.counts.get(word) for row in rows)]
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("class", no_wrap=True)
    table.add_column("jobs", justify="right")
    for word in used:
        table.add_column(word, justify="right", style=_STYLES[word])
    for row in rows:
        table.add_row(row.cls, str(row.total), *(str(row.counts.get(word) or "") for word in used))
    totals = (str(sum(row.counts.get(word, 0) for row in rows)) for word in used)
    table.add_section()
    table.add_row("all", str(sum(row.total for row in rows)), *totals, style="bold")
    return table


def _running_text(job_id: str, state: JobState) -> Text:
    text = Text()
    text.append("running ", "cyan").append(job_id)
    if state.progress is not None:
        text.append(f"  {progress_text(state.progress)}")
    if state.holder is not None and state.holder.owner is not None:
        text.append(f"  process {state.holder.owner.pid} on {state.holder.owner.host}", "dim")
    return text


def _last_line(rows: list[StatusRow], plan_folder: Path) -> Text:
    def count(*words: Word) -> int:
        return sum(row.counts.get(word, 0) for row in rows for word in words)

    left = count("failed", "cancelled", "interrupted", "waiting", "blocked")
    if not left:
        if count("queued"):
            return Text("queued; to watch: ").append(plan_command("watch", plan_folder), "bold")
        if count("running"):
            return Text("running")
        return Text("all done; next: ").append(plan_command("report", plan_folder), "bold")
    return Text(f"{plural(left, 'job')} to do; to go on: ").append(submit_command(plan_folder), "bold")
