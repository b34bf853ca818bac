"""exc.lock: what names on the hub meant when they were resolved. Compiling reads it and asks nobody.

A JSON file beside the spec, fit to be committed: the key of a model or of a split of a data set -> the
commit, and the files that make it, with their sizes and digests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from exc.compiler.facts import LockedFile, LockedRepo

LOCK_FILE = "exc.lock"
_FORMAT = 1
_TIMEOUT_S = 20
# What at the top of a repository makes a model; weights in other forms and examples are left there.
_OF_A_MODEL = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")

Lock = Mapping[str, LockedRepo]


class LockError(Exception):
    """A lock file that cannot be read, or a name that the hub does not know; the message says what to do."""


class Unreachable(Exception):
    """The hub does not answer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model on the hub, or with `part` (CONFIG/SPLIT) a split of a data set."""

    key: str
    repo: str
    revision: str
    part: str = ""


def read_lock(root: Path) -> Lock:
    """The lock beside the spec in `root`; empty where there is none. Raises LockError."""
    path = root / LOCK_FILE
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != _FORMAT:
            raise LockError(f"{path} is of format {data['format']}; `exc lock --update` writes it anew")
        return {key: _locked(value) for key, value in data["hub"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockError(f"{path} is damaged ({error}); `exc lock --update` writes it anew") from error


def _locked(data: Mapping[str, Any]) -> LockedRepo:
    """One entry. Raises ValueError, KeyError or TypeError for what `write_lock` never wrote."""
    files = tuple(LockedFile(**file) for file in data["files"])
    for file in files:
        path = PurePosixPath(file.name)
        if path.is_absolute() or ".." in path.parts or type(file.bytes) is not int:
            raise ValueError(f"{file.name!r} with {file.bytes!r} bytes is no file of a repository")
        if not isinstance(file.sha256, str):
            raise TypeError(f"the digest of {file.name} is {file.sha256!r}")
    if not files or not isinstance(data["commit"], str):
        raise ValueError(f"{data['commit']!r} with {len(files)} files is no commit")
    return LockedRepo(data["commit"], files)


def write_lock(root: Path, lock: Lock) -> None:
    """Write the lock whole: a reader sees the old or the new."""
    data = {"format": _FORMAT, "hub": {key: asdict(repo) for key, repo in sorted(lock.items())}}
    path = root / LOCK_FILE
    temporary = path.with_name(f".{LOCK_FILE}.new")
    temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def resolve(wanted: Wanted) -> LockedRepo:
    """Ask the hub what a name means now. Raises LockError and Unreachable."""
    info = _ask(wanted)
    folder, patterns = (wanted.part, ("*.parquet",)) if wanted.part else ("", _OF_A_MODEL)
    files = [
        LockedFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "")
        for file in info.siblings or []
        if any(_is_in(folder, pattern, file.rfilename) for pattern in patterns)
    ]
    if wanted.part and not files:
        parts = sorted({file.rfilename.rpartition("/")[0] for file in info.siblings or []} - {""})
        held = f"; it has {', '.join(parts[:12])}" if parts else ""
        raise LockError(f"{wanted.repo} at `{wanted.revision}` has no {wanted.part}/*.parquet{held}")
    if not wanted.part and not any(file.name.endswith(".safetensors") for file in files):
        raise LockError(f"{wanted.repo} at `{wanted.revision}` has no weights in safetensors form")
    return LockedRepo(str(info.sha), tuple(sorted(files, key=lambda file: file.name)))


def _is_in(folder: str, pattern: str, name: str) -> bool:
    """Whether a file of a repository lies in that folder itself: what is below it is of something else."""
    path = PurePosixPath(name)
    return path.parent == PurePosixPath(folder) and fnmatch(path.name, pattern)


def _ask(wanted: Wanted) -> Any:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repo, revision = wanted.repo, wanted.revision
    ask = HfApi().dataset_info if wanted.part else HfApi().model_info
    try:
        return ask(repo, revision=revision, files_metadata=True, timeout=_TIMEOUT_S)
    except RevisionNotFoundError as error:
        raise LockError(f"the repository {repo} has no revision `{revision}`") from error
    except RepositoryNotFoundError as error:
        raise LockError(f"the hub has no repository {repo} for these credentials") from error
    except HFValidationError as error:
        raise LockError(f"`{repo}` is no name of a repository: {error}") from error
    except OfflineModeIsEnabled as error:
        raise Unreachable("HF_HUB_OFFLINE is set") from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        raise Unreachable(str(error).split("\n", 1)[0] or type(error).__name__) from error
