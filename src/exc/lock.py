"""exc.lock: what names on the hub meant when they were resolved. Compiling reads it and asks nobody.

A JSON file beside the spec, fit to be committed: the key of a model or of a split of a data set -> the
commit, and the files that make it, with their sizes and digests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

_OF_A_TOKENIZER = (
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("*.txt", "*.model", "*.jinja"),
)

Lock = Mapping[str, LockedRepo]
Refs = Mapping[str, Mapping[str, str]]  # repository -> branch or tag -> commit


class LockError(Exception):
    """A lock file that cannot be read, or a name that the hub does not know; the message says what to do."""


class Unreachable(Exception):
    """The hub does not answer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model on the hub, or with `part` (CONFIG/SPLIT) a split of a data set; `only` its tokenizer."""

    key: str
    repo: str
    revision: str
    part: str = ""
    only: str = ""
    commit: str = ""  # what the revision was when all of the repository's were listed


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


def read_refs(root: Path) -> Refs:
    """The branches and tags of repositories with checkpoints, as they were listed. Raises LockError."""
    path = root / LOCK_FILE
    try:
        listed = json.loads(path.read_bytes()).get("refs", {})
        if not all(type(commit) is str for names in listed.values() for commit in names.values()):
            raise ValueError("a branch without a commit")
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise LockError(f"{path} is damaged ({error}); `exc lock --update` writes it anew") from error
    refs: Refs = listed
    return refs


def write_lock(root: Path, lock: Lock, refs: Refs | None = None) -> None:
    """Write the lock whole: a reader sees the old or the new."""
    data: dict[str, Any] = {
        "format": _FORMAT,
        "hub": {key: asdict(repo) for key, repo in sorted(lock.items())},
    }
    if refs:
        data["refs"] = {repo: dict(sorted(names.items())) for repo, names in sorted(refs.items())}
    path = root / LOCK_FILE
    temporary = path.with_name(f".{LOCK_FILE}.new")
    temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def resolve(wanted: Wanted) -> LockedRepo:
    """Ask the hub what a name means now. Raises LockError and Unreachable."""
    info = _ask(wanted)
    folder, patterns = wanted.part, _patterns(wanted)
    files = [
        LockedFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "")
        for file in info.siblings or []
        if any(_is_in(folder, pattern, file.rfilename) for pattern in patterns)
    ]
    if wanted.part and not files:
        parts = sorted({file.rfilename.rpartition("/")[0] for file in info.siblings or []} - {""})
        held = f"; it has {', '.join(parts[:12])}" if parts else ""
        raise LockError(f"{wanted.repo} at `{wanted.revision}` has no {wanted.part}/*.parquet{held}")
    if wanted.only and not any(file.name.startswith("tokenizer") for file in files):
        raise LockError(f"{wanted.repo} at `{wanted.revision}` has no tokenizer.json and no tokenizer.model")
    if not (wanted.part or wanted.only) and not any(file.name.endswith(".safetensors") for file in files):
        raise LockError(f"{wanted.repo} at `{wanted.revision}` has no weights in safetensors form")
    return LockedRepo(str(info.sha), tuple(sorted(files, key=lambda file: file.name)))


def _patterns(wanted: Wanted) -> tuple[str, ...]:
    if wanted.part:
        return ("*.parquet",)
    return _OF_A_TOKENIZER if wanted.only else _OF_A_MODEL


def _is_in(folder: str, pattern: str, name: str) -> bool:
    """Whether a file of a repository lies in that folder itself: what is below it is of something else."""
    path = PurePosixPath(name)
    return path.parent == PurePosixPath(folder) and fnmatch(path.name, pattern)


def list_refs(repo: str) -> dict[str, str]:
    """The branches and tags of a model's repository, and their commits. Raises LockError and Unreachable."""
    from huggingface_hub import HfApi

    with _answers(repo, "main"):
        refs = HfApi().list_repo_refs(repo)
        return {ref.name: str(ref.target_commit) for ref in (*refs.tags, *refs.branches)}


def _ask(wanted: Wanted) -> Any:
    from huggingface_hub import HfApi

    ask = HfApi().dataset_info if wanted.part else HfApi().model_info
    with _answers(wanted.repo, wanted.revision):
        revision = wanted.commit or wanted.revision
        return ask(wanted.repo, revision=revision, files_metadata=True, timeout=_TIMEOUT_S)


@contextmanager
def _answers(repo: str, revision: str) -> Iterator[None]:
    """Say what is wrong in the words of this module. Raises LockError and Unreachable."""
    import httpx2
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
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
