"""Run one job of a plan: `python -m exc.runtime.job JOB-ID`, by hand, from a job script, or forked."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exc.compiler.plan import Job, Plan, PlanError, read_plan
from exc.runtime.attempts import Attempt, new_attempt
from exc.runtime.execution import Ending, Execution
from exc.runtime.failures import EXIT_DISK, classify
from exc.runtime.following import follow, lead
from exc.runtime.lease import Holder, Lease, acquire
from exc.runtime.outputs import find_job, is_done, link_results, missing_needs
from exc.runtime.places import find_plan_folder, find_store, spec_root
from exc.runtime.stopping import EXIT_FAILED, StopFlag, follow_submitter, leave
from exc.runtime.store import Store
from exc.runtime.team import Team, finish, join_team

ATTEMPT_DIR = "EXC_ATTEMPT_DIR"  # set by a submitter: the attempt whose log takes this process's output
_LOOK_AGAIN_S = 0.5  # how often a waiting process looks whether the lease is free
_PROGRESS_EVERY_S = 2.0  # the least time between two progress lines on a terminal


def main(arguments: list[str] | None = None) -> int:
    """The command line of a job script; gives the exit code.

    0 done, 1 failed, 2 usage, 75 stopped and goes on when run again, 130 interrupted.
    """
    names = sys.argv[1:] if arguments is None else arguments
    if len(names) != 1 or names[0].startswith("-"):
        print("usage: python -m exc.runtime.job JOB-ID", file=sys.stderr)
        return 2
    try:
        folder = find_plan_folder()
        plan = read_plan(folder)
        return run_job(plan, names[0], find_store(plan, folder), spec_root(plan, folder))
    except (PlanError, LookupError) as error:
        print(error.args[0], file=sys.stderr)
        return EXIT_FAILED


def run_job(plan: Plan, job_id: str, store: Store, root: Path) -> int:
    """Do one job, or see that it is done. `root` is the spec's folder. Run it from the main thread.

    Raises LookupError for an unknown id; every failure of the job itself is told, recorded, and in the
    exit code, which is 74 if the disk is so full that it cannot be recorded.
    """
    job = find_job(plan, job_id)
    try:
        return _run(plan, job, store, root)
    except OSError as error:  # of the store: what a stage raises is caught where it is called
        failure = classify(error)
        with suppress(OSError):
            print(f"{job.id}: failed ({failure.kind}): {failure.message}", file=sys.stderr, flush=True)
        return EXIT_DISK if failure.kind == "disk" else EXIT_FAILED


def _run(plan: Plan, job: Job, store: Store, root: Path) -> int:
    stop = StopFlag()
    stop.install()
    follow_submitter()
    team = join_team()
    if team is not None and not team.is_first:
        return follow(plan, job, store, root, stop, team)
    code = _lead(plan, job, store, root, stop, team)
    if team is not None:
        team.tell({"leave": code})  # unless they were told to go on, which they have done by now
    return code


def _lead(plan: Plan, job: Job, store: Store, root: Path, stop: StopFlag, team: Team | None) -> int:
    if is_done(job, store):
        return _already_done(plan, job, store)
    missing = missing_needs(job, store)
    if missing:
        for need in missing:
            print(f"{job.id}: its input `{need.role}` is missing; job {need.job} makes it", file=sys.stderr)
        return EXIT_FAILED
    lease = _wait_for_lease(job, store, stop)
    if lease is None:
        return stop.exit_code
    try:
        # Whoever held the lease before may have finished the job.
        if is_done(job, store):
            return _already_done(plan, job, store)
        return _attempt(plan, job, store, root, stop, lease, team)
    finally:
        with suppress(OSError):  # of a full disk; it is free in any case once this process is gone
            lease.release()


def _already_done(plan: Plan, job: Job, store: Store) -> int:
    link_results(plan, job, store)
    print(f"{job.id}: already done (artifact {store.ref_path(job.artifact)})", flush=True)
    return 0


def _wait_for_lease(job: Job, store: Store, stop: StopFlag) -> Lease | None:
    """Take the job's lease, after its holder if it has one; None if asked to stop meanwhile."""
    said: Holder | None = None
    while not stop():
        lease = acquire(store.work_path(job.work_key), job.id)
        if isinstance(lease, Lease):
            return lease
        if lease != said:
            print(f"{job.id}: {_held_text(job, lease)}; waiting", flush=True)
            said = lease
        _wait_for_exit(lease)
    return None


def _held_text(job: Job, held: Holder) -> str:
    who = f"process {held.owner.pid} on {held.owner.host}" if held.owner else "another process"
    what = "it" if held.label in (job.id, "") else f"{held.label}, which shares its state,"
    return f"{who} works on {what} now"


def _wait_for_exit(held: Holder) -> None:
    """Wait a moment, less if the holder's process ends."""
    try:
        if held.owner is None or held.owner.alive() is None:
            raise OSError
        descriptor = os.pidfd_open(held.owner.pid)
    except OSError:
        time.sleep(_LOOK_AGAIN_S)
        return
    try:
        select.select([descriptor], [], [], _LOOK_AGAIN_S)
    finally:
        os.close(descriptor)


def _attempt(
    plan: Plan, job: Job, store: Store, root: Path, stop: StopFlag, lease: Lease, team: Team | None
) -> int:
    store.sweep()
    given = os.environ.pop(ATTEMPT_DIR, None)
    attempt = Attempt(Path(given)) if given else new_attempt(store, job.identity)
    attempt.begin(job.id)
    voice = Voice(job, attempt, by_hand=given is None)
    began = time.monotonic()
    execution = Execution(plan, job, store, root, attempt, voice.progress, stop, lease.must_stop)
    ending = execution.run() if team is None else lead(execution, team)
    return _conclude(attempt, voice, ending, stop, time.monotonic() - began)


def _conclude(attempt: Attempt, voice: Voice, ending: Ending, stop: StopFlag, seconds: float) -> int:
    """Record and tell how it ended; gives the exit code."""
    if ending.failure is not None:
        if ending.failure.kind == "error":
            voice.log(ending.trace)
        voice.say(f"failed ({ending.failure.kind}): {ending.failure.message}")
        voice.hint(f"log: {attempt.log}")
        code = EXIT_FAILED
    elif ending.word == "stopped":
        code = stop.exit_code
        voice.say(f"stopped after {seconds:.1f} s; it goes on when it is run again")
    else:
        code = 0
        voice.say(f"done in {seconds:.1f} s")
    if not attempt.end(code, ending.failure):
        voice.hint(f"{attempt.path}: the end could not be recorded")
        if ending.failure is not None and ending.failure.kind == "disk":
            code = EXIT_DISK
    if ending.failure is not None and ending.failure.kind != "error":
        voice.log(ending.trace)  # after the record, which keeps the last lines: here the message says it all
    return code


@dataclass
class Voice:
    """What a job says: into its log, and to the terminal when it is run by hand.

    Under a submitter the process's output is the log, so that each line is written once.
    """

    job: Job
    attempt: Attempt
    by_hand: bool
    _quiet_until: float = 0.0

    def say(self, text: str) -> None:
        self._print(text)
        if self.by_hand:
            self.log(f"{self.job.id}: {text}\n")

    def progress(self, text: str) -> None:
        """A line that the next one makes stale: shown at most every few seconds, and not logged by hand."""
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _PROGRESS_EVERY_S
            self._print(text)

    def hint(self, text: str) -> None:
        """For the person at the terminal alone."""
        if self.by_hand:
            self._print(text)

    def _print(self, text: str) -> None:
        with suppress(OSError):  # the log lies on a full disk
            print(f"{self.job.id}: {text}", flush=True)

    def log(self, text: str) -> None:
        """Into the log alone."""
        # A full disk must not hide what the job failed of.
        with suppress(OSError), self.attempt.log.open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    leave(finish(main()))
