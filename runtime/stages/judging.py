"""Many completions judged by one verifier, within a time limit for each call.

A person's verifier may loop for ever, in Python or in C, and take the whole interpreter with it. It is
therefore called in a process of its own, which is killed and replaced when a call takes too long.
"""

from __future__ import annotations

import os
import pickle
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from exc.runtime.context import JobFailed, Stopped
from exc.runtime.failures import unexplained
from exc.runtime.memory import oom_kills, oom_since
from exc.runtime.stages.judge_worker import LENGTH, send
from exc.runtime.stages.prompts import Row
from exc.runtime.stages.verifiers import LIMITED, Verdict, Verifier, load_verifier
from exc.spec.words import cut

DEFAULT_TIMEOUT_S = 60.0
_LOADING_S = 300.0  # the least time for the import of a person's module
_TRACE_S = 1.0  # for a worker that hangs to say where, or more of it
_LOOK_S = 0.5  # how long a request to stop may go unseen
_HOPELESS = 8  # calls that all took too long or ended the worker, with none before them that returned
_SHOWN = 60  # characters of a completion in a message

Call = tuple[str, Row]


class Judge:
    """Judges completions in order. Use it as a context manager: it may hold a process."""

    def judge(self, calls: Sequence[Call]) -> list[Verdict]:
        """The verdict on each call. Raises JobFailed when the verifier cannot be loaded or never returns."""
        raise NotImplementedError

    def close(self) -> None:
        """End what it holds."""

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PlainJudge(Judge):
    """Calls a verifier here: for those that always return."""

    def __init__(self, verify: Verifier) -> None:
        self._verify = verify

    def judge(self, calls: Sequence[Call]) -> list[Verdict]:
        return [self._verify(completion, row) for completion, row in calls]


def load_judge(
    config: Mapping[str, Any], root: Path, timeout_s: float, should_stop: Callable[[], bool] = lambda: False
) -> Judge:
    """The judge for a verifier's config; one that could hang is called in another process.

    `timeout_s` is for each call. Raises JobFailed("verifier") if it cannot be loaded. Where `should_stop`
    becomes true while a call is waited for, Stopped is raised.
    """
    if config["kind"] == "python" or config["kind"] in LIMITED:
        return WorkerJudge(str(config.get("target", config["kind"])), root, timeout_s, should_stop)
    return PlainJudge(load_verifier(config, root))


class WorkerJudge(Judge):
    """Calls a person's verifier in a worker, and starts another one where that ends or hangs."""

    def __init__(self, target: str, root: Path, timeout_s: float, should_stop: Callable[[], bool]) -> None:
        self._target, self._root, self._timeout_s = target, root, timeout_s
        self._should_stop = should_stop
        self._returned = False  # whether any call ever did
        self._lost = 0  # calls that took too long, or ended the worker twice
        self._worker = _Worker(target, root)
        self._worker.wait_until_loaded(max(_LOADING_S, timeout_s), should_stop)

    def judge(self, calls: Sequence[Call]) -> list[Verdict]:
        verdicts: list[Verdict] = []
        died_at = -1  # the call on which a worker died: it gets a second try, the kernel may have chosen it
        while len(verdicts) < len(calls):
            at = len(verdicts)
            fault = self._judge_some(calls[at:], verdicts)
            if fault is None:
                break
            at = len(verdicts)
            if fault == "hangs":
                verdicts.append(self._timed_out(calls[at]))
            elif died_at == at:
                verdicts.append(self._died(calls[at], fault))
            else:
                died_at = at
            self._replace()
        return verdicts

    def close(self) -> None:
        self._worker.kill()

    def _judge_some(self, calls: Sequence[Call], verdicts: list[Verdict]) -> str | None:
        """Append the verdicts on calls up to one that hangs or ends the worker; what it did, or None."""
        try:
            self._worker.send(calls)
            for _ in calls:
                verdict = self._worker.next(self._timeout_s, self._should_stop)
                if not isinstance(verdict, Verdict):
                    return "hangs"
                verdicts.append(verdict)
                self._returned = True
        except (EOFError, OSError):
            return self._worker.how_it_ended()
        return None

    def _replace(self) -> None:
        self._worker.kill()
        self._worker = _Worker(self._target, self._root)
        self._worker.wait_until_loaded(max(_LOADING_S, self._timeout_s), self._should_stop)

    def _timed_out(self, call: Call) -> Verdict:
        error = (
            f"`{self._target}` had not returned after {self._timeout_s:g} s on {_shown(call)}: "
            f"it was at {self._worker.where()}"
        )
        return self._give_up(call, error, timed_out=True)

    def _died(self, call: Call, how: str) -> Verdict:
        return self._give_up(call, f"`{self._target}` ended its process on {_shown(call)}: {how}")

    def _give_up(self, call: Call, error: str, *, timed_out: bool = False) -> Verdict:
        """The verdict on a call that did not return; raises JobFailed where none ever does."""
        self._lost += 1
        if not self._returned and self._lost >= _HOPELESS:
            raise JobFailed("verifier", f"none of its first {_HOPELESS} calls returned; the last: {error}")
        return _unverifiable(call, error, timed_out=timed_out)


def _unverifiable(call: Call, error: str, *, timed_out: bool = False) -> Verdict:
    return Verdict(call[0].strip() or None, False, False, error, timed_out)


def _shown(call: Call) -> str:
    completion, row = call
    return f"row {row.index}, completion {cut(completion, _SHOWN)!r}"


class _Worker:
    """One process of `judge_worker`, and the pipes to it."""

    def __init__(self, target: str, root: Path) -> None:
        self._target, self._root, self._place = target, root, ""
        self._oom_before = oom_kills()
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self._traces, traces = os.pipe()
        theirs = (requests, answers, traces)
        module = "exc.runtime.stages.judge_worker"
        arguments = [target, str(root), str(os.getpid()), *map(str, theirs)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments], stdin=subprocess.DEVNULL, pass_fds=theirs
            )
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._writer = os.fdopen(self._requests, "wb", buffering=0)
        self._unread = b""
        self._open = True

    def wait_until_loaded(self, limit_s: float, should_stop: Callable[[], bool]) -> None:
        try:
            message = self.next(limit_s, should_stop)
        except EOFError:
            self._fail(f"`{self._target}` cannot be imported: {self.how_it_ended()}")
        if not isinstance(message, tuple):
            self._fail(
                f"`{self._target}` had not been imported after {limit_s:g} s: it was at {self.where()}"
            )
        place, error = message
        if place is None:
            self._fail(error)
        self._place = place

    def send(self, calls: Sequence[Call]) -> None:
        send(self._writer, list(calls))

    def next(self, limit_s: float, should_stop: Callable[[], bool]) -> Any:
        """The next answer; None if there is none in time. Raises EOFError when the worker is gone."""
        deadline = time.monotonic() + limit_s
        while (answer := self._whole()) is None:
            left = deadline - time.monotonic()
            if select.select([self._answers], [], [], max(0.0, min(left, _LOOK_S)))[0]:
                if not (data := os.read(self._answers, 1 << 20)):
                    raise EOFError
                self._unread += data
            elif left <= 0:
                return None
            elif should_stop():
                self.kill()
                raise Stopped
        return answer

    def _whole(self) -> Any:
        if len(self._unread) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self._unread)[0]
        if len(self._unread) < end:
            return None
        data, self._unread = self._unread[LENGTH.size : end], self._unread[end:]
        return pickle.loads(data)

    def where(self) -> str:
        """The line of the person's code that a worker which hangs is at, or where its verifier begins."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        text = b""
        while select.select([self._traces], [], [], _TRACE_S)[0] and (data := os.read(self._traces, 1 << 16)):
            text += data
            # Frames come one by one, the innermost first, which may be a library's.
            lines = text[: text.rfind(b"\n") + 1].decode(errors="replace")
            for path, line in re.findall(r'File "([^"]+)", line (\d+)', lines):
                if Path(path).is_relative_to(self._root) and "site-packages" not in Path(path).parts:
                    return f"{Path(path).relative_to(self._root)}:{line}"
        return self._place or self._target

    def how_it_ended(self) -> str:
        """Why a worker is gone. Raises JobFailed("out-of-memory") if the kernel says that memory ran out."""
        code = self._process.wait()
        oom = oom_since(self._oom_before)
        if code == -signal.SIGKILL and oom:
            raise JobFailed("out-of-memory", f"the process of `{self._target}` was killed: {oom}")
        return unexplained(code, None).message if code < 0 else f"it exited with {code}"

    def kill(self) -> None:
        if not self._open:
            return
        self._open = False
        self._process.kill()
        self._process.wait()
        self._writer.close()
        os.close(self._answers)
        os.close(self._traces)

    def _fail(self, message: str) -> NoReturn:
        self.kill()
        raise JobFailed("verifier", message)
