"""A fork server: imports what jobs need once, then forks a ready process for each job.

`python -m exc.runtime.zygote SOCKET-DESCRIPTOR` serves one submitter over a socket pair, one JSON packet a
message. It is told what to import, answers `ready`, and then answers each request for a job with the child's
pid and a descriptor that becomes readable when the child ends. When the submitter is gone, so is it.

It runs no tensor operation and has one thread: a thread pool of OpenMP does not survive a fork. A child is
what a new process would be: a session, signals, random state, environment and threads of its own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from exc.runtime.environment import OFFLINE, THREADS, fresh_randomness
from exc.runtime.failures import EXIT_DISK, is_disk
from exc.runtime.stopping import leave

MAX_PACKET = 1 << 16  # bytes


def main() -> int:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    os.environ.update(OFFLINE, PYTORCH_NVML_BASED_CUDA_CHECK="1", **dict.fromkeys(THREADS, "1"))
    hello = _receive(channel)
    if hello is None:
        return 0
    _prepare(hello)
    _send(channel, {"ready": True})
    _serve(channel)
    os._exit(0)  # there is nothing to tidy up


def _prepare(hello: dict[str, Any]) -> None:
    from exc.compiler.plan import read_plan
    from exc.runtime import job
    from exc.runtime.preload import preload

    _State.plan = read_plan(Path(hello["plan"]))
    _State.run_job = job.run_job
    preload(["exc.compiler.identity", "exc.runtime.execution", *hello["modules"]])
    if _touched_cuda():
        # A child could not use a GPU, or choose its own: scripts do the work.
        sys.exit("a module that jobs need has touched the GPU while it was imported")
    # What is there now will be there for good: children need not look at it, nor copy its pages.
    gc.collect()
    gc.freeze()


def _touched_cuda() -> bool:
    """Whether something in this process has asked CUDA, be it for the number of GPUs: a child knows."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(torch.cuda._is_in_bad_fork())
    return os.waitpid(pid, 0)[1] != 0


class _State:
    """What children inherit. Set once, before the first fork."""

    plan: Any
    run_job: Any


def _serve(channel: socket.socket) -> None:
    """Fork on request and tell of the ends of children, until the submitter is gone."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        readable, _, _ = select.select([channel.fileno(), reader], [], [])
        if reader in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(reader, 1024)
            _reap(channel)
        if channel.fileno() in readable:
            request = _receive(channel)
            if request is None:
                return
            _fork(channel, request, (reader, writer))


def _reap(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with contextlib.suppress(OSError):  # the submitter may be gone; the next read tells
            _send(channel, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _fork(channel: socket.socket, request: dict[str, Any], own: tuple[int, int]) -> None:
    started, starting = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(started)
        channel.close()
        signal.set_wakeup_fd(-1)
        for descriptor in own:
            os.close(descriptor)
        _child(request, starting)
    os.close(starting)
    os.read(started, 1)  # ends when the child leads its session, from when it can be signalled as a group
    os.close(started)
    descriptor = os.pidfd_open(pid)
    try:
        socket.send_fds(channel, [json.dumps({"forked": pid}).encode()], [descriptor])
    finally:
        os.close(descriptor)


def _child(request: dict[str, Any], starting: int) -> None:
    """Become the job's process. Never returns."""
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(starting)
        _take_place(request)
        fresh_randomness()
        from exc.runtime.store import Store

        code = _State.run_job(
            _State.plan, request["job"], Store(Path(request["store"])), Path(request["root"])
        )
    except OSError as error:
        code = EXIT_DISK if is_disk(error) else 1
        traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def _take_place(request: dict[str, Any]) -> None:
    """Output, folder and environment as a script would have them."""
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.chdir(request["root"])
    for name in THREADS:  # the server's own; the job sets what it is planned with
        os.environ.pop(name, None)
    os.environ.update(request["environment"])


def _receive(channel: socket.socket) -> dict[str, Any] | None:
    """The next message; None when the other end is gone."""
    packet = channel.recv(MAX_PACKET)
    return json.loads(packet) if packet else None


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.send(json.dumps(message).encode())


if __name__ == "__main__":
    sys.exit(main())
