"""A process that calls a person's verifier, started by `judging`.

It reads batches of (completion, row) and answers each call as soon as it has returned, so that the other end
sees which call does not. What that call is doing is written down on SIGUSR1, from the signal's own handler in
C, which waits for no lock of Python's.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from exc.runtime.context import JobFailed
from exc.runtime.stages.child import end_with
from exc.runtime.stages.prompts import Row

LENGTH = struct.Struct("<Q")  # before each message: its bytes


def main() -> int:
    target, root, parent, requests, answers, traces = sys.argv[1:]
    if not end_with(int(parent)):
        return 1
    _heed_no_request_to_end()
    faulthandler.register(signal.SIGUSR1, os.fdopen(int(traces), "wb"), all_threads=False)
    with os.fdopen(int(requests), "rb") as reader, os.fdopen(int(answers), "wb", buffering=0) as writer:
        _serve(target, Path(root), reader, writer)
    return 0


def _heed_no_request_to_end() -> None:
    """The job ends its verifier; what its process group is asked to do does not."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        # A function, not SIG_IGN, which what the verifier starts would inherit.
        signal.signal(number, lambda _number, _frame: None)


def _serve(target: str, root: Path, reader: BinaryIO, writer: BinaryIO) -> None:
    from exc.runtime.stages.verifiers import worker_verifier

    try:
        verify, place = worker_verifier(target, root)
    except JobFailed as error:
        send(writer, (None, str(error)))
        return
    send(writer, (place, ""))
    while (batch := receive(reader)) is not None:
        for completion, row in batch:
            send(writer, verify(completion, row))


def send(file: BinaryIO, message: object) -> None:
    data = memoryview(LENGTH.pack(len(text := pickle.dumps(message))) + text)
    while data:
        data = data[file.write(data) :]  # a pipe may take a part


def receive(file: BinaryIO) -> list[tuple[str, Row]] | None:
    """The next message; None when the other end is gone."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    data = file.read(LENGTH.unpack(head)[0])
    found: list[tuple[str, Row]] = pickle.loads(data)
    return found


if __name__ == "__main__":
    sys.exit(main())
