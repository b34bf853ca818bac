"""Stands between a scheduler and the processes of a job on one node: `python -m exc.runtime.relay ARGUMENTS`.

It runs this Python with the arguments, which start a launcher of processes (`-m accelerate.commands.launch`),
and passes the signals that ask a job to stop on to those processes. The launcher itself is kept from them: it
would end at once, or end its processes long before they have saved.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

from exc.runtime.stopping import LIFELINE, SIGNALS, follow_submitter

EXIT_FILE = (
    "EXC_EXIT_FILE"  # where a node's first process leaves its exit code, which launchers do not pass on
)
RELAY = "EXC_RELAY"  # its process id
# torch's launcher takes over signals that it was started to ignore, save where this says otherwise.
_PR_SET_PDEATHSIG = 1
_LAUNCHER_LISTENS = {"TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGQUIT"}


def main(arguments: list[str] | None = None) -> int:
    """The exit code of the node's first process; that of the launcher where it left none."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        print("usage: python -m exc.runtime.relay ARGUMENTS-OF-PYTHON", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="exc-") as folder:
        left = Path(folder) / "exit"
        environment = {**os.environ, **_LAUNCHER_LISTENS, EXIT_FILE: str(left), RELAY: str(os.getpid())}
        environment.pop(LIFELINE, None)  # this process watches it for all
        launcher = _start([sys.executable, "-P", *given], environment)
        code = launcher.wait()
        return _left(left, code)


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the launcher with the signals ignored, which it hands down; jobs listen of their own accord."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    launcher = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        for pid in workers_of(launcher.pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    for number in SIGNALS:
        signal.signal(number, pass_on)
    follow_submitter()
    return launcher


def die_with_parent() -> None:
    """Have the kernel end this process when the one that started it is gone."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def workers_of(launcher: int) -> Iterator[int]:
    """The processes of the job on this node: children of the launcher, or of what it runs in."""
    import psutil  # here: until a signal comes, nothing needs it

    try:
        below = psutil.Process(launcher).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for process in below:
        with suppress(psutil.Error):
            if "RANK" in process.environ() and _is_job(process.cmdline()):
                yield process.pid


def _is_job(command: list[str]) -> bool:
    return "exc.runtime.job" in command and "exc.runtime.relay" not in command and _LAUNCH not in command


_LAUNCH = "accelerate.commands.launch"


def is_gone() -> bool:
    """Whether the relay that this process was started below has ended, and with it the launcher between."""
    relay = os.environ.get(RELAY, "")
    if not relay.isdigit():
        return False
    try:
        text = Path(f"/proc/{relay}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in ("Z", "X")  # ended, and nobody has taken notice of it yet


def leave_code(code: int) -> None:
    """Leave the exit code of a node's first process for the relay above it, if there is one."""
    path = os.environ.get(EXIT_FILE)
    if path and os.environ.get("LOCAL_RANK", "0") == "0":
        with suppress(OSError):
            Path(path).write_text(str(code), encoding="utf-8")


def _left(path: Path, code: int) -> int:
    """What the first process left, unless that is success where the launcher saw a failure."""
    try:
        left = int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        left = 0
    if left or code == 0:
        return left
    return code if code > 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
