"""Small writes that are whole or absent, on any file system where rename is atomic."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any


def write_json(path: Path, data: Any) -> None:
    """Replace `path` by `data` as JSON, so that a reader sees the old file or the new one."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    text = json.dumps(data, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def digest_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Force a file, or a folder's list of names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def relink(link: str, target: str) -> None:
    """Make `link` a symlink that reads `target`, replacing an older one; does nothing if it is right.

    Paths as text: thousands of links are looked at before anything is run.
    """
    try:
        if os.readlink(link) == target:  # noqa: PTH115
            return
    except OSError:
        Path(link).parent.mkdir(parents=True, exist_ok=True)
    partial = Path(link).with_name(f".{uuid.uuid4().hex}")
    partial.symlink_to(target)
    partial.replace(link)


def names(folder: Path) -> list[str]:
    """Names in a folder, unsorted; none if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except FileNotFoundError:
        return []
