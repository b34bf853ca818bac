"""Signals that ask a run to end, and a loop that sleeps woken by them."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

_WANTED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHELL_SIGNALLED = 128  # a shell gives this plus the signal's number


class Interrupts:
    """While it is entered, in the main thread, signals are counted; `descriptor` is readable after each."""

    wanted: tuple[signal.Signals, ...] = _WANTED

    def __init__(self) -> None:
        self.asked = 0  # how often someone asked for the end
        self._answered = 0  # how many of these were passed on
        self.descriptor, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Interrupts:
        self._before = [(number, signal.signal(number, self._on_signal)) for number in self.wanted]
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before:
            signal.signal(number, handler)
        os.close(self.descriptor)
        os.close(self._writer)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1

    def to_pass_on(self) -> signal.Signals | None:
        """What the jobs are to be told since the last call: a request first, then an order."""
        if self.asked == self._answered:
            return None
        self._answered = self.asked
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 1024)
        return signal.SIGKILL if self.asked > 1 else signal.SIGTERM

    def may_end_with(self) -> set[int]:
        """How a process that was told may end without a word: as told, or before it could listen."""
        told = [signal.SIGTERM, signal.SIGKILL] if self.asked > 1 else [signal.SIGTERM]
        return {code for number in told for code in (-number, SHELL_SIGNALLED + number)}
