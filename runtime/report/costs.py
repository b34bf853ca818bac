"""What a model cost: the work of all stages between its trunk's checkpoint and itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from exc.compiler.plan import Job, Plan
from exc.runtime.card import MODEL_KINDS
from exc.runtime.report.cells import Cell
from exc.runtime.store import Store, StoreError
from exc.spec.references import BASE

_RESUMED = ("resumes", "continues")  # roles of what a computation goes on from, whose counts are its own


@dataclass(frozen=True, slots=True)
class Cost:
    """Counts since the branch began, as stages count them; a number nobody counted is zero."""

    flops: float = 0.0
    samples: float = 0.0  # that were drawn from the model, or trained on
    tokens: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.samples + other.samples, self.tokens + other.tokens)


def costs_of(plan: Plan, store: Store, cells: Sequence[Cell]) -> dict[str, Cost]:
    """The cost of every measured model, by its artifact; left out where a record on the way is missing."""
    walk = _Walk(plan, store, {cell.model_artifact for cell in cells if cell.recipe == BASE})
    measured = dict.fromkeys(cell.model_artifact for cell in cells if cell.missing is None)
    found = {artifact: walk.cost(artifact) for artifact in measured}
    return {artifact: cost for artifact, cost in found.items() if cost is not None}


class _Walk:
    """From a model back to the checkpoint that its branch starts from, which costs nothing more."""

    def __init__(self, plan: Plan, store: Store, starts: Collection[str]) -> None:
        self._store, self._starts = store, starts
        self._made = {artifact: job for job in plan.jobs for artifact in job.artifacts()}
        self._known: dict[str, dict[str, Cost] | None] = {}

    def cost(self, artifact: str) -> Cost | None:
        parts = self._parts(artifact)
        return None if parts is None else sum(parts.values(), Cost())

    def _parts(self, artifact: str) -> dict[str, Cost] | None:
        """What each job on the way consumed: once, though a merge may come to it by several parents."""
        if artifact not in self._known:
            self._known[artifact] = self._work(artifact)
        return self._known[artifact]

    def _work(self, artifact: str) -> dict[str, Cost] | None:
        job = self._made.get(artifact)
        if artifact in self._starts or (job is not None and self._is_start(job)):
            return {}
        recorded = self._recorded(artifact)
        if recorded is None:
            return None
        total = {job.id if job is not None else artifact: recorded}
        for source in self._sources(job) if job is not None else ():
            before = self._parts(source)
            if before is None:
                return None
            for name, cost in before.items():
                # Counts are from a job's own start: those of a later step hold those of an earlier one.
                total[name] = max(total.get(name, cost), cost, key=lambda each: each.samples)
        return total

    def _is_start(self, job: Job) -> bool:
        return job.kind in ("pretrain", "trainer", "fetch") and not self._sources(job)

    def _sources(self, job: Job) -> list[str]:
        """The models that a job starts from: of a merge several."""
        return [
            need.artifact
            for need in job.inputs
            if need.role not in _RESUMED
            and (made := self._made.get(need.artifact)) is not None
            and made.kind in MODEL_KINDS
            and (need.role == "model" or job.kind == "merge")
        ]

    def _recorded(self, artifact: str) -> Cost | None:
        kind, _, identity = artifact.partition("/")
        if not self._store.has(kind, identity):
            return None
        try:
            counts = self._store.read(kind, identity).record.get("counts") or {}
        except StoreError:
            return None
        return Cost(*(float(counts.get(name) or 0) for name in ("flops", "samples", "tokens")))
