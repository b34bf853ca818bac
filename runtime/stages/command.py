"""A person's own command that makes a model."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exc.runtime.context import JobContext, JobFailed, Stopped
from exc.runtime.failures import class_in_words
from exc.runtime.memory import oom_kills, oom_since
from exc.runtime.stages.model_folder import BadModel, copy_tokenizer, read_config, read_tensors

POLL_S = 0.2  # how long a request to stop may go unseen
GRACE_S = 30.0  # between SIGTERM and SIGKILL
TOLD_S = 2.0  # how much later this process may learn of a signal that its command has died of
TAIL_BYTES = 16_384  # of the output, kept for the message of a failure
TAIL_LINES = 20


def run(ctx: JobContext) -> None:
    """Run `run` with `bash -eo pipefail` in the spec's folder and publish the model that it leaves.

    The command sees EXC_INPUT_<ROLE> (folders of its inputs), EXC_OUTPUT (an empty folder to write to),
    EXC_SEED, EXC_CONFIG (a JSON file), and EXC_WORK (a folder that outlives an attempt). Under EXC_OUTPUT the
    folder that `leaves` names must then hold config.json and safetensors; a tokenizer is taken from the input
    model unless one is there.
    What it starts ends with the job, kill -9 of the job included, unless it leaves its process group.
    Raises JobFailed("command") when it exits with another code than 0 or leaves no such model; "disk" or
    "out-of-memory" when that is what it died of.
    """
    output = _new_output(ctx.work)
    model = (output / str(ctx.config["leaves"])).resolve()
    if not model.is_relative_to(output.resolve()):
        raise JobFailed("config", f"leaves: `{ctx.config['leaves']}` is not a folder under $EXC_OUTPUT")
    try:
        run_shell(ctx, str(ctx.config["run"]), _environment(ctx, output))
    except JobFailed as error:
        if error.kind == "disk":  # what filled it must not hold up the jobs that would fit
            shutil.rmtree(output, ignore_errors=True)
        raise
    _check_model(ctx, model)

    def write(folder: Path) -> None:
        # A copy, because what the command left may hold links to its inputs.
        shutil.copytree(model, folder / "model")
        donor = ctx.inputs.get("model")
        if donor is not None and not (model / "tokenizer_config.json").is_file():
            copy_tokenizer(donor, folder / "model")

    ctx.publish(write)
    shutil.rmtree(output, ignore_errors=True)


def _new_output(work: Path) -> Path:
    """Make an empty folder of a name never used, and remove what earlier attempts left.

    What left the process group of a job that was killed must not write among what the next one leaves.
    """
    work.mkdir(parents=True, exist_ok=True)
    for older in work.glob("output*"):
        shutil.rmtree(older, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix="output-", dir=work))


def _environment(ctx: JobContext, output: Path) -> dict[str, str]:
    config = ctx.work / "config.json"
    config.write_text(json.dumps(dict(ctx.config), indent=1) + "\n", encoding="utf-8")
    scratch = ctx.work / "scratch"
    scratch.mkdir(exist_ok=True)
    roles = {role: "".join(c if c.isalnum() else "_" for c in role).upper() for role in ctx.inputs}
    return {
        **os.environ,
        **{f"EXC_INPUT_{roles[role]}": str(path) for role, path in ctx.inputs.items()},
        "EXC_OUTPUT": str(output),
        "EXC_SEED": str(ctx.config.get("seed", 0)),
        "EXC_CONFIG": str(config),
        "EXC_WORK": str(scratch),
    }


def run_shell(ctx: JobContext, line: str, environment: dict[str, str]) -> None:
    """Run a shell line to its end in the spec's folder, passing its output on as it comes.

    Raises Stopped when the job was asked to, and JobFailed for what the line died of.
    """
    oom_before = oom_kills()
    guardian = Guardian()
    process = subprocess.Popen(
        ["bash", "-eo", "pipefail", "-c", line],
        cwd=ctx.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=guardian.group,  # which can be signalled as a whole
    )
    output = _Output(process)
    kill_at: float | None = None
    try:
        # A shell ends at once on SIGTERM, and what it waited for may still be saving.
        while process.poll() is None or (kill_at is not None and _group_runs(guardian.group)):
            output.forward(POLL_S)
            if kill_at is None and ctx.should_stop():
                guardian.signal_group(signal.SIGTERM)
                kill_at = time.monotonic() + GRACE_S
            if kill_at is not None and time.monotonic() > kill_at:
                guardian.signal_group(signal.SIGKILL)
    finally:
        # What it left behind in the background must not outlive it, nor hold the pipe open.
        guardian.close()
        process.wait()
        while output.forward(0.0):
            pass
        output.close()
    if kill_at is not None or _told_too(ctx, process.returncode):
        raise Stopped
    if process.returncode != 0:
        raise _failure(process.returncode, oom_since(oom_before), output)


def _told_too(ctx: JobContext, code: int) -> bool:
    """Whether a command died of a request to stop that was for all of the job: SLURM tells each process."""
    told = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
    if code not in {sign for number in told for sign in (-number, 128 + number)}:
        return False
    until = time.monotonic() + TOLD_S
    while not ctx.should_stop() and time.monotonic() < until:
        time.sleep(POLL_S)
    return ctx.should_stop()


def _failure(code: int, oom: str | None, output: _Output) -> JobFailed:
    """What a command died of: as the kernel or its own last words have it."""
    said = f"the command {_how_it_ended(code)}"
    if oom is not None and code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return JobFailed("out-of-memory", f"{said}: {oom}{output.tail()}")
    kind = "disk" if code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ) else class_in_words(output.last_words())
    return JobFailed(kind or "command", f"{said}{output.tail()}")


class Guardian:
    """A shell that leads the process group of a command, and ends the group when this process is gone.

    It waits at a pipe whose other end only this process holds, so that kill -9 of it is noticed, too. The
    command joins the group after it, and no moment is left in which nobody watches.
    """

    def __init__(self) -> None:
        theirs, self._ours = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", 'trap "" TERM INT HUP USR1 USR2; read -r _; kill -s KILL 0'],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        finally:
            os.close(theirs)
        self.group = self._process.pid

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(self.group, number)

    def close(self) -> None:
        """Kill all that is left of the group, and the guardian."""
        self.signal_group(signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)


def _group_runs(leader: int) -> bool:
    """Whether a process of the group still runs, its leader aside; one that waits to be reaped does not."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        if path.parent.name == str(leader):
            continue
        try:
            state, _, group = path.read_bytes().rpartition(b") ")[2].split()[:3]
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        if int(group) == leader and state not in (b"Z", b"X"):
            return True
    return False


def _how_it_ended(code: int) -> str:
    if code > 0:
        return f"exited with {code}"
    return f"was killed by {signal.Signals(-code).name}"


class _Output:
    """Passes a process's output on to this one's and keeps the end of it; never more than that in memory."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.pipe = process.stdout
        self.kept = b""
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")  # chunks may split a character
        self.open = True

    def forward(self, wait_s: float) -> bool:
        """Pass on what is there, waiting up to `wait_s` seconds for it; say whether there was something."""
        if not self.open:
            time.sleep(wait_s)
            return False
        ready, _, _ = select.select([self.pipe], [], [], wait_s)
        if not ready:
            return False
        chunk = os.read(self.pipe.fileno(), 1 << 16)
        self.open = bool(chunk)
        self.kept = (self.kept + chunk)[-TAIL_BYTES:]
        with contextlib.suppress(OSError):  # the log lies on a full disk, which may not be the command's
            sys.stdout.write(self.decoder.decode(chunk, final=not chunk))
            sys.stdout.flush()
        return bool(chunk)

    def tail(self) -> str:
        lines = self.kept.decode(errors="replace").splitlines()[-TAIL_LINES:]
        return "\nits last lines:\n" + "\n".join(lines) if lines else " and printed nothing"

    def last_words(self) -> str:
        """The last lines that it wrote, in which a program says why it ends."""
        return "\n".join(self.kept.decode(errors="replace").splitlines()[-3:])

    def close(self) -> None:
        self.pipe.close()


def _check_model(ctx: JobContext, model: Path) -> None:
    leaves = ctx.config["leaves"]
    if not model.is_dir():
        raise JobFailed("command", f"the command left no folder `{leaves}` under $EXC_OUTPUT")
    try:
        read_config(model)
        read_tensors(model)
    except BadModel as error:
        raise JobFailed("command", f"what the command left is no model: {error}") from error
