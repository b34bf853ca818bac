"""`exc adopt JOB-ID PATH`: take in, as the artifact of a job, what was made elsewhere."""

from __future__ import annotations

import getpass
import hashlib
import json
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exc.compiler.identity import identity_fields
from exc.compiler.plan import Job, Plan
from exc.runtime.adopt_checks import AdoptError, Offer, look
from exc.runtime.adoption import FOLDER, Adoption
from exc.runtime.attempts import utc_now
from exc.runtime.files import digest_file, write_json
from exc.runtime.lease import Lease, acquire
from exc.runtime.lineage import named_artifact
from exc.runtime.outputs import is_done, link_results
from exc.runtime.store import RECORD, Store

METRICS = "metrics.json"
# Of a record that came with the folder, what still says something here.
_CAME_WITH = ("counts", "environment", "git_commit", "host", "started", "ended", "seconds")


@dataclass(frozen=True, slots=True)
class Statement:
    """What the person says of a result that they take in. `by` is user@host, `when` is UTC."""

    why: str
    origin: str
    by: str
    when: str

    @classmethod
    def now(cls, why: str, origin: str) -> Statement:
        """Raises AdoptError where there is no reason."""
        if not why.strip():
            raise AdoptError("say why: every report that shows the result will repeat it")
        return cls(why.strip(), origin.strip(), f"{getpass.getuser()}@{socket.gethostname()}", utc_now())


def adopt(plan: Plan, name: str, path: Path, store: Store, said: Statement) -> Adoption:
    """Copy a folder into the store as the artifact of a job; `JOB@STEP` names a kept step.

    A model folder (or one that holds `model/` and, to resume from, `state/`) for kinds that make models;
    samples.jsonl, scores.jsonl with problems.jsonl, or documents.jsonl for measurements, with metrics.json
    where there are more. The folder of an artifact of another store will do. Nothing is written unless all is
    right. Raises AdoptError, LookupError for an unknown job, and OSError.
    """
    job, step, identity = _target(plan, name)
    label = job.id if step is None else f"{job.id}@{step}"
    _refuse_present(store, job, identity, label)
    lease = acquire(store.work_path(job.work_key), job.id)
    if not isinstance(lease, Lease):
        raise AdoptError(f"{label} is being computed now ({lease.label}); stop it first")
    try:
        _refuse_present(store, job, identity, label)
        record = _record_of(path)
        offer = look(job, path, store, _metrics(path, record))
        _refuse_stateless(plan, job, identity, offer, store)
        origin = said.origin or str(path.resolve())
        adoption = Adoption(
            label, f"{job.kind}/{identity}", said.why, origin, said.when, said.by, _digest(offer)
        )
        _publish(plan, job, step, identity, store, offer, adoption, record)
    finally:
        lease.release()
    if is_done(job, store):
        link_results(plan, job, store)
    return adoption


def _target(plan: Plan, name: str) -> tuple[Job, int | None, str]:
    """As `named_artifact`, but of several kept steps one has to be named. Raises AdoptError, LookupError."""
    job, step, identity = named_artifact(plan, name)
    if len(job.kept) > 1 and not name.endswith(f"@{step}"):
        steps = ", ".join(f"{job.id}@{step}" for step in job.kept)
        raise AdoptError(f"{job.id} keeps several steps; name one: {steps}")
    return job, step, identity


def _refuse_present(store: Store, job: Job, identity: str, label: str) -> None:
    if store.has(job.kind, identity):
        folder = store.artifact_path(job.kind, identity)
        raise AdoptError(
            f"{label} is there already, and adopting overwrites nothing; to put another in its place, first "
            f"remove it: rm -r {folder}"
        )


def _refuse_stateless(plan: Plan, job: Job, identity: str, offer: Offer, store: Store) -> None:
    """A model without training state cannot be where an unfinished segment goes on."""
    if "state" in offer.files:
        return
    ref = f"{job.kind}/{identity}"
    for other in plan.jobs:
        reads = any(need.artifact == ref and need.output == "state" for need in other.needs)
        if reads and not is_done(other, store):
            raise AdoptError(
                f"{other.id} goes on from the training state of {job.id}, and a model alone has none: adopt "
                f"{other.id} first, or give a folder that holds model/ and state/"
            )


def _record_of(path: Path) -> Mapping[str, Any]:
    """The record of an artifact of another store, its files checked against it; empty where there is none."""
    if not path.is_dir():
        raise AdoptError(f"{path} is not a folder")
    if not (path / RECORD).is_file():
        return {}
    try:
        record: dict[str, Any] = json.loads((path / RECORD).read_bytes())
        for name, file in record["files"].items():
            if digest_file(path / name) != file["sha256"]:
                raise AdoptError(f"{path / name} is not what {RECORD} beside it says")
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise AdoptError(f"{path / RECORD}: {error}") from None
    return record


def _metrics(path: Path, record: Mapping[str, Any]) -> Mapping[str, Any]:
    if not (path / METRICS).is_file():
        return dict(record.get("metrics") or {})
    try:
        metrics = json.loads((path / METRICS).read_bytes())
    except ValueError as error:
        raise AdoptError(f"{path / METRICS}: not JSON ({error})") from None
    if not isinstance(metrics, dict):
        raise AdoptError(f"{path / METRICS}: expected an object of names and numbers")
    return metrics


def _sources(offer: Offer) -> dict[str, Path]:
    """Every file to be copied, by its name in the artifact, sorted. Links are followed; hidden files are not
    part of a result."""
    found = {}
    for name, source in offer.files.items():
        if source.is_file():
            found[name] = source
            continue
        for path in source.rglob("*"):
            inner = path.relative_to(source)
            if path.is_file() and not any(part.startswith(".") for part in inner.parts):
                found[f"{name}/{inner.as_posix()}"] = path
    found.pop(f"model/{RECORD}", None)
    return dict(sorted(found.items()))


def _digest(offer: Offer) -> str:
    """One digest of the names and bytes of all files."""
    digest = hashlib.sha256()
    for name, path in _sources(offer).items():
        digest.update(f"{name}\0{digest_file(path)}\n".encode())
    return digest.hexdigest()


def _publish(
    plan: Plan,
    job: Job,
    step: int | None,
    identity: str,
    store: Store,
    offer: Offer,
    adoption: Adoption,
    record: Mapping[str, Any],
) -> None:
    def write(folder: Path) -> None:
        for name, path in _sources(offer).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        copied = replace(offer, files={name: folder / name for name in offer.files})
        if _digest(copied) != adoption.digest:
            raise AdoptError("the folder changed while it was copied; adopt it again once it is at rest")

    def describe() -> dict[str, Any]:
        came = {key: record[key] for key in _CAME_WITH if key in record}
        made = {key: record[key] for key in ("kind", "identity", "job", "experiment") if key in record}
        return {
            "job": job.id,
            "experiment": plan.experiment,
            "step": step,
            "fields": identity_fields(job.kind, job.config),
            "inputs": {need.role: need.artifact for need in job.inputs},
            "adopted": {**adoption.to_json(), **({"made_as": made} if made else {})},
            "metrics": dict(offer.metrics),
            **{"counts": {"flops": 0.0, "samples": 0, "tokens": 0}, "environment": {}, "seconds": 0.0},
            **{"git_commit": None, "host": None, "started": None, "ended": None},
            **came,
        }

    index = store.root / FOLDER / job.kind / f"{identity}.json"
    index.parent.mkdir(parents=True, exist_ok=True)
    write_json(index, adoption.to_json())
    if not store.publish(job.kind, identity, write, describe):
        raise AdoptError(f"{adoption.job} was finished by another process meanwhile; nothing was adopted")
