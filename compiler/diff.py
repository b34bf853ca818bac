"""Plan against plan, and job against what was done before: what changed, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exc.compiler.identity import identity_fields
from exc.compiler.plan import Job, Plan
from exc.spec.words import cut

ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a job's config that is not what it was."""

    field: str  # dotted path, e.g. args.learning_rate
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field} {shown(self.old)} -> {shown(self.new)}"


@dataclass(frozen=True, slots=True)
class JobChange:
    """A job that is in both plans under one name and is not the same work."""

    job: Job
    fields: tuple[FieldChange, ...]  # of its own; empty when only what it reads has changed
    inputs: tuple[str, ...]  # the jobs it reads from that have changed


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """What `new` has over `old`. `settings` are differences outside of jobs: profile, report, scripts."""

    added: tuple[Job, ...]
    removed: tuple[Job, ...]
    changed: tuple[JobChange, ...]
    settings: tuple[FieldChange, ...]
    kept: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.settings)


def shown(value: Any) -> str:
    """A value as a person would write it, long ones cut."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    if isinstance(value, str) and not (value and value.isprintable() and value == value.strip()):
        text = json.dumps(value, ensure_ascii=False)  # else its white space could not be seen
    return cut(text, 60)


def changes(old: Any, new: Any, path: str = "") -> Iterator[FieldChange]:
    """Every leaf in which two values differ; lists are compared as a whole unless they are equally long."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            below = f"{path}.{key}" if path else str(key)
            yield from changes(old.get(key, ABSENT), new.get(key, ABSENT), below)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, (before, after) in enumerate(_pairs(old, new)):
            yield from changes(before, after, f"{path}[{index}]")
    elif old != new:
        yield FieldChange(path, old, new)


def _pairs(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Elements of equally long lists, pair by pair.

    Sources stand in the order of their digests: one that only moved because another changed is the same.
    """
    gone = [value for value in old if value not in new]
    come = [value for value in new if value not in old]
    if len(gone) == len(come) and all(isinstance(value, Mapping) for value in (*gone, *come)):
        return zip(gone, come, strict=True)
    return zip(old, new, strict=True)


def diff_plans(old: Plan, new: Plan) -> PlanDiff:
    """Compare two plans of one experiment by job id."""
    before, after = old.by_id, new.by_id
    changed = [
        _job_change(before[job.id], job)
        for job in new.jobs
        if job.id in before and set(before[job.id].artifacts()) != set(job.artifacts())
    ]
    settings = [
        *changes(old.experiment, new.experiment, "experiment"),
        *changes(old.profile, new.profile, "profile"),
        *changes(old.report, new.report, "report"),
        *_resource_changes(old, new),
    ]
    return PlanDiff(
        added=tuple(job for job in new.jobs if job.id not in before),
        removed=tuple(job for job in old.jobs if job.id not in after),
        changed=tuple(changed),
        settings=tuple(settings),
        kept=sum(1 for job in new.jobs if job.id in before) - len(changed),
    )


def _resource_changes(old: Plan, new: Plan) -> Iterator[FieldChange]:
    """The changes of what jobs get, one for all the jobs of a class that it concerns."""
    before = old.by_id
    seen: dict[str, FieldChange] = {}
    for job in new.jobs:
        was = before.get(job.id)
        if was is not None and was.resources != job.resources:
            for change in changes(was.resources, job.resources, f"{job.cls}.resources"):
                seen.setdefault(str(change), change)
    return iter(seen.values())


def _job_change(old: Job, new: Job) -> JobChange:
    fields = list(changes(identity_fields(old.kind, old.config), identity_fields(new.kind, new.config)))
    if old.kind != new.kind:
        fields.insert(0, FieldChange("kind", old.kind, new.kind))
    if old.computation == new.computation and old.kept != new.kept:
        fields.append(FieldChange("keep", sorted(old.kept), sorted(new.kept)))
    read = {need.role: need.artifact for need in old.needs}
    inputs = tuple(
        need.job for need in new.inputs if need.role != "resumes" and read.get(need.role) != need.artifact
    )
    return JobChange(new, tuple(fields), inputs)


def changes_since(job: Job, fields: Mapping[str, Any], inputs: Mapping[str, str]) -> JobChange:
    """A job against the artifact that bore its name before: its hashed fields and its inputs by role."""
    own = tuple(changes(fields, identity_fields(job.kind, job.config)))
    reads = tuple(
        need.job for need in job.inputs if need.role != "resumes" and inputs.get(need.role) != need.artifact
    )
    return JobChange(job, own, reads)
