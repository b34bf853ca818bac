"""Every check of a profile, in the order in which a person would mend things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.doctor.cluster import check_cluster
from exc.runtime.doctor.findings import Finding
from exc.runtime.doctor.machine import check_machine
from exc.runtime.doctor.place import check_environment, check_models, check_python, check_store
from exc.runtime.doctor.trial import check_node, check_scripts
from exc.runtime.store import Store


def examine(
    plan: Plan | None, profile: Mapping[str, Any], root: Path, store: Store, *, run: bool
) -> Iterator[Finding]:
    """What is there and what is not, each as soon as it is known.

    `profile` is as in a plan, `root` the spec's folder; without a plan, only what the profile itself says is
    looked at. With `run`, a moment on a node is asked for.
    """
    is_slurm = profile["backend"] == "slurm"
    reachable = True
    for finding in check_cluster(plan, profile) if is_slurm else check_machine(plan, profile):
        reachable = reachable and not (
            finding.word == "failure" and finding.check in ("commands", "controller")
        )
        yield finding
    yield from check_store(store)
    yield from check_environment(profile)
    yield from check_python(profile, root)
    if plan is not None:
        yield from check_models(plan, store)
    if is_slurm and reachable:
        if plan is not None:
            yield from check_scripts(plan)
        if run:
            yield from check_node(plan, profile, root, store)
