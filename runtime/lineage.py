"""Where an artifact comes from, read from the records in the store: down to the tokenizer and the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.runtime.adoption import Adoption, adoptions_of, own_adoption
from exc.runtime.outputs import find_job
from exc.runtime.store import Store, StoreError


@dataclass(frozen=True, slots=True)
class Node:
    """One artifact of a lineage. `record` is its artifact.json, empty where even that is gone."""

    ref: str  # "kind/identity"
    record: Mapping[str, Any]
    there: bool  # whether the artifact is in the store, or only its record

    @property
    def kind(self) -> str:
        return self.ref.partition("/")[0]

    @property
    def name(self) -> str:
        """The job that made it, with the kept step."""
        step = self.record.get("step")
        return str(self.record.get("job", self.ref)) + (f"@{step}" if step is not None else "")

    @property
    def inputs(self) -> Mapping[str, str]:
        """Role -> "kind/identity". What was made elsewhere was made from nothing that is here."""
        return {} if self.adopted else self.record.get("inputs") or {}

    @property
    def fields(self) -> Mapping[str, Any]:
        """What was hashed of its config, defaults left out."""
        return self.record.get("fields") or {}

    @property
    def adopted(self) -> Adoption | None:
        """Its own adoption; what it descends from has nodes of its own."""
        return own_adoption(self.record) if self.record else None

    @property
    def adoptions(self) -> tuple[Adoption, ...]:
        """The adopted artifacts that it is, or comes from."""
        return adoptions_of(self.record)

    def to_json(self) -> dict[str, Any]:
        """What a file beside an exported model tells of it: nothing of machines' names or paths."""
        kept = ("job", "experiment", "step", "fields", "inputs", "metrics", "counts", "files", "environment")
        more = ("git_commit", "seconds", "adopted", "adopted_from")
        said = {name: self.record[name] for name in (*kept, *more) if self.record.get(name) is not None}
        return {"artifact": self.ref, **said}


def lineage(store: Store, ref: str) -> tuple[Node, ...]:
    """An artifact and all that it was made from, each once: what is read before what reads it, itself last.

    Raises StoreError if the artifact itself is not there or damaged.
    """
    kind, _, identity = ref.partition("/")
    found: dict[str, Node] = {ref: Node(ref, store.read(kind, identity).record, there=True)}
    order: list[str] = []
    stack: list[tuple[str, Iterator[str]]] = [(ref, iter(found[ref].inputs.values()))]
    while stack:  # chains are longer than Python recurses
        top, rest = stack[-1]
        below = next(rest, None)
        if below is None:
            order.append(top)
            stack.pop()
        elif below not in found:
            found[below] = _node(store, below)
            stack.append((below, iter(found[below].inputs.values())))
    return tuple(found[name] for name in order)


def _node(store: Store, ref: str) -> Node:
    kind, _, identity = ref.partition("/")
    try:
        return Node(ref, store.read(kind, identity).record, there=True)
    except StoreError:
        pass
    try:
        record = json.loads((store.root / "removed" / kind / f"{identity}.json").read_bytes())
    except (OSError, ValueError):
        record = {}
    return Node(ref, record, there=False)


def named_artifact(plan: Plan, name: str) -> tuple[Job, int | None, str]:
    """The job, kept step and identity that a name means: `JOB`, whose last kept step is meant, or `JOB@STEP`.

    Raises LookupError with what there is.
    """
    job_name, at, step = name.rpartition("@")
    if at and name not in plan.by_id and job_name in plan.by_id:
        job = plan.job(job_name)
        if step.isdigit() and int(step) in job.kept:
            return job, int(step), job.kept[int(step)]
        raise LookupError(f"{job.id} keeps {', '.join(map(str, job.kept)) or 'no steps'}, not {step}")
    job = find_job(plan, name)
    return job, max(job.kept, default=None), job.identity
