"""What people ask of those who run jobs, left in the store where any machine sees it.

requests/cancel-<uuid>.json   one request: who asked, in what words, which jobs by identity

A request is one file, whole or absent. Who submits looks at the folder's names and reads each file once;
nobody answers, and nobody waits for an answer. The next submit of a plan lifts what was asked of its jobs.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exc.compiler.plan import Job
from exc.runtime.attempts import utc_now
from exc.runtime.files import names, write_json
from exc.runtime.owner import this_process
from exc.runtime.store import Store

FOLDER = "requests"
_PREFIX, _SUFFIX = "cancel-", ".json"


@dataclass(frozen=True, slots=True)
class Request:
    """A wish that jobs are not run. `jobs`: identity -> job id. `what` is how it was said."""

    path: Path
    what: str
    asked: str  # UTC, ISO 8601
    jobs: Mapping[str, str]


def ask_to_cancel(store: Store, what: str, jobs: Iterable[Job]) -> Request:
    """Leave the wish that jobs are not run any more."""
    return _write(store, what, utc_now(), {job.identity: job.id for job in jobs})


def cancel_requests(store: Store) -> list[Request]:
    """All wishes that stand, in no order."""
    found = (_read(store.root / FOLDER / name) for name in names(store.root / FOLDER) if _is_request(name))
    return [request for request in found if request is not None]


def lift(store: Store, jobs: Iterable[Job]) -> list[str]:
    """Take back what was asked of these jobs, whoever asked; gives the ids of those that were cancelled."""
    wanted = {job.identity: job.id for job in jobs}
    lifted: dict[str, str] = {}
    for request in cancel_requests(store):
        found = {identity: wanted[identity] for identity in request.jobs if identity in wanted}
        if not found:
            continue
        lifted.update(found)
        rest = {identity: name for identity, name in request.jobs.items() if identity not in wanted}
        if rest:  # written first: at no moment is it forgotten
            _write(store, request.what, request.asked, rest)
        request.path.unlink(missing_ok=True)
    return list(lifted.values())


class Cancelled:
    """Identities of jobs that are not to be run, as they stood at the last look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, frozenset[str]] = {}  # file -> identities
        self.news = False  # whether a look found a change that nobody has acted on yet

    def __contains__(self, identity: str) -> bool:
        return any(identity in jobs for jobs in self._seen.values())

    def look(self) -> None:
        """Look again."""
        there = {name for name in names(self._store.root / FOLDER) if _is_request(name)}
        if there == self._seen.keys():
            return
        for name in self._seen.keys() - there:
            del self._seen[name]
        for name in there - self._seen.keys():
            request = _read(self._store.root / FOLDER / name)
            self._seen[name] = frozenset(request.jobs if request else ())
        self.news = True


def _is_request(name: str) -> bool:
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def _write(store: Store, what: str, asked: str, jobs: Mapping[str, str]) -> Request:
    folder = store.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_PREFIX}{uuid.uuid4().hex}{_SUFFIX}"
    write_json(path, {"what": what, "asked": asked, "by": this_process().to_json(), "jobs": dict(jobs)})
    return Request(path, what, asked, jobs)


def _read(path: Path) -> Request | None:
    """A request; None if it was lifted meanwhile or is none."""
    try:
        data = json.loads(path.read_bytes())
        jobs = {str(identity): str(name) for identity, name in data["jobs"].items()}
        return Request(path, str(data["what"]), str(data["asked"]), jobs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
