"""From an exception, or an exit code, to what the person reads: a failure class and a message."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator

from exc.runtime.attempts import Failure
from exc.runtime.context import JobFailed
from exc.runtime.store import StoreError

EXIT_DISK = 74  # EX_IOERR: of a job that could not even record that the disk is full
_SHELL_SIGNALLED = 128  # a shell gives this plus the signal's number

_DISK = (errno.ENOSPC, errno.EDQUOT)
# What libraries written in other languages raise, known by their words alone.
_DISK_WORDS = ("no space left on device", "disk quota exceeded", "file too large", "file size limit exceeded")
_TORCH_WORDS = ("inline_container.cc", "pytorchstreamwriter failed writing")  # a file that it could not end
_MEMORY_WORDS = ("can't allocate memory", "out of memory", "cannot allocate memory", "memoryerror")
# What a process does to itself.
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS}
)
# Classes of failures that only say where something went wrong, and not why.
_WHERE = frozenset({"data", "verifier", "command"})


def classify(error: BaseException) -> Failure:
    """The failure that an exception means. Class `error` is for those that nobody foresaw."""
    if isinstance(error, JobFailed):
        return Failure(_class_of_cause(error) or error.kind, str(error))
    if isinstance(error, StoreError):
        return Failure("store", str(error))
    for cause in _chain(error):
        if _is_too_large(cause):
            return Failure("disk", f"a file grew past the limit on file sizes (`ulimit -f`): {cause}")
        if is_disk(cause):
            return Failure("disk", f"the disk is full: {cause}")
        if isinstance(cause, RuntimeError) and any(words in str(cause).lower() for words in _TORCH_WORDS):
            why = "the disk is full, or the limit on file sizes (`ulimit -f`) too low"
            return Failure("disk", f"torch could not write a file whole: {why}\n{_first_line(cause)}")
        if _is_memory(cause):
            detail = f": {_first_line(cause)}" if str(cause) else ""
            return Failure("out-of-memory", f"memory ran out{detail}")
    return Failure("error", f"{type(error).__name__}: {_first_line(error)}")


def class_in_words(text: str) -> str | None:
    """The class that the last words of a program mean, where they speak of memory or of a full disk."""
    found = {
        kind: max(text.lower().rfind(word) for word in words)
        for kind, words in (("out-of-memory", _MEMORY_WORDS), ("disk", _DISK_WORDS))
    }
    kind = max(found, key=lambda kind: found[kind])
    return kind if found[kind] >= 0 else None


def unexplained(code: int, oom: str | None) -> Failure:
    """The failure of a process that ended with this exit code, or minus a signal's number, and said nothing.

    `oom` is what the kernel says of memory that ran out meanwhile, if it says so.
    """
    if code > _SHELL_SIGNALLED:
        code = _SHELL_SIGNALLED - code
    if code == EXIT_DISK:
        return Failure("disk", "the disk is full: not even the reason could be written down")
    if code == -signal.SIGXFSZ:
        return Failure("disk", "killed by SIGXFSZ: a file grew past the limit on file sizes (`ulimit -f`)")
    if code == -signal.SIGKILL and oom:
        return Failure("out-of-memory", f"killed by signal 9 (SIGKILL): {oom}")
    if code >= 0 or -code not in set(signal.Signals):
        return Failure("error", f"its script ended with exit code {code} before the job could say why")
    name = signal.Signals(-code).name
    if -code in _CRASHES:
        return Failure("error", f"crashed with signal {-code} ({name}), in code that is not Python")
    said = f"killed by signal {-code} ({name}), which exc did not send"
    if code == -signal.SIGKILL:
        said += "; where memory runs out the kernel does, but nothing says that it did"
    return Failure("killed", said)


def is_disk(error: BaseException) -> bool:
    """Whether it says that nothing more can be written for want of space."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return True
    return any(words in str(error).lower() for words in _DISK_WORDS)


def _class_of_cause(error: JobFailed) -> str | None:
    """disk or out-of-memory, where that is why a person's code, which the error names, failed."""
    if error.kind not in _WHERE or error.__cause__ is None:
        return None
    for cause in _chain(error.__cause__):
        if is_disk(cause) or _is_too_large(cause):
            return "disk"
        if _is_memory(cause):
            return "out-of-memory"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _is_too_large(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EFBIG


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _MEMORY_WORDS)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
