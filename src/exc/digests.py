"""Digests of local files, remembered between compilations: of large ones that have not changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_CHUNK_BYTES = 1 << 20
# A file changed this shortly ago may change again within the same tick of its clock: not remembered.
_SETTLED_S = 2.0
# Smaller files are digested sooner than they are looked up; of the others, the latest are remembered.
_WORTH_REMEMBERING_BYTES = 1 << 20
_MOST_REMEMBERED = 10_000


@dataclass
class Digests:
    """sha256 by path, remembered while size, time and inode stay; losing the file costs only time."""

    file: Path
    known: dict[str, list[Any]]  # absolute path -> [size, mtime in ns, inode, sha256]
    changed: bool = False

    @classmethod
    def load(cls) -> Digests:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        file = Path(base).expanduser() / "exc" / "digests.json"
        try:
            known = orjson.loads(file.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            known = {}
        return cls(file, known if isinstance(known, dict) else {})

    def of(self, path: Path) -> tuple[int, str]:
        """Size in bytes and sha256. Raises OSError."""
        stat = path.stat()
        key, state = str(path.resolve()), [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self.known.get(key)
        if isinstance(known, list) and known[:3] == state and len(known) == 4 and isinstance(known[3], str):
            return stat.st_size, known[3]
        size, digest = _digest(path)
        is_settled = size == stat.st_size and time.time() - stat.st_mtime > _SETTLED_S
        if is_settled and size >= _WORTH_REMEMBERING_BYTES:
            self.known.pop(key, None)
            self.known[key] = [*state, digest]  # the newest last
            self.changed = True
        return size, digest

    def save(self) -> None:
        """Write what was learnt, whole or not at all; a folder that cannot be written to is no fault."""
        if not self.changed:
            return
        temporary = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            newest = dict(list(self.known.items())[-_MOST_REMEMBERED:])
            temporary.write_bytes(orjson.dumps(newest))
            temporary.replace(self.file)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _digest(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
