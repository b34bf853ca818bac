"""A store filled by hand: artifacts, resume state and attempts of plans that nobody ran."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from exc.compiler.plan import Job, Need, Plan
from exc.runtime.attempts import new_attempt
from exc.runtime.outputs import link_results
from exc.runtime.store import Store


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def job(name: str, kind: str = "merge", reads: Iterable[Job] = (), kept: Iterable[int] = ()) -> Job:
    """A job of one artifact, or one for each kept step."""
    needs = tuple(Need(f"from:{other.id}", other.id, other.artifact, "") for other in reads)
    steps = {step: digest(f"{name} {step}") for step in kept}
    identity = steps[max(steps)] if steps else digest(name)
    computation = digest(f"{name} computes") if steps else ""
    return Job(name, kind, kind, identity, {}, needs, computation, steps)


def plan(*jobs: Job, experiment: str = "study") -> Plan:
    """Jobs in topological order; told from other plans by them."""
    named = digest(" ".join(sorted(ref for one in jobs for ref in one.artifacts())) + experiment)
    return Plan(experiment, 0, "..", "experiment.yaml", {"name": "local"}, jobs, {"cells": []}, named)


def finish(store: Store, made: Plan, one: Job, record: Mapping[str, object] | None = None) -> None:
    """Leave what a job leaves: artifacts, links, an attempt, and resume state where it trains."""
    kept: list[tuple[int | None, str]] = [*one.kept.items()] or [(None, one.identity)]
    for step, identity in kept:
        described = {
            "job": one.id,
            "experiment": made.experiment,
            "step": step,
            "metrics": {},
            "inputs": {need.role: need.artifact for need in one.needs},
            **(record or {}),
        }
        store.publish(one.kind, identity, _write, lambda told=described: told)  # type: ignore[misc]
    link_results(made, one, store)
    new_attempt(store, one.identity)
    state = store.work_path(one.work_key) / "step-1"
    state.mkdir(parents=True, exist_ok=True)
    (state / "weights").write_bytes(b"x" * 100)


def _write(folder: Path) -> None:
    (folder / "weights").write_bytes(b"w" * 1000)
