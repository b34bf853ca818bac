"""From an exception to what the person reads: a failure class and a message."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from exc.runtime.attempts import Failure
from exc.runtime.context import JobFailed
from exc.runtime.store import StoreError

_DISK = (errno.ENOSPC, errno.EDQUOT)
# What libraries written in other languages raise, known by their words alone.
_DISK_WORDS = ("no space left on device", "disk quota exceeded")
_MEMORY_WORDS = ("can't allocate memory", "out of memory", "cannot allocate memory")


def classify(error: BaseException) -> Failure:
    """The failure that an exception means. Class `error` is for those that nobody foresaw."""
    if isinstance(error, JobFailed):
        return Failure(error.kind, str(error))
    if isinstance(error, StoreError):
        return Failure("store", str(error))
    for cause in _chain(error):
        if _is_disk(cause):
            return Failure("disk", f"the disk is full: {cause}\nfree some space and run it again")
        if _is_memory(cause):
            detail = f": {_first_line(cause)}" if str(cause) else ""
            return Failure("out-of-memory", f"memory ran out{detail}")
    return Failure("error", f"{type(error).__name__}: {_first_line(error)}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _is_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _DISK:
        return True
    return any(words in str(error).lower() for words in _DISK_WORDS)


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _MEMORY_WORDS)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
