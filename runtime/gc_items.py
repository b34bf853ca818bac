"""What no registered plan needs: found by reading alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from exc.runtime.adoption import own_adoption
from exc.runtime.attempts import Attempt
from exc.runtime.files import names
from exc.runtime.lease import holder
from exc.runtime.owner import owner_from_json
from exc.runtime.registry import FOLDER, Registration, registrations
from exc.runtime.slurm.records import FOLDER as QUEUED
from exc.runtime.slurm.records import Ledger
from exc.runtime.store import RECORD, Store, StoreError

DAY_S = 86_400.0
# What evaluations left: small, and what every number leads back to.
KEPT_KINDS = frozenset({"sample", "score", "bits_per_byte", "lm_eval"})

Sort = Literal["resume state", "leftovers", "attempts", "artifact", "link", "call"]
SORTS: tuple[Sort, ...] = ("artifact", "resume state", "attempts", "call", "leftovers", "link")


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go. Times are ages of the last change, in seconds."""

    older_than_s: float = DAY_S  # what no plan is known to need: a plan may be about to be submitted
    leftovers_older_than_s: float = 7 * DAY_S  # of a writer that this machine cannot look at
    keep_attempts: int = 1  # newest ones of a job that no plan has
    only: frozenset[str] = frozenset()  # keys of resume state; where given, that of done jobs alone goes


@dataclass(frozen=True, slots=True)
class Item:
    """Something to remove. `name` is what a person knows it by, `size` is in bytes."""

    sort: Sort
    path: Path
    name: str
    size: int
    why: str


class Needed:
    """What the registered plans need, as one picture of the registry. `extra` are plans beside it."""

    def __init__(self, store: Store, extra: Iterable[Registration] = ()) -> None:
        self._store = store
        self.plans = [*registrations(store), *extra]
        self.jobs: dict[str, str] = {}
        self.work: dict[str, set[str]] = {}
        for plan in self.plans:
            self.jobs.update(plan.jobs)
            for key, refs in plan.work.items():
                self.work.setdefault(key, set()).update(refs)
        self.identities = {ref.partition("/")[2] for ref in self.jobs}

    @cached_property
    def strangers(self) -> list[str]:
        """Experiments with results here that never registered a plan: what they need is not known."""
        known = set(names(self._store.root / FOLDER)) | {plan.experiment for plan in self.plans}
        return sorted(set(names(self._store.root / "results")) - known)

    @cached_property
    def of_strangers(self) -> set[str]:
        """Artifacts that results of unknown experiments link to, with all that those were made from."""
        pending = [_ref(link.resolve()) for name in self.strangers for link in self._links(name)]
        found: set[str] = set()
        while pending:
            ref = pending.pop()
            kind, _, identity = ref.partition("/")
            if ref in found or not self._store.has(kind, identity):
                continue
            found.add(ref)
            try:
                pending += self._store.read(kind, identity).record["inputs"].values()
            except StoreError:
                continue
        return found

    def _links(self, experiment: str) -> Iterator[Path]:
        return links(self._store.root / "results" / experiment)

    @property
    def all_known(self) -> bool:
        """Whether what no plan needs can be told at all."""
        return bool(self.plans) and not self.strangers


def links(folder: Path) -> Iterator[Path]:
    """Every symlink below a folder."""
    for parent, folders, files in os.walk(folder):
        yield from (path for name in (*folders, *files) if (path := Path(parent, name)).is_symlink())


def find_items(store: Store, needed: Needed, rules: Rules) -> list[Item]:
    """Everything that may be removed now, largest first within its sort."""
    if rules.only:
        found = [item for item in _work_items(store, needed, rules) if item.path.name in rules.only]
    else:
        found = [
            *_artifact_items(store, needed, rules),
            *_work_items(store, needed, rules),
            *_attempt_items(store, needed, rules),
            *_call_items(store, rules),
            *_leftover_items(store, rules),
            *_link_items(store),
        ]
    return sorted(found, key=lambda item: (SORTS.index(item.sort), -item.size, item.name, str(item.path)))


def artifact_reason(store: Store, needed: Needed, ref: str, rules: Rules) -> str:
    """Why an artifact may go, "" if it may not."""
    kind, _, identity = ref.partition("/")
    if not needed.plans or kind in KEPT_KINDS or ref in needed.jobs or ref in needed.of_strangers:
        return ""
    path = store.artifact_path(kind, identity)
    if age_s(path / RECORD) < rules.older_than_s:
        return ""
    try:
        if own_adoption(store.read(kind, identity).record) is not None:
            return ""  # it cannot be made again here
    except StoreError:
        return "no registered plan needs it, and it is damaged"
    return "no registered plan needs it"


def _artifact_items(store: Store, needed: Needed, rules: Rules) -> Iterator[Item]:
    if strangers_at_work(store, needed):
        return
    for kind, identity in store.list():
        why = artifact_reason(store, needed, f"{kind}/{identity}", rules)
        if why:
            path = store.artifact_path(kind, identity)
            yield Item(
                "artifact", path, _job_of(path / RECORD, f"{kind}/{identity[:12]}"), size_of(path), why
            )


def strangers_at_work(store: Store, needed: Needed) -> list[str]:
    """Jobs that run and that no registered plan has: what they read is not known, so no artifact may go."""
    held = (holder(store.work_path(key)) for key in names(store.root / "work") if key not in needed.work)
    return [one.label for one in held if one is not None]


def work_reason(store: Store, needed: Needed, key: str, rules: Rules) -> str:
    """Why resume state may go, "" if it may not: it is held, or its job is not done."""
    path = store.work_path(key)
    if key in needed.work:
        refs = needed.work[key]
        done = all(store.ref_path(ref).is_dir() for ref in refs)
        return "its job is done" if done and holder(path) is None else ""
    if rules.only or not needed.all_known or holder(path) is not None:
        return ""
    return "no registered plan has its job" if newest_age_s(path) >= rules.older_than_s else ""


def _work_items(store: Store, needed: Needed, rules: Rules) -> Iterator[Item]:
    for key in names(store.root / "work"):
        why = work_reason(store, needed, key, rules)
        if why:
            path = store.work_path(key)
            refs = sorted(needed.work.get(key, ()))
            yield Item("resume state", path, needed.jobs[refs[0]] if refs else key[:12], size_of(path), why)


def attempt_reason(needed: Needed, attempt: Attempt, rules: Rules) -> str:
    """Why an older attempt may go, "" if it may not."""
    if not needed.all_known or attempt.path.parent.name in needed.identities:
        return ""
    owner = attempt.owner()
    if newest_age_s(attempt.path) < rules.older_than_s or (owner is not None and owner.alive()):
        return ""
    return f"no registered plan has its job; the last {rules.keep_attempts} stay"


def _attempt_items(store: Store, needed: Needed, rules: Rules) -> Iterator[Item]:
    for identity in names(store.root / "attempts"):
        if identity in needed.identities:
            continue
        folder = store.attempts_path(identity)
        numbers = sorted((int(name) for name in names(folder) if name.isdigit()), reverse=True)
        for number in numbers[rules.keep_attempts :]:
            attempt = Attempt(folder / str(number))
            why = attempt_reason(needed, attempt, rules)
            if why:
                label = f"{attempt.read().get('job', identity[:12])} attempt {number}"
                yield Item("attempts", attempt.path, label, size_of(attempt.path), why)


def call_reason(ledger: Ledger, key: str, rules: Rules) -> str:
    """Why what a call of sbatch left may go, "" if something of it is in the queue, or was lately."""
    if ledger.is_open(key) or age_s(ledger.closed(key)) < rules.older_than_s:
        return ""
    return "all of it has left SLURM's queue; logs of jobs stay"


def _call_items(store: Store, rules: Rules) -> Iterator[Item]:
    for experiment in names(store.root / QUEUED):
        ledger = Ledger(store, experiment)
        for key in ledger.closed_keys():
            why = call_reason(ledger, key, rules)
            if why:
                path = ledger.runs(key)
                yield Item("call", path, f"{experiment} {key}", size_of(path), why)


def leftover_reason(path: Path, rules: Rules) -> str:
    """Why what lies in tmp/ may go, "" if its writer may still be at it."""
    try:
        owner = owner_from_json(json.loads((path / "owner.json").read_bytes()))
    except (OSError, ValueError):
        owner = None
    alive = owner.alive() if owner else None
    if alive is False:
        return "its writer is gone"
    if alive is None and newest_age_s(path) >= rules.leftovers_older_than_s:
        return f"not written to for days; its writer ran on {owner.host if owner else 'an unknown host'}"
    return ""


def _leftover_items(store: Store, rules: Rules) -> Iterator[Item]:
    for name in names(store.root / "tmp"):
        path = store.root / "tmp" / name
        why = leftover_reason(path, rules)
        if why:
            yield Item("leftovers", path, f"tmp/{name[:12]}", size_of(path), why)


def _link_items(store: Store) -> Iterator[Item]:
    for link in links(store.root / "results"):
        if not link.exists():
            name = link.relative_to(store.root / "results").as_posix()
            yield Item("link", link, name, 0, "leads nowhere: its artifact is gone")


def size_of(path: Path) -> int:
    """Bytes that removing a folder gives back: a file that has links elsewhere, as resume state has in
    artifacts, gives none. What vanishes meanwhile counts nothing."""
    inodes: dict[int, tuple[int, int]] = {}  # -> links that are not below the folder, bytes
    for entry in _tree(path):
        try:
            found = entry.lstat()
        except OSError:
            continue
        elsewhere, _ = inodes.get(found.st_ino, (found.st_nlink, 0))
        inodes[found.st_ino] = elsewhere - 1, found.st_size
    return sum(size for elsewhere, size in inodes.values() if elsewhere <= 0)


def newest_age_s(path: Path) -> float:
    """Seconds since anything at or below a path changed."""
    return min((age_s(entry) for entry in (path, *_tree(path))), default=0.0)


def age_s(path: Path) -> float:
    """Seconds since a file changed; 0 where that cannot be told, so that it counts as new."""
    try:
        return max(0.0, time.time() - path.lstat().st_mtime)
    except OSError:
        return 0.0


def _tree(path: Path) -> Iterator[Path]:
    for parent, _, files in os.walk(path):
        yield from (Path(parent, name) for name in files)


def _ref(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _job_of(record: Path, otherwise: str) -> str:
    try:
        data = json.loads(record.read_bytes())
        step = data.get("step")
        return str(data["job"]) + (f"@{step}" if step is not None else "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return otherwise
