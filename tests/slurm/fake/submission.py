"""sbatch."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.slurm.fake import dependencies, texts
from tests.slurm.fake.options import Unrecognized, parsed
from tests.slurm.fake.reply import Reply
from tests.slurm.fake.schedule import TIERS
from tests.slurm.fake.state import Job, State

VALUED = (
    "job-name/J output/o error/e input/i partition/p account/A qos/q time/t time-min nodes/N ntasks/n wrap "
    "tmp cpus-per-task/c ntasks-per-node mem mem-per-cpu mem-per-gpu gres gpus/G gpus-per-node gpus-per-task "
    "cpus-per-gpu constraint/C reservation exclude/x nodelist/w signal open-mode chdir/D export begin/b "
    "comment array/a dependency/d kill-on-invalid-dep wckey mail-type mail-user licenses/L gpu-bind "
    "container distribution/m switches"
)
FLAGS = (
    "parsable? test-only hold/H requeue no-requeue wait/W exclusive? nice? quiet/Q verbose/v get-user-env? "
    "overcommit/O"
)
FAILED = "sbatch: error: Batch job submission failed: "
LIMIT = (
    f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{FAILED}"
    "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
)
NO_SCRIPT = (
    "sbatch: error: This does not look like a batch script.  The first\n"
    "sbatch: error: line must start with #! followed by the path to an interpreter.\n"
    "sbatch: error: For instance: #!/bin/sh"
)


class Refused(Exception):
    """The submission's error text, and the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.text, self.code = text, code


def sbatch(state: State, argv: Sequence[str]) -> Reply:
    try:
        return _sbatch(state, argv)
    except Refused as refused:
        return Reply(err=refused.text, code=refused.code)
    except Unrecognized as error:
        return Reply(err=f'sbatch: {error}\nTry "sbatch --help" for more information', code=255)


def _sbatch(state: State, argv: Sequence[str]) -> Reply:
    given, rest = parsed(argv, VALUED, FLAGS, positional=False)
    text, command = _script(given, rest)
    options = {**_header(text), **given}
    job = _job(state, options, rest[1:])
    tasks = _tasks(state, options, job)
    if "test-only" in options:
        return _tested(state, job)
    _limits(state, len(tasks) or 1)
    number, state.next_id = state.next_id, state.next_id + 1
    _keep(state, job, number, text, command, options)
    for task in tasks or [-1]:
        one = replace(job, log=[], earlier=[], needs=list(job.needs))
        one.id, one.array, one.task, one.tasks = (0, number, task, tasks) if tasks else (number, 0, -1, [])
        one.become("PENDING", one.submitted)
        state.jobs[one.key] = one
    if "parsable" in options:
        return Reply(f"{number}")
    return Reply(f"Submitted batch job {number}")


def _script(given: Mapping[str, str], rest: Sequence[str]) -> tuple[str, str]:
    if "wrap" in given:
        return f"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{given['wrap']}\n", ""
    if not rest:
        return _batch_script(sys.stdin.read()), ""
    try:
        return _batch_script(Path(rest[0]).read_text(encoding="utf-8")), str(Path(rest[0]).absolute())
    except OSError:
        raise Refused(f"sbatch: error: Unable to open file {rest[0]}") from None


def _batch_script(text: str) -> str:
    if not text.startswith("#!"):
        raise Refused(NO_SCRIPT)
    return text


def _header(text: str) -> dict[str, str]:
    """The #SBATCH lines, which end at the first command."""
    words: list[str] = []
    for line in text.splitlines():
        if line.startswith("#SBATCH"):
            words += _words(line[7:])
        elif line.strip() and not line.startswith("#"):
            break
    return parsed(words, VALUED, FLAGS)[0]


def _words(line: str) -> list[str]:
    """As sbatch splits a line: blanks, quotes, and a comment behind ` #`."""
    line = re.sub(r"\s#.*", "", line)
    return [re.sub(r"[\"']", "", word) for word in re.findall(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+", line)]


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    match = re.match(r"\d+", options.get(name, ""))
    return int(match[0]) if match else default


def _job(state: State, options: Mapping[str, str], args: Sequence[str]) -> Job:
    job = Job(submitted=state.now(), args=list(args))
    job.name = options.get("job-name", "wrap" if "wrap" in options else "sbatch")
    job.partition = options.get("partition", "main")
    job.workdir = options.get("chdir", str(Path.cwd()))
    job.output = options.get("output", "slurm-%A_%a.out" if options.get("array") else "slurm-%j.out")
    job.error = options.get("error", "")
    job.append = options.get("open-mode") == "append"
    job.account, job.qos = options.get("account", "root"), options.get("qos", "normal")
    job.comment = options.get("comment", "(null)")
    job.nodes = _number(options, "nodes", 1)
    per_node = _number(options, "ntasks-per-node", 1)
    job.ntasks = _number(options, "ntasks", per_node * job.nodes)
    job.asked_ntasks = "ntasks" in options or "ntasks-per-node" in options
    job.cpus = -(-job.ntasks // job.nodes) * _number(options, "cpus-per-task", 1)
    gres = re.search(r"gpu(?::[a-z]\w*)?(?::(\d+))?", options.get("gres", ""))
    asked = options.get("gpus-per-node") or options.get("gpus") or ((gres[1] or "1") if gres else "0")
    job.gpus = int(asked.rpartition(":")[2])
    job.signal, job.held = options.get("signal", ""), "hold" in options
    job.requeue = "no-requeue" not in options
    job.kill_invalid = options.get("kill-on-invalid-dep") == "yes"
    job.nodelist, job.exclude = (texts.hosts(options.get(name, "")) for name in ("nodelist", "exclude"))
    job.nodes = max(job.nodes, len(job.nodelist))
    _checked(state, options, job)
    return job


def _checked(state: State, options: Mapping[str, str], job: Job) -> None:
    if job.partition not in TIERS:
        first = f"sbatch: error: invalid partition specified: {job.partition}\n"
        last = "allocation failure: " if "test-only" in options else FAILED
        raise Refused(f"{first}{last}Invalid partition name specified")
    try:
        job.limit = texts.seconds(options.get("time", "10"))
    except ValueError:
        raise Refused("sbatch: error: Invalid --time specification", 255) from None
    if "begin" in options:
        job.begin = texts.moment(options["begin"], state.now())
    try:
        job.needs, job.either = dependencies.parsed(state, options.get("dependency", ""))
    except ValueError:
        raise Refused(FAILED + "Job dependency problem") from None


def _tasks(state: State, options: Mapping[str, str], job: Job) -> list[int]:
    text, _, throttle = options.get("array", "").partition("%")
    if not text:
        return []
    try:
        tasks = texts.numbers(text)
        job.throttle = int(throttle or 0)
    except ValueError:
        raise Refused(FAILED + "Invalid job array specification") from None
    if max(tasks) >= state.settings.max_array_size:
        raise Refused(FAILED + "Invalid job array specification")
    return tasks


def _limits(state: State, count: int) -> None:
    limit = state.settings.max_submit
    if limit and sum(job.live for job in state.known()) + count > limit:
        raise Refused(LIMIT)


def _tested(state: State, job: Job) -> Reply:
    when = texts.stamp(state.now(), "")
    number, state.next_id = state.next_id, state.next_id + 1
    where = texts.hostlist([f"n{index + 1}" for index in range(job.nodes)])
    text = f"sbatch: Job {number} to start at {when} using {job.cpus * job.nodes} processors"
    return Reply(err=f"{text} on nodes {where} in partition {job.partition}")


def _keep(state: State, job: Job, number: int, text: str, command: str, options: Mapping[str, str]) -> None:
    folder = state.folder / "submitted"
    script, env = folder / f"{number}.sh", folder / f"{number}.json"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o700)
    env.write_text(json.dumps(_exported(options.get("export", "ALL"))), encoding="utf-8")
    job.script, job.environment, job.command = str(script), str(env), command


def _exported(export: str) -> dict[str, str]:
    """--export: ALL, NONE or NIL, names, and NAME=value."""
    words = export.split(",")
    everything = "ALL" in words
    kept = (
        dict(os.environ)
        if everything
        else {name: os.environ[name] for name in ("PATH", "HOME", "FAKE_SLURM")}
    )
    for word in words:
        name, given, value = word.partition("=")
        if given:
            kept[name] = value
        elif name in os.environ:
            kept[name] = os.environ[name]
    return kept
