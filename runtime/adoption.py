"""What is said of a result that was made elsewhere, and of everything that descends from it.

An adopted artifact says so in its artifact.json (`adopted`). A job that reads one, or reads what descends
from one, records that in its own (`adopted_from`), so that the mark goes as far as the numbers do and no
further: an artifact made before the adoption, or after the adopted one was removed, does not bear it.

adopted/<kind>/<identity>.json in the store is an index of the first sort, for questions about many jobs. It
is written before the artifact; whether the artifact is adopted its own record decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.files import names
from exc.runtime.store import Store, StoreError

FOLDER = "adopted"


@dataclass(frozen=True, slots=True)
class Adoption:
    """That a result was taken in: what for, why, and where it came from."""

    job: str  # the job whose result it stands for (`@step` for a kept step); "" for a point without one
    artifact: str  # "kind/identity"; "" for a number without an artifact
    why: str
    origin: str  # where it was made, as the person said, else the path that it was copied from
    when: str  # UTC, ISO 8601
    by: str  # user@host
    digest: str  # sha256 of what was taken in

    def to_json(self) -> dict[str, str]:
        return {
            "job": self.job,
            "why": self.why,
            "from": self.origin,
            "when": self.when,
            "by": self.by,
            "digest": self.digest,
        }

    def text(self) -> str:
        """One sentence for a footnote."""
        what = self.job or "a number"
        source = f"from {self.origin}, by {self.by}, {self.when[:10]}"
        return f"{what} was made elsewhere and adopted: {self.why} ({source})"


def adoption_from_json(data: Mapping[str, Any], artifact: str = "") -> Adoption:
    """The inverse of `to_json`."""
    said = {key: str(data.get(key, "")) for key in ("job", "why", "from", "when", "by", "digest")}
    return Adoption(artifact=artifact, origin=said.pop("from"), **said)


def own_adoption(record: Mapping[str, Any]) -> Adoption | None:
    """The adoption of the artifact whose record this is; None if it was made here."""
    data = record.get("adopted")
    return adoption_from_json(data, f"{record['kind']}/{record['identity']}") if data else None


def adoptions_of(record: Mapping[str, Any]) -> tuple[Adoption, ...]:
    """The adopted artifacts that an artifact's content comes from: itself, or others before it."""
    own = own_adoption(record)
    if own is not None:
        return (own,)
    return tuple(adoption_from_json(data, ref) for ref, data in (record.get("adopted_from") or {}).items())


def inherited(store: Store, refs: Iterable[str]) -> dict[str, Any]:
    """What an artifact that reads `refs` records of adopted ones: `adopted_from`, or nothing.

    Raises StoreError on a damaged record.
    """
    found: dict[str, Any] = {}
    for ref in refs:
        kind, _, identity = ref.partition("/")
        for adoption in adoptions_of(store.read(kind, identity).record):
            found[adoption.artifact] = adoption.to_json()
    return {"adopted_from": dict(sorted(found.items()))} if found else {}


def adopted_artifacts(plan: Plan, store: Store) -> dict[str, Adoption]:
    """Adopted artifacts of a plan that are in the store, by "kind/identity". One listing per kind."""
    root = store.root / FOLDER
    listed = {kind: {name.removesuffix(".json") for name in names(root / kind)} for kind in _kinds(plan)}
    found: dict[str, Adoption] = {}
    for job in plan.jobs:
        if not listed[job.kind]:
            continue
        for ref in job.artifacts():
            kind, _, identity = ref.partition("/")
            if identity in listed[kind] and store.has(kind, identity):
                adoption = _read(store, kind, identity)
                if adoption is not None:
                    found[ref] = adoption
    return found


def _kinds(plan: Plan) -> set[str]:
    return {job.kind for job in plan.jobs}


def _read(store: Store, kind: str, identity: str) -> Adoption | None:
    try:
        return own_adoption(store.read(kind, identity).record)
    except StoreError:
        return None
