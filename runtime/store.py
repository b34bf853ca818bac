"""The store: artifacts that are whole or absent, attempts, resume state and links by readable name.

artifacts/<kind>/<identity>/    artifact.json and files
attempts/<identity>/<n>/        log.txt, events.jsonl, attempt.json
work/<computation>/             resume state and the lease of its writer
results/<experiment>/<job id>   relative links to artifacts
tmp/<uuid>/                     owner.json, artifact/: what is being written
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.files import digest_file, names, relink, sync, write_json
from exc.runtime.owner import owner_from_json, this_process

RECORD = "artifact.json"
FORMAT = 1


class StoreError(Exception):
    """Something in the store is not as it was written. The message names the path and how to mend it."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a finished job left. `record` is its artifact.json."""

    path: Path
    record: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, float]:
        metrics: Mapping[str, float] = self.record["metrics"]
        return metrics


class Store:
    """A folder on a file system that all who share it can see. Creating a Store touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    # Paths

    def artifact_path(self, kind: str, identity: str) -> Path:
        return self.root / "artifacts" / kind / identity

    def ref_path(self, ref: str) -> Path:
        """The folder of an artifact given as "kind/identity"."""
        kind, _, identity = ref.partition("/")
        return self.artifact_path(kind, identity)

    def attempts_path(self, identity: str) -> Path:
        return self.root / "attempts" / identity

    def work_path(self, computation: str) -> Path:
        return self.root / "work" / computation

    # Reading

    def has(self, kind: str, identity: str) -> bool:
        """Whether the artifact is there. It was renamed into place, so a folder that is there is whole."""
        return self.artifact_path(kind, identity).is_dir()

    def present(self, kind: str) -> set[str]:
        """Identities of all artifacts of a kind, from one folder listing."""
        return set(names(self.root / "artifacts" / kind))

    def read(self, kind: str, identity: str) -> Artifact:
        """Read an artifact's record.

        Raises StoreError if it is not there, cannot be parsed, or is the record of something else.
        """
        path = self.artifact_path(kind, identity)
        if not path.is_dir():
            raise StoreError(f"no artifact {kind}/{identity} in {self.root}")
        try:
            record = json.loads((path / RECORD).read_bytes())
        except FileNotFoundError:
            raise _damaged(path, f"{RECORD} is missing") from None
        except ValueError as error:
            raise _damaged(path, f"{RECORD} is not JSON ({error})") from None
        wrong = _record_fault(record, kind, identity)
        if wrong:
            raise _damaged(path, wrong)
        return Artifact(path, record)

    def linked(self, experiment: str, name: str) -> Artifact | None:
        """The artifact that last bore a readable name; None if none did, or it is no longer there."""
        link = self.root / "results" / experiment / name
        if not link.is_symlink() or not link.is_dir():
            return None
        path = link.resolve()
        return self.read(path.parent.name, path.name)

    def list(self, kind: str | None = None) -> Iterator[tuple[str, str]]:
        """(kind, identity) of every artifact, sorted; of one kind if it is given."""
        kinds = [kind] if kind else names(self.root / "artifacts")
        for name in sorted(kinds):
            for identity in sorted(self.present(name)):
                yield name, identity

    # Writing

    def publish(
        self,
        kind: str,
        identity: str,
        write: Callable[[Path], None],
        describe: Callable[[], Mapping[str, Any]],
    ) -> bool:
        """Put an artifact into the store, whole or not at all; False if another one was there first.

        `write(folder)` fills an empty folder; `describe()` is called after it and gives the rest of the
        record. Whatever they raise leaves nothing behind.
        """
        target = self.artifact_path(kind, identity)
        if target.is_dir():
            return False
        staging = self._stage()
        try:
            folder = staging / "artifact"
            folder.mkdir()
            write(folder)
            files = _digest_tree(folder)
            record = {"format": FORMAT, "kind": kind, "identity": identity, **describe(), "files": files}
            write_json(folder / RECORD, record)
            _sync_tree(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            return _rename(folder, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def link(self, experiment: str, name: str, kind: str, identity: str) -> None:
        """Give an artifact a readable name under results/."""
        link = f"results/{experiment}/{name}"
        relink(f"{self.root}/{link}", f"{'../' * link.count('/')}artifacts/{kind}/{identity}")

    def sweep(self) -> int:
        """Remove what dead processes left half-written in tmp/; gives how many.

        A writer that this machine cannot look at is taken to be alive.
        """
        removed = 0
        for name in names(self.root / "tmp"):
            folder = self.root / "tmp" / name
            try:
                owner = owner_from_json(json.loads((folder / "owner.json").read_bytes()))
            except (OSError, ValueError):
                continue
            if owner is not None and owner.alive() is False:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def _stage(self) -> Path:
        staging = self.root / "tmp" / uuid.uuid4().hex
        staging.mkdir(parents=True)
        write_json(staging / "owner.json", this_process().to_json())
        return staging


def _record_fault(record: Any, kind: str, identity: str) -> str | None:
    """What is wrong with a parsed artifact.json, or None."""
    if not isinstance(record, dict):
        return f"{RECORD} does not hold an object"
    if record.get("format") != FORMAT:
        return f"{RECORD} has format {record.get('format')!r}, expected {FORMAT}"
    if (record.get("kind"), record.get("identity")) != (kind, identity):
        return f"{RECORD} is the record of {record.get('kind')}/{record.get('identity')}"
    for field in ("metrics", "files", "inputs"):
        if not isinstance(record.get(field), dict):
            return f"{RECORD} lacks `{field}`"
    return None


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(
        f"the artifact {path} is damaged: {what}\nremove it, and `exc submit` makes it again: rm -r {path}"
    )


def _digest_tree(folder: Path) -> dict[str, dict[str, Any]]:
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        files[path.relative_to(folder).as_posix()] = {
            "bytes": path.stat().st_size,
            "sha256": digest_file(path),
        }
    return files


def _sync_tree(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        for name in files:
            sync(Path(parent, name))
        sync(Path(parent))


def _rename(folder: Path, target: Path) -> bool:
    """Rename into place; False if another artifact is already there."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    sync(target.parent)
    return True
