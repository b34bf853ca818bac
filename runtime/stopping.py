"""Signals that ask a job to stop: the first is a request, a second one an order."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
EXIT_FAILED = 1
EXIT_ENVIRONMENT = 3
EXIT_RESUMES = 75  # EX_TEMPFAIL: stopped after saving, goes on when run again
EXIT_INTERRUPTED = 130
LIFELINE = "EXC_LIFELINE"  # "<descriptor>:<inode>" of a pipe that closes when the submitter is gone


def leave(code: int) -> NoReturn:
    """End this process at once. Call it when all that counts is written and closed.

    An orderly end takes seconds once the libraries of training are loaded.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


class Interrupted(BaseException):
    """The job was told to stop a second time: it ends where it is, with what it has saved."""


class StopFlag:
    """Becomes true when the process is asked to stop. Use it from the main thread."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._guarded = False  # whether an order to stop may end what is being done now

    def __call__(self) -> bool:
        return self.signal is not None

    def install(self) -> None:
        """Take over the stop signals. Only a process's main thread may."""
        for number in SIGNALS:
            signal.signal(number, self._received)

    @contextmanager
    def during(self) -> Iterator[None]:
        """Work that watches the flag, and that a second signal ends by raising Interrupted."""
        self._guarded = True
        try:
            yield
        finally:
            self._guarded = False

    @property
    def exit_code(self) -> int:
        return EXIT_INTERRUPTED if self.signal == signal.SIGINT else EXIT_RESUMES

    def _received(self, number: int, _frame: FrameType | None) -> None:
        again = self.signal is not None and number != signal.SIGUSR2  # schedulers may send USR2 twice
        if self.signal is None:
            self.signal = signal.Signals(number)
        if self._guarded and again:
            self._guarded = False
            raise Interrupted


def follow_submitter() -> None:
    """Ask this process to stop when the one that submitted it is gone, kill -9 included."""
    descriptor = _lifeline()
    if descriptor is None:
        return
    os.set_inheritable(descriptor, False)

    def wait() -> None:
        os.read(descriptor, 1)  # nobody writes: it returns when the other end closes
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def _lifeline() -> int | None:
    descriptor, _, inode = os.environ.pop(LIFELINE, "").partition(":")
    if not descriptor.isdigit():
        return None
    try:
        status = os.fstat(int(descriptor))
    except OSError:
        return None
    same = stat.S_ISFIFO(status.st_mode) and str(status.st_ino) == inode
    return int(descriptor) if same else None
