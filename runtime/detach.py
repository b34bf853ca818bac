"""`exc submit --detach`: the same submit as a process of its own, which no terminal takes along.

The starter makes a pipe and a log file, and waits until the other says that jobs are under way, or ends
without having said so: then its output and exit code are handed on as if it had run in the foreground.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exc.runtime.stopping import EXIT_INTERRUPTED
from exc.runtime.store import Store
from exc.runtime.submitters import FOLDER

VARIABLE = "EXC_DETACHED"  # "<descriptor>:<log file>": set for the process in the background
_MARK = b"under way\n"


@dataclass(frozen=True, slots=True)
class Background:
    """What a submit in the background knows of how it was started."""

    log: str
    under_way: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Started:
    """How it began. `code` is the exit code of one that ended before anything was under way, else None."""

    pid: int
    log: Path
    code: int | None


def start(command: Sequence[str], store: Store) -> Started:
    """Run an `exc submit` command in the background and wait until it is under way, or has ended.

    Raises OSError where the log cannot be written. Ctrl-C while waiting asks it to stop, and is passed on.
    """
    folder = store.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.log"
    reader, writer = os.pipe()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "exc", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, VARIABLE: f"{writer}:{log}"},
            start_new_session=True,  # a terminal that hangs up does not reach it
            pass_fds=(writer,),
        )
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read(len(_MARK))
        return Started(process.pid, log, None if said == _MARK else process.wait())
    except KeyboardInterrupt:
        process.terminate()
        return Started(process.pid, log, process.wait() or EXIT_INTERRUPTED)


def background() -> Background | None:
    """What the process was told at its start; None for a submit in the foreground. Ask once."""
    number, _, log = os.environ.pop(VARIABLE, "").partition(":")
    if not number.isdigit():
        return None
    descriptor = int(number)
    os.set_inheritable(descriptor, False)

    def under_way() -> None:
        with suppress(OSError):  # nobody waits any more
            os.write(descriptor, _MARK)
            os.close(descriptor)

    return Background(log, under_way)
