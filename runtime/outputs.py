"""What a job reads and leaves, as the plan says and as the store has it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from exc.compiler.plan import Job, Need, Plan
from exc.runtime.store import Store, StoreError


def is_done(job: Job, store: Store) -> bool:
    """Whether everything that the job must leave is in the store."""
    return all(store.ref_path(ref).is_dir() for ref in job.artifacts())


def missing_needs(job: Job, store: Store) -> list[Need]:
    return [need for need in job.needs if not store.ref_path(need.artifact).is_dir()]


def input_path(need: Need, store: Store) -> Path:
    """The folder a stage reads. Raises StoreError if the artifact's record or that folder is damaged."""
    kind, _, identity = need.artifact.partition("/")
    artifact = store.read(kind, identity)
    folder = artifact.path / need.output if need.output else artifact.path
    if not folder.is_dir():
        raise StoreError(
            f"the artifact {artifact.path} is damaged: it has no {need.output}/\n"
            f"remove it, and `exc submit` makes it again: rm -r {artifact.path}"
        )
    return folder


def link_results(plan: Plan, job: Job, store: Store) -> None:
    """Give what the job left its readable names: the job's id and aliases, kept steps as ID@STEP."""
    for name in (job.id, *job.aliases):
        store.link(plan.experiment, name, job.kind, job.identity)
        for step, identity in job.kept.items():
            store.link(plan.experiment, f"{name}@{step}", job.kind, identity)


class Present:
    """Which artifacts are there, from one folder listing per kind: for questions about many jobs at once."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._names = {kind: store.present(kind) for kind in {job.kind for job in plan.jobs}}

    def __contains__(self, ref: str) -> bool:
        kind, _, identity = ref.partition("/")
        return identity in self._names.get(kind, ())

    def add(self, refs: Iterable[str]) -> None:
        for ref in refs:
            kind, _, identity = ref.partition("/")
            self._names.setdefault(kind, set()).add(identity)

    def done(self, job: Job) -> bool:
        if not job.kept:
            return job.identity in self._names[job.kind]
        return self._names[job.kind].issuperset(job.kept.values())


def find_job(plan: Plan, name: str) -> Job:
    """The job of this id or alias. Raises LookupError naming the nearest ids."""
    try:
        return plan.job(name)
    except KeyError:
        raise no_such_job(plan, name) from None


def no_such_job(plan: Plan, name: str) -> LookupError:
    """The error that says so, with the nearest ids."""
    near = difflib.get_close_matches(name, list(plan.by_id), n=3, cutoff=0.5)
    hint = f"; the nearest: {', '.join(near)}" if near else ""
    return LookupError(f"the plan of {plan.experiment} has no job {name}{hint}")
