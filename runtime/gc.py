"""`exc gc`: remove what no registered plan needs. Looking is apart from removing (`gc_items`).

Everything is looked at again right before it goes, resume state under its own lease. It is renamed into tmp/
and then deleted, so that no reader sees half of it; an artifact that a plan was registered for in between is
put back.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exc.runtime.attempts import Attempt
from exc.runtime.files import names, write_json
from exc.runtime.gc_items import (
    Item,
    Needed,
    Rules,
    artifact_reason,
    attempt_reason,
    call_reason,
    find_items,
    leftover_reason,
    links,
    strangers_at_work,
)
from exc.runtime.lease import Lease, acquire
from exc.runtime.owner import this_process
from exc.runtime.registry import FOLDER, Registration
from exc.runtime.slurm.records import Ledger
from exc.runtime.store import RECORD, Store

REMOVED = "removed"  # records of removed artifacts, so that a number still leads back


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, and what was left after all, with why."""

    removed: tuple[Item, ...]
    left: tuple[tuple[Item, str], ...]


class Collector:
    """One run over a store. `extra` are plans to keep that are not registered."""

    def __init__(self, store: Store, rules: Rules, extra: Sequence[Registration] = ()) -> None:
        self.store = store
        self.rules = rules
        self.extra = tuple(extra)
        self._listed: object = None
        self._needed: Needed | None = None

    @property
    def needed(self) -> Needed:
        """What is needed by the registry as it is at this moment."""
        root = self.store.root / FOLDER
        listed = {(experiment, *sorted(names(root / experiment))) for experiment in names(root)}
        if self._needed is None or listed != self._listed:
            self._listed, self._needed = listed, Needed(self.store, self.extra)
        return self._needed

    def find(self) -> list[Item]:
        """What may go. Raises StoreError where the registry cannot be read."""
        return find_items(self.store, self.needed, self.rules)

    def remove(self, items: Iterable[Item]) -> Removal:
        """Remove what may still go. Raises OSError where the store cannot be written to."""
        removed, left = [], []
        for item in items:
            why_not = _HOW[item.sort](self, item)
            if why_not:
                left.append((item, why_not))
            else:
                removed.append(item)
        self._drop_dangling(removed)
        return Removal(tuple(removed), tuple(left))

    def _artifact(self, item: Item) -> str:
        ref = f"{item.path.parent.name}/{item.path.name}"
        if strangers_at_work(self.store, self.needed):
            return "a job that no registered plan has runs now, and may read it"
        if not artifact_reason(self.store, self.needed, ref, self.rules):
            return "it is needed by now"
        record = (item.path / RECORD).read_bytes() if (item.path / RECORD).is_file() else b""
        keep = self.store.root / REMOVED / item.path.parent.name / f"{item.path.name}.json"
        keep.parent.mkdir(parents=True, exist_ok=True)
        keep.write_bytes(record)
        return self._take(item.path, lambda: ref in self.needed.jobs)

    def _work(self, item: Item) -> str:
        if not item.path.is_dir():
            return "it is gone already"
        lease = acquire(item.path, "exc gc")
        if not isinstance(lease, Lease):
            return f"{lease.label} works on it now"
        try:
            if not self._still_free(item.path.name):
                return "its job is not done any more"
            return self._take(item.path)
        finally:
            lease.release()

    def _still_free(self, key: str) -> bool:
        """As `work_reason`, but for the lease, which is ours, and the age, which taking it has changed."""
        refs = self.needed.work.get(key)
        if refs is None:
            return self.needed.all_known and not self.rules.only
        return all(self.store.ref_path(ref).is_dir() for ref in refs)

    def _attempt(self, item: Item) -> str:
        if not attempt_reason(self.needed, Attempt(item.path), self.rules):
            return "it is in use"
        return self._take(item.path)

    def _leftover(self, item: Item) -> str:
        return self._take(item.path) if leftover_reason(item.path, self.rules) else "its writer may be back"

    def _call(self, item: Item) -> str:
        ledger = Ledger(self.store, item.path.parents[1].name)
        if not call_reason(ledger, item.path.name, self.rules):
            return "something of it is in the queue"
        left = self._take(item.path) if item.path.exists() else ""
        if not left:
            ledger.closed(item.path.name).unlink(missing_ok=True)
        return left

    def _link(self, item: Item) -> str:
        if item.path.exists():
            return "it leads somewhere again"
        item.path.unlink(missing_ok=True)
        return ""

    def _take(self, path: Path, regret: Callable[[], bool] = lambda: False) -> str:
        """Rename into tmp/ and delete, or put back if it came to be needed meanwhile."""
        staging = self.store.root / "tmp" / uuid.uuid4().hex
        staging.mkdir(parents=True)
        write_json(staging / "owner.json", this_process().to_json())
        try:
            try:
                path.rename(staging / "gone")
            except FileNotFoundError:
                return "it is gone already"
            if regret() and not path.exists():
                with contextlib.suppress(OSError):  # made anew since the look
                    (staging / "gone").rename(path)
                return "it is needed by now"
            return ""
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _drop_dangling(self, removed: Sequence[Item]) -> None:
        """Readable names of what was removed, and folders that are empty now."""
        if any(item.sort == "artifact" for item in removed):
            for link in links(self.store.root / "results"):
                if not link.exists():
                    link.unlink(missing_ok=True)
        for item in removed:
            if item.sort in ("attempts", "link"):
                _drop_empty(item.path.parent, self.store.root)


def _drop_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it while they are empty, up to the store's own."""
    while folder.parent != root and folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


_HOW: dict[str, Callable[[Collector, Item], str]] = {
    "artifact": Collector._artifact,
    "resume state": Collector._work,
    "attempts": Collector._attempt,
    "leftovers": Collector._leftover,
    "link": Collector._link,
    "call": Collector._call,
}
