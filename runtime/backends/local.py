"""Run a plan on this machine: a ready queue, each job in its own process, the markers deciding."""

from __future__ import annotations

import selectors
import signal
import time
from pathlib import Path

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import Failure, failure_of, last_attempt, new_attempt, utc_now
from exc.runtime.backends.forking import ForkLauncher, worth_forking
from exc.runtime.backends.interrupts import SHELL_SIGNALLED, Interrupts
from exc.runtime.backends.limits import TimeLimit, time_limit
from exc.runtime.backends.processes import Launcher, ScriptLauncher
from exc.runtime.backends.running import Part, Running
from exc.runtime.backends.settling import Settling
from exc.runtime.backends.slots import Claim, Slots
from exc.runtime.events import EventTail
from exc.runtime.failures import classify, is_disk, unexplained
from exc.runtime.lease import holder
from exc.runtime.memory import oom_since
from exc.runtime.outputs import Present, is_done
from exc.runtime.places import spec_root
from exc.runtime.ready import Queue, needed_jobs
from exc.runtime.reporter import Outcome, Reporter
from exc.runtime.requests import Cancelled
from exc.runtime.room import Room
from exc.runtime.stopping import EXIT_INTERRUPTED, EXIT_RESUMES
from exc.runtime.store import Store

_TICK_S = 0.25  # how often events of running jobs and leases of others are looked at
_REQUESTS_S = 1.0  # how often requests to cancel are looked for
_EXIT_STOPPED = (EXIT_RESUMES, EXIT_INTERRUPTED)
_TOLD = (-signal.SIGUSR2, SHELL_SIGNALLED + signal.SIGUSR2)  # of a job asked to stop before it could listen


def run_local(
    plan: Plan,
    plan_folder: Path,
    store: Store,
    reporter: Reporter,
    slots: int | None = None,
    gpus: tuple[str, ...] | None = None,
    part: Part | None = None,
) -> Outcome:
    """Run what a plan still needs, or the part that is given, and wait for it.

    A job that fails stops only what reads from it. The first SIGINT or SIGTERM asks all jobs to save and
    stop, the second kills them. Call it from the main thread.
    """
    root = spec_root(plan, plan_folder)
    jobs = needed_jobs(plan, Present(plan, store)) if part is None else part.jobs
    launcher: Launcher
    if worth_forking(plan, jobs):
        launcher = ForkLauncher(plan, plan_folder, store.root, root, jobs)
    else:
        launcher = ScriptLauncher(plan_folder, store.root, root)
    try:
        return LocalRun(plan, store, reporter, launcher, Slots(slots, gpus), part).run()
    finally:
        launcher.close()


class LocalRun:
    """The loop over one plan."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        reporter: Reporter,
        launcher: Launcher,
        slots: Slots,
        part: Part | None = None,
    ) -> None:
        present = Present(plan, store)
        self._plan, self._store, self._reporter = plan, store, reporter
        self._launcher, self._slots = launcher, slots
        self._jobs = needed_jobs(plan, present) if part is None else list(part.jobs)
        self._limited = part is None or part.limited
        self._queue = Queue(self._jobs, present)
        self._running: dict[int, Running] = {}  # by descriptor
        self._elsewhere: dict[str, Job] = {}  # held by other processes
        self._room = Room(store.root)
        self._no_room: set[str] = set()  # jobs that the last look at the queue found no disk space for
        self._requests = Cancelled(store)
        self._looked = -_REQUESTS_S
        self._interrupts = (part and part.interrupts) or Interrupts()
        self._settle = Settling(
            plan, store, self._queue, reporter, self._room, self._requests, self._interrupts
        )
        self._selector = selectors.DefaultSelector()
        self._began = utc_now()

    def run(self) -> Outcome:
        clock = time.monotonic()
        self._reporter.begin(self._plan, self._jobs)
        with self._interrupts:
            self._selector.register(self._interrupts.descriptor, selectors.EVENT_READ)
            if self._launcher.wakes >= 0:
                self._selector.register(self._launcher.wakes, selectors.EVENT_READ)
            while True:
                self._take_requests()
                if not self._interrupts.asked:
                    self._start()
                    self._reporter.scheduled()
                if not self._running and (self._interrupts.asked or not self._can_go_on()):
                    break
                self._wait()
        self._selector.close()
        outcome = self._settle.outcome
        settled = {*outcome.done, *outcome.failed, *outcome.blocked, *outcome.interrupted, *outcome.cancelled}
        outcome.unstarted = [job.id for job in self._jobs if job.id not in settled]
        outcome.seconds = time.monotonic() - clock
        outcome.stopped = bool(self._interrupts.asked)
        outcome.no_room = bool(self._no_room)
        self._reporter.end(outcome)
        return outcome

    def _can_go_on(self) -> bool:
        """Whether something may still be started, or done by others, without a person doing something."""
        ready = any(job.id not in self._no_room for job in self._queue.ready())
        return ready or bool(self._elsewhere or self._settle.retries)

    # Starting

    def _start(self) -> None:
        """Start what can start, in order of urgency; what does not fit holds back what is less urgent."""
        for job in self._settle.retries.due():
            if self._settle.is_cancelled(job):
                self._settle.cancelled(job)
            else:
                self._queue.put_back(job)
        self._no_room.clear()
        busy = {running.job.work_key for running in self._running.values()}
        for job in self._queue.ready():
            if job.work_key in busy or not self._launcher.can_start(job):
                continue  # its resume state is being written, or the launcher is warming up
            lacking = self._slots.lacks(job)
            if lacking:
                self._refuse(job, lacking)
                continue
            if is_done(job, self._store):
                self._queue.take(job)
                self._settle.finished(job, 0.0, elsewhere=True)
                return self._start()
            if self._settle.is_cancelled(job):
                self._settle.cancelled(job)
                continue
            held = holder(self._store.work_path(job.work_key))
            if held is not None:
                self._queue.take(job)
                self._elsewhere[job.id] = job
                self._reporter.elsewhere(job, held)
                continue
            if not self._room.allows(job.estimate.get("disk_bytes", 0.0)):
                self._no_room.add(job.id)
                self._reporter.no_room(self._store.root)
                continue
            claim = self._slots.claim(job)
            if claim is None:
                return None
            self._queue.take(job)
            self._launch(job, claim)
            busy.add(job.work_key)
        return None

    def _launch(self, job: Job, claim: Claim) -> None:
        attempt = None
        try:
            attempt = new_attempt(self._store, job.identity)
            process = self._launcher.start(job, attempt, claim.gpus)
        except OSError as error:
            self._slots.release(claim)
            if is_disk(error):  # nothing of the job has begun: it waits until there is room
                self._room.suspect()
                return self._queue.put_back(job)
            if attempt is None:
                raise
            failure = classify(error)
            attempt.end(1, failure)
            return self._settle.failed(job, failure, attempt)
        tail, limit = EventTail(attempt.events), time_limit(job) if self._limited else TimeLimit(None)
        self._running[process.descriptor] = Running(job, attempt, process, claim, tail, limit)
        self._selector.register(process.descriptor, selectors.EVENT_READ)
        return self._reporter.started(job, attempt)

    def _refuse(self, job: Job, why: str) -> None:
        self._queue.take(job)
        failure, attempt = Failure("config", why), new_attempt(self._store, job.identity)
        attempt.begin(job.id)
        attempt.end(1, failure)
        self._settle.failed(job, failure, attempt)

    # Waiting

    def _wait(self) -> None:
        """Sleep until a process ends or a signal comes, or for a tick; then take in what happened."""
        readable = [key.fd for key, _ in self._selector.select(_TICK_S)]
        if self._launcher.wakes in readable and not self._launcher.woke():
            self._selector.unregister(self._launcher.wakes)
        ended = [descriptor for descriptor in readable if descriptor in self._running]
        if (number := self._interrupts.to_pass_on()) is not None:
            for running in self._running.values():
                running.process.signal(number)
            self._reporter.stopping(len(self._running), now=number == signal.SIGKILL)
        for running in self._running.values():
            self._take_events(running)
            if (number := running.limit.due()) is not None:
                running.process.signal(number)
        for descriptor in ended:
            self._selector.unregister(descriptor)
            running = self._running.pop(descriptor)
            self._slots.release(running.claim)
            self._ended(running, running.process.exit_code())
        self._look_elsewhere()

    def _take_events(self, running: Running) -> None:
        for event in running.tail.read():
            if event["event"] == "published":
                self._queue.arrived([str(event.get("artifact"))])
            running.advance.take(event)
            self._reporter.progress(running.job, event)

    def _ended(self, running: Running, code: int) -> None:
        """A process is gone. What is in the store says whether its job is done, not its exit code."""
        job, attempt = running.job, running.attempt
        seconds = time.monotonic() - running.began
        if is_done(job, self._store):
            return self._settle.finished(job, seconds, elsewhere=False)
        record = attempt.read()
        failure, code = failure_of(record), record.get("exit", code)
        if (
            failure is None
            and running.limit.asked
            and not (self._interrupts.asked or self._settle.is_cancelled(job))
        ):
            return self._timed_out(running, code)
        if failure is None and (code in _EXIT_STOPPED or (code in _TOLD and self._settle.is_cancelled(job))):
            return self._settle.stopped(job)
        if failure is None and self._interrupts.asked and code in self._interrupts.may_end_with():
            attempt.end(code, note="killed by the one who asked it to stop")
            return self._settle.stopped(job)
        if failure is None:
            failure = unexplained(code, oom_since(running.oom_before))
            attempt.end(code, failure)
        return self._settle.failed(job, failure, attempt)

    def _timed_out(self, running: Running, code: int) -> None:
        """Its time was over: it goes on where it left off, for as long as every attempt comes further."""
        job, advance = running.job, running.advance
        failure = running.limit.failure(saves=advance.saved is not None)
        if advance.made:
            self._queue.put_back(job)
            return self._reporter.retrying(job, failure, 0.0)
        running.attempt.end(code, failure)
        return self._settle.failed(job, failure, running.attempt)

    def _look_elsewhere(self) -> None:
        for job in list(self._elsewhere.values()):
            if is_done(job, self._store):
                del self._elsewhere[job.id]
                self._settle.finished(job, 0.0, elsewhere=True)
            elif holder(self._store.work_path(job.work_key)) is None:
                del self._elsewhere[job.id]
                # Looked at again: it may have been finished between the two looks.
                attempt = last_attempt(self._store, job.identity)
                failure = attempt.failure_since(self._began) if attempt else None
                if failure is not None and attempt is not None and not is_done(job, self._store):
                    self._settle.failed(job, failure, attempt)
                elif self._settle.is_cancelled(job):
                    self._settle.cancelled(job)
                else:
                    self._queue.put_back(job)

    # Requests

    def _take_requests(self) -> None:
        """Ask what runs of the cancelled to stop, and take out what waits."""
        if time.monotonic() - self._looked < _REQUESTS_S:
            return
        self._looked = time.monotonic()
        self._requests.look()
        for running in self._running.values():
            if running.job.identity in self._requests:
                running.process.signal(signal.SIGUSR2)  # which said twice is still a request
        for job in self._queue.waiting() if self._requests.news else ():
            if job.identity in self._requests and job.id not in self._settle.outcome.cancelled:
                self._settle.cancelled(job)
        self._requests.news = False
