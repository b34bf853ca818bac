"""What the compiler must know beside the spec, gathered beforehand so that compiling does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FileFact:
    """One local file: its path relative to the spec's folder, its size and the digest of its content."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file on the hub: its size, and the digest of its content where the hub knows it."""

    name: str
    bytes: int
    sha256: str  # "" for small files, of which the hub keeps another digest


@dataclass(frozen=True, slots=True)
class LockedRepo:
    """A repository on the hub at one commit, and what of it is wanted."""

    commit: str
    files: tuple[LockedFile, ...]


@dataclass(frozen=True, slots=True)
class HarnessFolder:
    """A folder of tasks for lm-evaluation-harness: what each measures, and every file they are made of."""

    tasks: Mapping[str, tuple[str, ...]]  # task or group -> its metrics, as results name them
    files: tuple[FileFact, ...]
    whole: frozenset[str] = frozenset()  # those that need no task from elsewhere


@dataclass(frozen=True, slots=True)
class Facts:
    """Digests of everything local that determines results, and what names on the hub mean."""

    files: Mapping[str, tuple[FileFact, ...]] = field(
        default_factory=dict
    )  # path or glob as written -> its files, sorted
    code: Mapping[str, str] = field(
        default_factory=dict
    )  # "module:function" -> digest of it and its local imports
    vocabularies: Mapping[str, int | None] = field(
        default_factory=dict
    )  # folder of a tokenizer, as written -> how many tokens it has; None where that cannot be told
    hub: Mapping[str, LockedRepo] = field(default_factory=dict)  # key of a model or data set, where locked
    refs: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # repository with checkpoints, where locked -> branch or tag -> commit
    folders: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # folder with checkpoints, as written -> the folders in it
    harness: Mapping[str, HarnessFolder] = field(default_factory=dict)  # folder of tasks, as written
    launch: Mapping[tuple[str, str], Mapping[str, Any]] = field(
        default_factory=dict
    )  # (fsdp or deepspeed, file as the profile names it) -> its settings
