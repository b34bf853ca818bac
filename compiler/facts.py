"""What the compiler must know beside the spec, gathered beforehand so that compiling does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
