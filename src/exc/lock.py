"""exc.lock: what names on the hub meant when they were resolved. Compiling reads it and asks nobody.

A JSON file beside the spec, fit to be committed: `REPO@REVISION` -> the commit, and the model's files with
their sizes and digests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exc.compiler.facts import LockedFile, LockedModel

LOCK_FILE = "exc.lock"
_FORMAT = 1
# What of a repository makes a model; weights in other forms and examples are left there.
WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")


class LockError(Exception):
    """A lock file that cannot be read, or a name that the hub does not know; the message says what to do."""


class Unreachable(Exception):
    """The hub does not answer."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Names with what they were resolved to."""

    models: Mapping[str, LockedModel]


def read_lock(root: Path) -> Lock:
    """The lock beside the spec in `root`; empty where there is none. Raises LockError."""
    path = root / LOCK_FILE
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != _FORMAT:
            raise LockError(
                f"{path}: format {data['format']} is not {_FORMAT}; `exc lock --update` writes it anew"
            )
        return Lock({key: _locked(value) for key, value in data["models"].items()})
    except FileNotFoundError:
        return Lock({})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockError(f"{path} is damaged ({error}); `exc lock --update` writes it anew") from error


def _locked(data: Mapping[str, Any]) -> LockedModel:
    return LockedModel(data["commit"], tuple(LockedFile(**file) for file in data["files"]))


def write_lock(root: Path, lock: Lock) -> None:
    """Write the lock whole: a reader sees the old or the new."""
    models = {key: asdict(model) for key, model in sorted(lock.models.items())}
    path = root / LOCK_FILE
    temporary = path.with_name(f".{LOCK_FILE}.new")
    temporary.write_text(json.dumps({"format": _FORMAT, "models": models}, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def resolve(names: Iterable[tuple[str, str]]) -> dict[str, LockedModel]:
    """Ask the hub what (repository, revision) are now. Raises LockError and Unreachable."""
    return {f"{repo}@{revision}": _ask(repo, revision) for repo, revision in names}


def _ask(repo: str, revision: str) -> LockedModel:
    from fnmatch import fnmatch

    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=20)
    except RevisionNotFoundError as error:
        raise LockError(f"the repository {repo} has no revision `{revision}`") from error
    except RepositoryNotFoundError as error:
        raise LockError(
            f"the hub has no repository {repo} for these credentials"
        ) from error
    except HFValidationError as error:
        raise LockError(f"`{repo}` is no name of a repository: {error}") from error
    except OfflineModeIsEnabled as error:
        raise Unreachable("HF_HUB_OFFLINE is set") from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        raise Unreachable(str(error).split("\n", 1)[0] or type(error).__name__) from error
    files = [
        LockedFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "")
        for file in info.siblings or []
        if any(fnmatch(file.rfilename, pattern) for pattern in WANTED)
    ]
    if not any(file.name.endswith(".safetensors") for file in files):
        raise LockError(f"{repo} at `{revision}` has no weights in safetensors form")
    return LockedModel(str(info.sha), tuple(sorted(files, key=lambda file: file.name)))
