"""squeue and sacct."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Sequence

from tests.slurm.fake.dependencies import described
from tests.slurm.fake.options import Unrecognized, parsed
from tests.slurm.fake.reply import Reply
from tests.slurm.fake.state import LIVE, PENDING, Job, State
from tests.slurm.fake.texts import hostlist, hosts, numbers, ranges, span, stamp

SHORT = {
    "PENDING": "PD",
    "RUNNING": "R",
    "COMPLETING": "CG",
    "COMPLETED": "CD",
    "FAILED": "F",
    "CANCELLED": "CA",
    "TIMEOUT": "TO",
    "NODE_FAIL": "NF",
    "PREEMPTED": "PR",
    "OUT_OF_MEMORY": "OOM",
    "SUSPENDED": "S",
    "CONFIGURING": "CF",
    "SPECIAL_EXIT": "SE",
    "REQUEUE_HOLD": "RH",
    "REVOKED": "RV",
    "BOOT_FAIL": "BF",
    "DEADLINE": "DL",
    "REQUEUED": "RQ",
}
SQUEUE_VALUED = (
    "format/o Format/O jobs/j name/n user/u states/t partition/p sort/S nodelist/w account/A qos/q"
)
SQUEUE_FLAGS = "noheader/h array/r me all/a long/l start"
USUAL = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"


def user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


Row = list[Job]  # one job, or the tasks of an array that are shown as one


def task_text(row: Row) -> str:
    """`3`, or `0-3,7%2` for tasks that are shown as one."""
    limit = f"%{row[0].throttle}" if row[0].throttle else ""
    return ranges(job.task for job in row) + limit


def shown_id(row: Row, alone: bool) -> str:
    """`12`, `12_3`, and `12_[0-3,7%2]` for tasks that have not started, unless each is shown `alone`."""
    first = row[0]
    if not first.array:
        return str(first.id)
    return f"{first.array}_{first.task}" if alone or first.id else f"{first.array}_[{task_text(row)}]"


def rows(jobs: Sequence[Job], alone: bool) -> list[Row]:
    """Tasks of an array that have not started and wait for the same are one row, unless `alone`."""
    found: dict[tuple[object, ...], Row] = {}
    for job in jobs:
        together = job.array and not job.id and not alone
        found.setdefault((job.array, job.state, job.reason) if together else (job.key,), []).append(job)
    return list(found.values())


def _elapsed(state: State, job: Job) -> float:
    return (job.ended or state.now()) - job.started if job.started else 0.0


def _fields(state: State, row: Row, alone: bool) -> dict[str, str]:
    job = row[0]
    left = job.limit - _elapsed(state, job) * state.settings.scale if job.limit else 0.0
    nodes = hostlist(job.hosts)
    where = nodes or f"({job.reason})"
    if job.state not in (PENDING, "RUNNING", "COMPLETED"):
        where = nodes or f"({job.reason})"
    return {
        "i": shown_id(row, alone),
        "A": str(job.own),
        "F": str(job.array or job.id),
        "K": ("N/A" if not job.array else str(job.task) if alone or job.id else task_text(row)),
        "t": SHORT.get(job.state, job.state[:2]),
        "T": job.state,
        "r": job.reason,
        "R": where,
        "N": nodes,
        "j": job.name,
        "P": job.partition,
        "M": span(_elapsed(state, job)),
        "l": span(job.limit) if job.limit else "UNLIMITED",
        "L": span(max(left, 0.0)) if job.limit else "UNLIMITED",
        "a": job.account,
        "u": user(),
        "U": str(os.getuid()),
        "E": described(job),
        "D": str(job.nodes),
        "C": str(job.cpus * job.nodes),
        "Q": "1",
        "q": job.qos,
        "k": job.comment,
        "V": stamp(job.submitted, "N/A"),
        "S": stamp(job.started, "N/A"),
        "e": stamp(job.ended, "N/A"),
        "B": job.hosts[0] if job.hosts else "n/a",
        "o": job.command or "(null)",
        "Z": job.workdir,
    }


LONG = {
    "jobid": "A",
    "jobarrayid": "i",
    "arrayjobid": "F",
    "arraytaskid": "K",
    "name": "j",
    "state": "T",
    "statecompact": "t",
    "reason": "r",
    "reasonlist": "R",
    "partition": "P",
    "nodelist": "N",
    "dependency": "E",
    "username": "u",
    "comment": "k",
    "timeused": "M",
    "timelimit": "l",
    "timeleft": "L",
    "submittime": "V",
    "starttime": "S",
    "workdir": "Z",
}
TITLES = {"i": "JOBID", "P": "PARTITION", "j": "NAME", "u": "USER", "t": "ST", "M": "TIME", "D": "NODES"}
TITLES |= {"R": "NODELIST(REASON)", "T": "STATE", "r": "REASON", "A": "JOBID", "F": "ARRAY_JOB_ID"}


def _filled(form: str, values: Callable[[str], str]) -> str:
    def one(match: re.Match[str]) -> str:
        right, width, letter = match.groups()
        text = values(letter)
        if not width:
            return text
        return (text.rjust if right else text.ljust)(int(width))[: int(width)]

    return re.sub(r"%(\.?)(\d*)([A-Za-z])", one, form)


def _long_form(text: str) -> str:
    """--Format as a --format: `JobID:10,State:.20`; 20 wide where nothing is said."""
    found = ""
    for part in text.split(","):
        name, _, width = part.partition(":")
        if name.strip().lower() not in LONG:
            raise Unrecognized(f"Invalid job format specification: {name}")
        digits = re.fullmatch(r"(\.?)(\d+)", width)
        found += f"%{digits[1]}{digits[2]}" if digits else "%" if width else "%20"
        found += LONG[name.strip().lower()]
    return found


def wanted(jobs: str) -> list[tuple[int, list[int]]]:
    """`12,12_3,12_[1-2]` as ids and tasks; no tasks: all. Raises ValueError."""
    found: list[tuple[int, list[int]]] = []
    for word in re.findall(r"[^,\[]+(?:\[[^\]]*\])?", jobs):
        match = re.fullmatch(r"(\d+)(?:\.\w+)?(?:_(?:\[([^\]%]+)(?:%\d+)?\]|(\d+)))?", word)
        if not match:
            raise ValueError(word)
        found.append((int(match[1]), numbers(match[2] or match[3]) if match[2] or match[3] else []))
    return found


def named(job: Job, ids: Sequence[tuple[int, list[int]]]) -> bool:
    return any(
        (number == (job.array or job.id) or (number == job.id and not tasks))
        and (not tasks or job.task in tasks)
        for number, tasks in ids
    )


def _states(text: str) -> set[str]:
    full = {short: name for name, short in SHORT.items()}
    words = {word.strip().upper() for word in text.split(",") if word}
    return {full.get(word, word) for word in words}


def squeue(state: State, argv: Sequence[str]) -> Reply:
    try:
        options, _ = parsed(argv, SQUEUE_VALUED, SQUEUE_FLAGS)
        form = _long_form(options["Format"]) if "Format" in options else options.get("format", USUAL)
    except Unrecognized as error:
        return Reply(err=f'squeue: {error}\nTry "squeue --help" for more information', code=1)
    jobs = list(state.known())
    if "jobs" in options:
        ids = wanted(options["jobs"])
        jobs = [job for job in jobs if named(job, ids)]
        if not jobs and len(ids) == 1:
            return Reply(err="slurm_load_jobs error: Invalid job id specified", code=1)
    states = _states(options.get("states", ""))
    if "ALL" not in states:
        jobs = [job for job in jobs if (job.state in states if states else job.state in LIVE)]
    if "name" in options:
        jobs = [job for job in jobs if job.name in options["name"].split(",")]
    if "partition" in options:
        jobs = [job for job in jobs if job.partition in options["partition"].split(",")]
    if "nodelist" in options:
        jobs = [job for job in jobs if set(job.hosts) & set(hosts(options["nodelist"]))]
    if "user" in options and user() not in options["user"].split(","):
        jobs = []
    jobs.sort(key=lambda job: (SHORT.get(job.state, "") != "PD", job.own, job.task))
    alone = "array" in options
    fields = [_fields(state, row, alone) for row in rows(jobs, alone)]
    lines = [_filled(form, lambda letter, row=row: row.get(letter, "")) for row in fields]  # type: ignore[misc]
    if "noheader" not in options:
        lines.insert(0, _filled(form, lambda letter: TITLES.get(letter, letter)))
    return Reply("\n".join(lines))
