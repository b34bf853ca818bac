"""Which plans a store works for: plans/<experiment>/<digest>.json, written by `exc submit`.

A registration says which artifacts its plan needs, so that `exc gc` keeps them though the plan folder may lie
on a machine that it cannot see. One file a plan, written whole and never changed: any number of processes on
a shared file system may register and read at once. A registration ends with `exc gc --unregister`, never by
itself.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.compiler.plan import PLAN_FILE, Plan
from exc.runtime.attempts import utc_now
from exc.runtime.files import names, write_json
from exc.runtime.store import Store, StoreError

FOLDER = "plans"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Registration:
    """A plan that a store works for. `folder` is where it lay when it was submitted: a hint, not a truth."""

    experiment: str
    digest: str
    folder: str
    registered: str  # UTC, ISO 8601
    work: Mapping[str, tuple[str, ...]]  # key of resume state -> the artifacts that its job must leave
    jobs: Mapping[str, str]  # "kind/identity" -> job id

    @property
    def artifacts(self) -> frozenset[str]:
        return frozenset(self.jobs)

    @property
    def name(self) -> str:
        return f"{self.experiment}/{self.digest[:12]}"

    @property
    def superseded(self) -> bool:
        """Whether its folder can be seen and holds another plan now, or none."""
        path = Path(self.folder)
        if not path.parent.is_dir():
            return False
        try:
            return bool(json.loads((path / PLAN_FILE).read_bytes())["digest"] != self.digest)
        except FileNotFoundError:
            return True
        except (OSError, ValueError, KeyError, TypeError):
            return False


def registration_of(plan: Plan, plan_folder: Path) -> Registration:
    """What registering a plan records."""
    work: dict[str, tuple[str, ...]] = {}
    for job in plan.jobs:
        work[job.work_key] = tuple(dict.fromkeys((*work.get(job.work_key, ()), *job.artifacts())))
    jobs = {ref: job.id for job in plan.jobs for ref in job.artifacts()}
    return Registration(plan.experiment, plan.digest, str(plan_folder.absolute()), utc_now(), work, jobs)


def register(plan: Plan, plan_folder: Path, store: Store) -> bool:
    """Have the store keep what a plan needs; False if it is registered already.

    False too in a store that this user may not write to: what is there can be read all the same.
    """
    path = store.root / FOLDER / plan.experiment / f"{plan.digest}.json"
    if path.exists():
        return False
    entry = registration_of(plan, plan_folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            path,
            {
                "format": _FORMAT,
                "experiment": entry.experiment,
                "digest": entry.digest,
                "plan": entry.folder,
                "registered": entry.registered,
                "jobs": entry.jobs,
                "work": {key: refs for key, refs in entry.work.items() if key not in _identities(refs)},
            },
        )
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return False
        raise
    return True


def registrations(store: Store) -> list[Registration]:
    """Every registered plan, sorted. Raises StoreError on one that cannot be read: its needs are unknown."""
    found = []
    for experiment in sorted(names(store.root / FOLDER)):
        for name in sorted(registered_names(store, experiment)):
            path = store.root / FOLDER / experiment / name
            try:
                found.append(_read(json.loads(path.read_bytes())))
            except FileNotFoundError:
                continue  # unregistered at this moment
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StoreError(
                    f"{path} is damaged ({error!r}), so what its plan needs is not known\n"
                    f"remove it and submit its plan again: rm {path}"
                ) from None
    return found


def registered_names(store: Store, experiment: str) -> list[str]:
    """File names of an experiment's registrations."""
    listed = names(store.root / FOLDER / experiment)
    return [name for name in listed if name.endswith(".json") and not name.startswith(".")]


def unregister(store: Store, entry: Registration) -> None:
    """Let go of a plan; what only it needs becomes free. The experiment stays known."""
    (store.root / FOLDER / entry.experiment / f"{entry.digest}.json").unlink(missing_ok=True)


def find_registrations(store: Store, name: str) -> list[Registration]:
    """Those that a name means: an experiment, the beginning of a digest, both as `a/b`, or a plan folder."""
    folder = Path(name)
    digest = ""
    if (folder / PLAN_FILE).is_file():
        try:
            digest = str(json.loads((folder / PLAN_FILE).read_bytes())["digest"])
        except (ValueError, KeyError, TypeError):
            digest = ""
    experiment, _, start = name.partition("/")
    return [
        entry
        for entry in registrations(store)
        if (digest and entry.digest == digest)
        or name == entry.experiment
        or (len(name) >= 6 and entry.digest.startswith(name))
        or (start and entry.experiment == experiment and entry.digest.startswith(start))
    ]


def _read(data: Mapping[str, Any]) -> Registration:
    jobs = {str(ref): str(job) for ref, job in data["jobs"].items()}
    work = {ref.partition("/")[2]: (ref,) for ref in jobs}
    work.update({key: tuple(refs) for key, refs in data["work"].items()})
    return Registration(data["experiment"], data["digest"], data["plan"], data["registered"], work, jobs)


def _identities(refs: tuple[str, ...]) -> set[str]:
    """Keys that need not be written down: resume state of most jobs lies under the identity they leave."""
    return {ref.partition("/")[2] for ref in refs} if len(refs) == 1 else set()
