"""Dependencies, with the real one's danger: a job that the controller does not know counts as satisfied."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.slurm.fake.state import CANCELLED, COMPLETED, NEVER, PENDING, Job, State

KINDS = ("after", "afterany", "afterok", "afternotok", "aftercorr")


def parsed(state: State, text: str) -> tuple[list[str], bool]:
    """What `--dependency` asks for, one `kind:target` each, and whether any one of them is enough.

    Raises:
        ValueError: it cannot be read.
    """
    either = "?" in text
    needs: list[str] = []
    kind = ""
    for part in re.split(r"[?,]" if either else ",", text):
        if not part:
            continue
        if part == "singleton":
            needs.append(part)
            continue
        words = part.split(":")
        if words[0] in KINDS:
            kind, words = words[0], words[1:]
        if not kind or not words:
            raise ValueError(text)
        for word in words:
            if not re.fullmatch(r"\d+(_(\d+|\*))?(\+\d+)?", word):
                raise ValueError(text)
            needs.append(f"{kind}:{_shown(state, word.partition('+')[0])}")
    return needs, either


def _shown(state: State, target: str) -> str:
    array = target.isdigit() and any(job.array == int(target) for job in state.known())
    return f"{target}_*" if array else target


def find(state: State, target: str) -> list[Job]:
    """What `12`, `12_3`, `12_*` or `12_[1-3]` names among what the controller knows."""
    if target in state.jobs:
        job = state.jobs[target]
        return [] if job.purged or job.vanished else [job]
    array, _, tasks = target.partition("_")
    if not array.isdigit():
        return []
    members = [job for job in state.known() if job.array == int(array)]
    if members:
        return members if tasks in ("", "*") else []
    return [job for job in state.known() if job.id == int(array) and not tasks]


def _targets(state: State, job: Job, need: str) -> list[Job]:
    kind, _, target = need.partition(":")
    found = find(state, target)
    if kind == "aftercorr" and job.array and any(other.array for other in found):
        return [other for other in found if other.task == job.task]
    return found


def verdict(state: State, job: Job, need: str) -> str:
    """`met`, `wait` or `failed`."""
    kind = need.partition(":")[0]
    if kind == "singleton":
        before = _before(state, job)
        return "wait" if any(other.live and other.name == job.name for other in before) else "met"
    others = _targets(state, job, need)
    if not others:
        return "met"
    if kind == "after":
        return "wait" if any(other.state == PENDING for other in others) else "met"
    bad = any(not other.live and other.state != COMPLETED for other in others)
    waiting = any(other.live for other in others)
    if kind in ("afterok", "aftercorr"):
        return "failed" if bad else "wait" if waiting else "met"
    if kind == "afternotok":
        return "wait" if waiting else "met" if bad else "failed"
    return "wait" if waiting else "met"


def _before(state: State, job: Job) -> Iterable[Job]:
    for other in state.known():
        if other.own >= job.own:
            continue
        yield other


def settle(state: State) -> None:
    """Every pending job's needs, looked at once more; more than once, as a cancelled job decides others'."""
    changed = True
    while changed:
        changed = False
        for job in state.known():
            if job.state == PENDING and job.needs and not job.never:
                changed |= _settle(state, job)


def _settle(state: State, job: Job) -> bool:
    verdicts = {need: verdict(state, job, need) for need in job.needs}
    met = [need for need, value in verdicts.items() if value == "met"]
    failed = [need for need, value in verdicts.items() if value == "failed"]
    if job.either and met:
        job.needs = []
        return False
    if failed and (not job.either or len(failed) == len(job.needs)):
        job.never, job.failed_need = True, failed[0]
        if job.kill_invalid:
            job.become(CANCELLED, state.now(), NEVER)
            return True
        return False
    job.needs = [need for need in job.needs if need not in met]
    return False


def described(job: Job) -> str:
    """As squeue's %E and scontrol print it."""
    words = [f"{need}({'failed' if need == job.failed_need else 'unfulfilled'})" for need in job.needs]
    return ("?" if job.either else ",").join(words) or "(null)"
