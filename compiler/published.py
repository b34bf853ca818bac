"""What others published, as the configs of the jobs that bring it: by commit, or by the content of files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from exc.compiler.facts import LockedRepo
from exc.compiler.plan import Plan
from exc.compiler.rows import file_configs
from exc.compiler.world import World
from exc.spec.data import HubData
from exc.spec.published import FolderModel, HubModel

FETCH = "fetch"  # the kind of these jobs


def published_config(world: World, model: HubModel | FolderModel) -> dict[str, Any]:
    """A model made elsewhere: its files, as they were locked or as they lie in their folder."""
    if isinstance(model, FolderModel):
        return {"files": file_configs(world, (model.path,))}
    return {
        "hub": {"repo": model.repo, "revision": model.revision, **_locked(world.facts.hub.get(model.key))}
    }


def tokenizer_config(world: World, model: HubModel) -> dict[str, Any]:
    """The tokenizer's files of a model on the hub."""
    hub = {"repo": model.repo, "revision": model.revision, "only": "tokenizer"}
    return {"hub": {**hub, **_locked(world.facts.hub.get(model.tokenizer_key))}}


def data_config(world: World, data: HubData) -> dict[str, Any]:
    """A data set on the hub: the Parquet files of one split."""
    hub = {"repo": data.repo, "revision": data.revision, "part": f"{data.config}/{data.split}"}
    return {"hub": {**hub, **_locked(world.facts.hub.get(data.key))}}


def _locked(locked: LockedRepo | None) -> dict[str, Any]:
    if locked is None:
        return {"commit": None, "files": []}
    return {"commit": locked.commit, "files": [asdict(file) for file in locked.files]}


def unlocked(plan: Plan) -> list[str]:
    """The repositories that a plan would fetch as whatever their names happen to mean today."""
    hubs = [job.config["hub"] for job in plan.jobs if job.kind == FETCH and "hub" in job.config]
    return sorted({hub["repo"] for hub in hubs if hub["commit"] is None})
