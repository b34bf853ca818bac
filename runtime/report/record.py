"""What the artifacts of a plan record of how they were made: software, machines, and what they consumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.store import Store, StoreError


@dataclass(frozen=True, slots=True)
class Spent:
    """What the finished jobs of a kind consumed. FLOPs, samples and tokens as counted by their stages."""

    kind: str
    num_jobs: int
    num_done: int
    flops: float
    samples: int
    tokens: int
    seconds: float  # wall clock, summed over jobs


@dataclass(frozen=True, slots=True)
class Record:
    spent: tuple[Spent, ...]
    environment: Mapping[str, Mapping[str, int]]  # name -> value -> number of artifacts
    hosts: Mapping[str, int]
    commits: Mapping[str, int]
    drift: tuple[str, ...]  # names in the environment that have several values


def read_record(plan: Plan, store: Store) -> Record:
    """Read the record of every artifact of the plan that is in the store; damaged ones are passed over."""
    records = {job.id: _records(store, job.artifacts()) for job in plan.jobs}
    every = [record for found in records.values() for record in found]
    environment: dict[str, Counter[str]] = {}
    for record in every:
        for name, value in (record.get("environment") or {}).items():
            environment.setdefault(name, Counter())[str(value)] += 1
    ordered = {name: dict(sorted(values.items())) for name, values in sorted(environment.items())}
    return Record(
        spent=tuple(_spent(plan, records)),
        environment=ordered,
        hosts=_tally(every, "host"),
        commits=_tally(every, "git_commit"),
        drift=tuple(name for name, values in ordered.items() if len(values) > 1),
    )


def _records(store: Store, artifacts: tuple[str, ...]) -> list[Mapping[str, Any]]:
    found = []
    for artifact in artifacts:
        kind, _, identity = artifact.partition("/")
        if store.has(kind, identity):
            try:
                found.append(store.read(kind, identity).record)
            except StoreError:
                continue
    return found


def _tally(records: list[Mapping[str, Any]], name: str) -> dict[str, int]:
    return dict(sorted(Counter(str(record[name]) for record in records if record.get(name)).items()))


def _spent(plan: Plan, records: Mapping[str, list[Mapping[str, Any]]]) -> list[Spent]:
    """Counts run from a computation's own start, so of kept steps and segments only the last counts."""
    resumed = {
        need.artifact for job in plan.jobs if records[job.id] for need in job.needs if need.role == "resumes"
    }
    kinds: dict[str, list[Spent]] = {}
    seen: set[str] = set()
    for job in plan.jobs:
        if job.identity in seen:
            continue
        seen.add(job.identity)
        found = records[job.id]
        counted = [record for record in found if f"{record['kind']}/{record['identity']}" not in resumed]
        counts = [record.get("counts") or {} for record in counted]
        most: dict[str, Any] = {
            name: max((each.get(name) or 0 for each in counts), default=0)
            for name in ("flops", "samples", "tokens")
        }
        done = int(len(found) == len(job.artifacts()))
        seconds = max((float(record.get("seconds") or 0) for record in found), default=0.0)
        kinds.setdefault(job.kind, []).append(Spent(job.kind, 1, done, **most, seconds=seconds))
    return [_sum(kind, parts) for kind, parts in kinds.items()]


def _sum(kind: str, parts: list[Spent]) -> Spent:
    return Spent(
        kind,
        sum(part.num_jobs for part in parts),
        sum(part.num_done for part in parts),
        sum(part.flops for part in parts),
        sum(part.samples for part in parts),
        sum(part.tokens for part in parts),
        sum(part.seconds for part in parts),
    )


def total(spent: tuple[Spent, ...]) -> Spent:
    return _sum("all", list(spent))
