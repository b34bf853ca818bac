"""`exc watch` on a terminal: frame over frame, on a screen of their own, until there is no more to see."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live

from exc.runtime.watch import Watch
from exc.runtime.watch_frame import Frame
from exc.runtime.watch_view import frame_lines

_ENDED_AFTER_S = 3.0  # without a running job or a submitter: jobs that end and start leave gaps
_FOOT = "q leaves; nothing is stopped by that"


def watch_once(watch: Watch, plan_folder: Path, console: Console) -> int:
    """Print one frame, in as many lines as it takes; gives the exit code."""
    frame = watch.look()
    _print(frame, plan_folder, console)
    return frame.exit_code


def watch_live(watch: Watch, plan_folder: Path, console: Console, *, interval_s: float, keep: bool) -> int:
    """Draw a frame each interval until someone leaves or it is over; gives the exit code.

    Over is when all is done, or the submit that was seen has ended; `keep` stays even then. The last frame
    of a view that ended by itself stays on the terminal.
    """
    try:
        frame = _draw(watch, plan_folder, console, interval_s, keep)
    except KeyboardInterrupt:  # whenever it comes: leaving is no fault
        return 0
    if frame is None:
        return 0
    _print(frame, plan_folder, console)
    return frame.exit_code


def _draw(watch: Watch, plan_folder: Path, console: Console, interval_s: float, keep: bool) -> Frame | None:
    """Draw until it is over, which gives the last frame, or until someone leaves."""
    over = _Over()
    with _keys() as descriptor, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            frame = watch.look()
            if not keep and over(frame):
                return frame
            # A slow store is not asked all the time.
            due = began + max(interval_s, 2 * (time.monotonic() - began))
            size = (0, 0)
            while (left := due - time.monotonic()) > 0:
                width, height = console.size
                if size != (width, height):  # also when the window has changed meanwhile
                    size = width, height
                    shown = frame_lines(frame, plan_folder, width, height, _FOOT)
                    live.update(Group(*shown), refresh=True)
                if _pressed(descriptor, min(left, 0.2)) in ("q", "Q", "\x03", "\x04"):
                    return None


class _Over:
    """Whether there is nothing more to wait for."""

    def __init__(self) -> None:
        self._seen_alive = False
        self._rest_since: float | None = None

    def __call__(self, frame: Frame) -> bool:
        if not frame.at_rest:
            self._seen_alive, self._rest_since = True, None
            return False
        if frame.all_done:
            return True
        if self._rest_since is None:
            self._rest_since = time.monotonic()
        return self._seen_alive and time.monotonic() - self._rest_since >= _ENDED_AFTER_S


def _print(frame: Frame, plan_folder: Path, console: Console) -> None:
    for line in frame_lines(frame, plan_folder, console.width):
        console.print(line, highlight=False, soft_wrap=False)


@contextmanager
def _keys() -> Iterator[int]:
    """Keys as they are pressed, unseen; the terminal is as it was afterwards. Ctrl-C stays an interrupt."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _pressed(descriptor: int, wait_s: float) -> str:
    """The key that is pressed within a time, or nothing; `\\x04` for a terminal that has gone."""
    ready, _, _ = select.select([descriptor], [], [], wait_s)
    if not ready:
        return ""
    data = os.read(descriptor, 32)
    return chr(data[0]) if data else "\x04"
