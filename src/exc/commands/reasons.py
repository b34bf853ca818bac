"""Why each job of a plan will run or will not, against what the store holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from exc.commands.stale import digest_names, shown_change, where
from exc.compiler.diff import JobChange, changes_since
from exc.compiler.plan import Job, Plan
from exc.runtime.adoption import Adoption, adopted_artifacts
from exc.runtime.outputs import Present
from exc.runtime.ready import needed_jobs
from exc.runtime.store import Artifact, Store
from exc.spec.experiment import Experiment
from exc.spec.words import plural

Word = Literal["reused", "to run", "changed", "not needed"]
WORDS: tuple[Word, ...] = ("to run", "changed", "reused", "not needed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What will happen to a job. `change` says why a job that was done under this name is not any more."""

    job: Job
    word: Word
    reason: str
    change: JobChange | None = None


def review(plan: Plan, store: Store) -> list[Verdict]:
    """A verdict per job, in plan order. Raises StoreError where an earlier artifact cannot be read."""
    present = Present(plan, store)
    needed = {job.id for job in needed_jobs(plan, present)}
    verdicts = [
        _verdict(plan, job, store, done=present.done(job), needed=job.id in needed) for job in plan.jobs
    ]
    adopted = adopted_artifacts(plan, store)
    return [_adopted(verdict, adopted) for verdict in verdicts] if adopted else verdicts


def _adopted(verdict: Verdict, adopted: Mapping[str, Adoption]) -> Verdict:
    """A job that is reused says so where what is reused was made elsewhere."""
    found = next((adopted[ref] for ref in verdict.job.artifacts() if ref in adopted), None)
    if found is None or verdict.word != "reused":
        return verdict
    return replace(verdict, reason=f"adopted: {found.why}")


def _verdict(plan: Plan, job: Job, store: Store, *, done: bool, needed: bool) -> Verdict:
    if done:
        return Verdict(job, "reused", "its artifacts are there")
    if not needed:
        return Verdict(job, "not needed", "everything that reads it is done")
    before = _before(plan, job, store)
    if before is None or f"{job.kind}/{before.record['identity']}" in job.artifacts():
        resumes = store.work_path(job.work_key).is_dir() and any(store.work_path(job.work_key).glob("step-*"))
        return Verdict(job, "to run", "goes on from where it was" if resumes else "new")
    change = changes_since(job, before.record["fields"], before.record["inputs"])
    return Verdict(job, "changed", _why(change, digest_names([job])), change)


def _before(plan: Plan, job: Job, store: Store) -> Artifact | None:
    """The artifact that the experiment last had under this job's name."""
    return store.linked(plan.experiment, job.id)


def _why(change: JobChange, names: Mapping[str, str]) -> str:
    parts = [shown_change(field, names) for field in change.fields]
    if change.inputs:
        parts.append(
            f"reads {', '.join(change.inputs[:3])}{', ...' if len(change.inputs) > 3 else ''}, which changed"
        )
    return "; ".join(parts) or "a new version of the stage"


def review_json(verdicts: Sequence[Verdict], experiment: Experiment) -> dict[str, Any]:
    """Counts, and every job with its verdict; changed fields with the spec line."""
    return {
        "counts": {word: sum(v.word == word for v in verdicts) for word in WORDS},
        "jobs": [
            {
                "id": v.job.id,
                "class": v.job.cls,
                "verdict": v.word,
                "reason": v.reason,
                "fields": [
                    {"field": f.field, "old": f.old, "new": f.new, "source": where(experiment, v.job, f)}
                    for f in (v.change.fields if v.change else ())
                ],
            }
            for v in verdicts
        ],
    }


def print_review(plan: Plan, verdicts: Sequence[Verdict], experiment: Experiment) -> None:
    """Counts, then what runs and why; what is reused is only counted."""
    counts = {word: sum(v.word == word for v in verdicts) for word in WORDS}
    shown = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    print(f"{plan.experiment}: {plural(len(plan.jobs), 'job')}: {shown}")
    adopted = [verdict for verdict in verdicts if verdict.reason.startswith("adopted: ")]
    _print_group("\nreused, adopted from elsewhere", adopted)
    fields: dict[str, list[Verdict]] = {}
    names = digest_names(verdict.job for verdict in verdicts if verdict.change)
    for verdict in verdicts:
        for field in verdict.change.fields if verdict.change else ():
            fields.setdefault(
                f"{shown_change(field, names)} ({where(experiment, verdict.job, field)})", []
            ).append(verdict)
    for text, group in fields.items():
        print(f"\n{text}: {plural(len(group), 'job')}")
        _print_jobs([v.job.id for v in group])
    _print_group(
        "\nchanged because of what they read", [v for v in verdicts if v.change and not v.change.fields]
    )
    _print_group("\nnew", [v for v in verdicts if v.word == "to run" and v.reason == "new"])
    _print_group(
        "\ngo on from where they were", [v for v in verdicts if v.word == "to run" and v.reason != "new"]
    )


def _print_group(title: str, group: Sequence[Verdict]) -> None:
    if group:
        print(f"{title}: {plural(len(group), 'job')}")
        _print_jobs([v.job.id for v in group])


def _print_jobs(ids: Sequence[str], most: int = 12) -> None:
    for job_id in ids[:most]:
        print(f"  {job_id}")
    if len(ids) > most:
        print(f"  and {len(ids) - most} more (`exc plan --json` has all)")
