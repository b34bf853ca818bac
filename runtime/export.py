"""`exc export`: a model of a plan as a folder that transformers loads and the hub takes."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.card import MODEL_KINDS, is_model, model_card
from exc.runtime.files import digest_file
from exc.runtime.lineage import Node, lineage, named_artifact
from exc.runtime.store import Store, StoreError

CARD, LINEAGE = "README.md", "lineage.json"
_GENERATION = ("bos_token_id", "eos_token_id", "pad_token_id")


class ExportError(Exception):
    """Why something cannot be exported; the message says what to do."""


def final_job(plan: Plan, recipe: str, **where: object) -> str:
    """The job (and kept step) of a recipe's last model. `where`: trunk, at and replicate, None for any.

    Raises ExportError where there is none, or more than one.
    """
    finals = [cell for cell in plan.report.get("cells", ()) if cell.get("final", True)]
    cells = [
        cell
        for cell in finals
        if cell["recipe"] == recipe
        and all(value is None or cell.get(name) == value for name, value in where.items())
    ]
    models = {cell["model"]["artifact"]: cell for cell in cells}
    if not models:
        there = {cell["model"]["artifact"]: cell for cell in finals if cell["recipe"] == recipe}
        if there:
            raise ExportError(f"`{recipe}` has no last model there; it has: {_places(there.values())}")
        named = ", ".join(dict.fromkeys(cell["recipe"] for cell in finals))
        raise ExportError(f"the report of this plan has no model of recipe `{recipe}`; it has: {named}")
    if len(models) > 1:
        raise ExportError(f"`{recipe}` has {len(models)} last models; say which: {_places(models.values())}")
    (ref,) = models
    return name_of(plan, ref)


def _places(cells: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(
        f"--trunk {cell['trunk']} --at {cell['at']} --replicate {cell.get('replicate') or 0}"
        for cell in cells
    )


def name_of(plan: Plan, ref: str) -> str:
    """The job, with `@step` where it keeps several, whose artifact this is. Raises ExportError."""
    for job in plan.jobs:
        if ref in job.artifacts():
            steps = [step for step, identity in job.kept.items() if ref.endswith(f"/{identity}")]
            return f"{job.id}@{steps[0]}" if len(job.kept) > 1 else job.id
    raise ExportError(f"no job of the plan makes {ref}")


def export(plan: Plan, name: str, store: Store, out: Path, *, license_id: str = "") -> tuple[Node, ...]:
    """Write the model of a job (`JOB@STEP` for a kept step) into a new or empty folder; gives its lineage.

    The folder is there whole or not at all, and has the same bytes for the same plan and store. Raises
    ExportError or LookupError for a wrong name, StoreError for a damaged artifact, OSError.
    """
    job, _, identity = named_artifact(plan, name)
    if job.kind not in MODEL_KINDS:
        raise ExportError(f"{job.id} is a `{job.kind}` job, which leaves no model")
    if not store.has(job.kind, identity):
        raise ExportError(f"{job.id} is not done; `exc submit` makes it")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out} is there and not empty; name a new folder")
    if out.resolve() == Path.cwd():
        raise ExportError(f"{out} is the folder you are in, which cannot be replaced; name a new one in it")
    nodes = lineage(store, f"{job.kind}/{identity}")
    if not is_model(nodes[-1]):
        raise ExportError(f"{job.id} leaves data, and no model")
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = out.parent / f".{out.name}.{uuid.uuid4().hex}"
    staging.mkdir()
    try:
        _copy_model(store.artifact_path(job.kind, identity), nodes[-1], staging)
        (staging / CARD).write_text(model_card(plan, store, nodes, license_id), encoding="utf-8")
        (staging / LINEAGE).write_text(_lineage_text(plan, nodes), encoding="utf-8")
        staging.replace(out)  # an empty folder may stand there
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return nodes


def _copy_model(artifact: Path, node: Node, folder: Path) -> None:
    """Raises StoreError where a file is not what was recorded of it."""
    files: Mapping[str, Any] = node.record["files"]
    for name, file in sorted(files.items()):
        if not name.startswith("model/"):
            continue
        copy = folder / name.removeprefix("model/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact / name, copy)
        if digest_file(copy) != file["sha256"]:
            raise StoreError(
                f"{artifact / name} is not what was written\n"
                f"remove the artifact, and `exc submit` makes it again: rm -r {artifact}"
            )
    config = json.loads((folder / "config.json").read_bytes())
    if not (folder / "generation_config.json").exists():
        ids = {key: config[key] for key in _GENERATION if config.get(key) is not None}
        _write_json(folder / "generation_config.json", {"_from_model_config": True, **ids})


def _lineage_text(plan: Plan, nodes: tuple[Node, ...]) -> str:
    jobs = {ref: job for job in plan.jobs for ref in job.artifacts()}
    listed = []
    for node in reversed(nodes):
        job = jobs.get(node.ref)
        listed.append({**node.to_json(), **({"source": list(job.source)} if job else {})})
    data = {"format": 1, "experiment": plan.experiment, "plan": plan.digest, "artifacts": listed}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
