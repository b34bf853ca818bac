"""Is the data and the user's code still what the plan was compiled from?"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.files import digest_file, write_json
from exc.runtime.store import Store
from exc.spec.usercode import code_digest

_SMALL = 1 << 20  # bytes; smaller files are always digested
# A file changed within the same tick of its file system's clock keeps its time: younger ones are not trusted.
_SETTLED_S = 5.0


def check_sources(config: Mapping[str, Any], root: Path, store: Store) -> None:
    """Compare every data file and user module that a config names with its digest.

    Raises JobFailed("data") naming the first that differs.
    """
    for part in _maps(config):
        for file in part.get("files") or ():
            if isinstance(file, Mapping) and "path" in file and "sha256" in file:
                _check_file(file, root, store)
        if part.get("code") and part.get("target"):
            _check_code(str(part["target"]), str(part["code"]), root)


def _maps(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        yield from _maps(item)


def _check_file(file: Mapping[str, Any], root: Path, store: Store) -> None:
    path = root / file["path"]
    try:
        size = path.stat().st_size
    except OSError as error:
        raise JobFailed("data", f"{file['path']}: {error.strerror} (looked in {root})") from None
    if size != file["bytes"]:
        how = f"it has {size} bytes, the plan says {file['bytes']}"
        raise JobFailed("data", _changed(file["path"], how))
    if _digest(path, store) != file["sha256"]:
        raise JobFailed("data", _changed(file["path"], "its content differs"))


def _check_code(target: str, digest: str, root: Path) -> None:
    if code_digest(root, target) != digest:
        path = target.partition(":")[0].replace(".", "/") + ".py"
        raise JobFailed("data", _changed(path, "it, or a file that it imports, differs"))


def _changed(path: str, how: str) -> str:
    return (
        f"{path} is not what the plan was made from: {how}\nif the change is meant, run `exc compile` again"
    )


def _digest(path: Path, store: Store) -> str:
    """The sha256 of a file, remembered in the store by its size, time and place for large ones."""
    stat = path.stat()
    if stat.st_size <= _SMALL:
        return digest_file(path)
    key = f"{path.resolve()} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"
    note = store.root / "digests" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    try:
        return str(json.loads(note.read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        digest = digest_file(path)
    if time.time() - stat.st_mtime > _SETTLED_S:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, {"file": str(path), "sha256": digest})
    return digest
