"""What `exc submit` shows: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Attempt, Failure
from exc.runtime.failure_text import failure_block, width_of
from exc.runtime.failures import is_disk
from exc.runtime.forecast import Forecast
from exc.runtime.lease import Holder
from exc.runtime.reporter import Outcome
from exc.runtime.room import free_bytes
from exc.runtime.wording import clock, duration, here, plan_command
from exc.spec.units import format_bytes
from exc.spec.words import plural

_REFRESH_PER_S = 4


@dataclass
class Shown:
    """A running job on the board."""

    job: Job
    began: float
    progress: dict[str, Any] = field(default_factory=dict)
    note: str = ""


class TerminalReporter:
    """Tells a person how a run of a plan goes."""

    def __init__(
        self,
        console: Console,
        plan_folder: Path,
        slots: int,
        under_way: Callable[[], None] | None = None,
    ) -> None:
        """`under_way` is called once, when what can start at once was started."""
        self._console = console
        self._under_way = under_way
        self._plan_folder = plan_folder
        self._slots = slots
        self._running: dict[str, Shown] = {}
        self._live: Live | None = None
        self._stopping = ""
        self._said_no_room = False

    # Reporter

    def begin(self, plan: Plan, jobs: Sequence[Job]) -> None:
        self._began = time.monotonic()
        self._plan, self._jobs = plan, jobs
        self._waiting = {job.id: job for job in jobs}
        self._forecast = Forecast(self._slots)
        self._settled: dict[str, int] = {}  # done, by kind
        self._num_done = self._num_failed = 0
        self._num_before = len(plan.jobs) - len(jobs)
        if not jobs:
            return
        before = f", {self._num_before} done before" if self._num_before else ""
        self._say(
            f"[bold]{plan.experiment}[/]: {plural(len(jobs), 'job')} to run{before}, {self._slots_text()}"
        )
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._board,
                refresh_per_second=_REFRESH_PER_S,
                transient=True,
            )
            self._live.start()

    def scheduled(self) -> None:
        if self._under_way is not None:
            self._under_way()
            self._under_way = None

    def started(self, job: Job, attempt: Attempt) -> None:  # noqa: ARG002
        self._waiting.pop(job.id, None)
        self._running[job.id] = Shown(job, time.monotonic())

    def elsewhere(self, job: Job, holder: Holder) -> None:
        self._waiting.pop(job.id, None)
        who = f"process {holder.owner.pid} on {holder.owner.host}" if holder.owner else "another process"
        self._running[job.id] = Shown(job, time.monotonic(), note=f"run by {who}")
        if self._live is None:
            self._say(f"waiting for {escape(job.id)}, which is run by {who}")

    def progress(self, job: Job, event: Mapping[str, Any]) -> None:
        if event["event"] == "progress" and job.id in self._running:
            self._running[job.id].progress.update(event)

    def done(self, job: Job, seconds: float, *, elsewhere: bool) -> None:
        self._waiting.pop(job.id, None)
        self._running.pop(job.id, None)
        self._num_done += 1
        self._settled[job.kind] = self._settled.get(job.kind, 0) + 1
        if not elsewhere:
            self._forecast.learn(job, seconds)
        took = "elsewhere" if elsewhere else f"in {duration(seconds)}"
        width = len(str(len(self._jobs)))
        line = f"[green]done[/] {self._num_done:>{width}}/{len(self._jobs)} {escape(job.id)} [dim]{took}[/]"
        self._say(line)

    def failed(self, job: Job, failure: Failure, attempt: Attempt, blocked: Sequence[Job]) -> None:
        self._running.pop(job.id, None)
        self._num_failed += 1
        for other in (job, *blocked):
            self._waiting.pop(other.id, None)
        place = (self._plan, self._plan_folder)
        block = failure_block(job.id, failure, attempt, *place, blocked, width_of(self._console))
        self._print(block)

    def retrying(self, job: Job, failure: Failure, wait_s: float) -> None:
        self._running.pop(job.id, None)
        self._waiting[job.id] = job
        when = f"is tried again in {duration(wait_s)}" if wait_s else "goes on now"
        first = failure.message.splitlines()[0]
        self._print(Text.assemble((failure.kind, "yellow"), f" {job.id}, which {when}: {first}"))

    def no_room(self, folder: Path) -> None:
        if not self._said_no_room:
            self._said_no_room = True
            free = format_bytes(free_bytes(folder) or 0, 2)
            self._say(
                f"[red]the disk is full[/]: {free} are free where {here(folder)} is; nothing is started that "
                "does not fit, and what runs goes on"
            )

    def stopped(self, job: Job) -> None:
        self._running.pop(job.id, None)
        self._say(f"[yellow]stopped[/] {escape(job.id)}, which goes on when it is run again")

    def cancelled(self, job: Job, blocked: Sequence[Job]) -> None:
        for other in (job, *blocked):
            self._waiting.pop(other.id, None)
        if self._running.pop(job.id, None) is not None:
            self._say(f"[yellow]cancelled[/] {escape(job.id)}, which keeps what it saved")

    def stopping(self, running: int, *, now: bool) -> None:
        if now:
            self._stopping = "killing what still runs"
            self._say("[yellow]killing what still runs[/]; what was saved is kept")
        else:
            self._stopping = "stopping; Ctrl-C again to kill"
            self._say(
                f"[yellow]stopping[/]: waiting for {plural(running, 'job')} to save; "
                f"Ctrl-C again kills {'it' if running == 1 else 'them'}"
            )

    def end(self, outcome: Outcome) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._print(self._summary(outcome))

    def close(self) -> None:
        """Give the terminal back, however the run ended."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    # Rendering

    def _say(self, markup: str) -> None:
        self._print(markup)

    def _print(self, what: str | Text) -> None:
        try:
            self._console.print(what, highlight=False, soft_wrap=True)
        except OSError as error:
            if not is_disk(error):  # output to a file on a full disk is lost, and the run goes on
                raise

    def _slots_text(self) -> str:
        return plural(self._slots, "slot")

    def _board(self) -> RenderableType:
        return Group("", self._head(), self._table(), Text(self._counts(), style="dim"))

    def _head(self) -> RenderableType:
        elapsed = time.monotonic() - self._began
        head = Table.grid(padding=(0, 2))
        words = [f"{self._num_done}/{len(self._jobs)} done"]
        if self._num_failed:
            words.append(f"[red]{self._num_failed} failed[/]")
        words.append(clock(elapsed))
        left = self._left()
        if self._stopping:
            words.append(f"[yellow]{self._stopping}[/]")
        elif left is not None and self._waiting | self._running:
            words.append(f"about {duration(left)} left")
        bar = ProgressBar(total=max(1, len(self._jobs)), completed=self._num_done, width=30)
        head.add_row(Text(self._plan.experiment, style="bold"), bar, *words)
        return head

    def _left(self) -> float | None:
        now = time.monotonic()
        running = [(shown.job, now - shown.began, shown.progress) for shown in list(self._running.values())]
        return self._forecast.remaining(running, list(self._waiting.values()))

    def _table(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
        table.add_column("running", no_wrap=True, overflow="ellipsis")
        for name in ("step", "", "time"):
            table.add_column(name, justify="right" if name else "left", no_wrap=True)
        now = time.monotonic()
        for shown in list(self._running.values()):
            step = _step_text(shown.progress)
            table.add_row(
                escape(shown.job.id),
                step,
                shown.note or _measure_text(shown.progress),
                clock(now - shown.began),
            )
        return table

    def _counts(self) -> str:
        totals: dict[str, int] = {}
        for job in self._jobs:
            totals[job.kind] = totals.get(job.kind, 0) + 1
        # A no-break space keeps a kind and its count on one line.
        return "  ".join(
            f"{kind}\u00a0{self._settled.get(kind, 0)}/{total}" for kind, total in totals.items()
        )

    def _summary(self, outcome: Outcome) -> Text:
        if not self._jobs:
            return Text(
                f"{self._plan.experiment}: nothing to do, all {plural(len(self._plan.jobs), 'job')} done"
            )
        text = Text()
        text.append(f"{self._plan.experiment}: ", "bold")
        text.append(f"{plural(len(outcome.done), 'job')} done in {duration(outcome.seconds)}")
        for count, word, style in (
            (len(outcome.failed), "failed", "red"),
            (len(outcome.blocked), "not run because of that", ""),
            (len(outcome.interrupted), "stopped on the way", "yellow"),
            (len(outcome.unstarted), "not started", ""),
            (len(outcome.cancelled), "cancelled, or waiting for what was", "yellow"),
        ):
            if count:
                text.append(f", {count} {word}", style)
        for job_id, (failure, attempt) in outcome.failed.items():
            text.append(f"\n  {job_id} ", "red")
            text.append(f"({failure.kind}): {failure.message.splitlines()[0] if failure.message else ''}")
            text.append(f"\n    log: {here(attempt.log)}", "dim")
        text.append("\nto go on: " if outcome.exit_code else "\nnext: ")
        text.append(plan_command("submit" if outcome.exit_code else "report", self._plan_folder), "bold")
        return text


def _step_text(progress: Mapping[str, Any]) -> str:
    step, total = progress.get("step"), progress.get("total")
    if step is None:
        return ""
    return f"{step}/{total}" if total is not None else str(step)


def _measure_text(progress: Mapping[str, Any]) -> str:
    parts = []
    for name in ("loss", "reward"):
        value = progress.get(name)
        if isinstance(value, int | float):
            parts.append(f"{name} {value:.3f}")
        elif value is not None:
            parts.append(f"{name} {value}")
    rate = progress.get("tokens_per_second")
    if isinstance(rate, int | float):
        parts.append(f"{rate:,.0f} tokens/s")
    return "  ".join(parts)
