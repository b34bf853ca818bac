"""sacct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.slurm.fake.listing import Row, named, rows, shown_id, user, wanted
from tests.slurm.fake.options import Unrecognized, parsed
from tests.slurm.fake.reply import Reply
from tests.slurm.fake.state import Job, State
from tests.slurm.fake.texts import hostlist, moment, span, stamp

VALUED = (
    "format/o jobs/j starttime/S endtime/E state/s name user/u partition/r account/A cluster/M nodelist/N"
)
FLAGS = "noheader/n parsable2/P parsable/p allocations/X duplicates/D allusers/a completion/c long/l array"
NAMES = (
    "JobID JobIDRaw JobName State ExitCode DerivedExitCode NodeList Start End Submit Eligible Elapsed "
    "ElapsedRaw Partition Account QOS Reason Comment WorkDir Cluster NNodes NCPUS AllocCPUS Timelimit User"
)
FIELDS = {name.lower(): name for name in NAMES.split()}


@dataclass
class Record:
    """A run as accounting has it by now."""

    row: Row
    state: str
    exit_code: str
    hosts: list[str]
    started: float
    ended: float
    by: int = -1
    step: str = ""

    @property
    def job(self) -> Job:
        return self.row[0]


def sacct(state: State, argv: Sequence[str]) -> Reply:
    try:
        options, _ = parsed(argv, VALUED, FLAGS)
    except Unrecognized as error:
        return Reply(err=f'sacct: {error}\nTry "sacct --help" for more information', code=1)
    if not state.settings.accounting:
        return Reply(err="Slurm accounting storage is disabled", code=1)
    usual = "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode"
    names = [name.partition("%")[0].lower() for name in options.get("format", usual).split(",")]
    for name in names:
        if name not in FIELDS:
            return Reply(err=f'sacct: error: Invalid field requested: "{name.capitalize()}"', code=1)
    records = _records(state, options)
    lines = [[_value(state, record, name) for name in names] for record in records]
    if "noheader" not in options:
        lines.insert(0, [FIELDS[name] for name in names])
    if "parsable2" in options or "parsable" in options:
        end = "|" if "parsable" in options else ""
        return Reply("\n".join("|".join(line) + end for line in lines))
    return Reply("\n".join(" ".join(word[:12].rjust(12) for word in line) for line in lines))


def _records(state: State, options: dict[str, str]) -> list[Record]:
    jobs = [job for job in state.jobs.values() if not job.vanished]
    if "jobs" in options:
        ids = wanted(options["jobs"])
        jobs = [job for job in jobs if named(job, ids)]
    if "name" in options:
        jobs = [job for job in jobs if job.name in options["name"].split(",")]
    if "user" in options and user() not in options["user"].split(","):
        jobs = []
    now = state.now()
    start = _start(options, now)
    end = moment(options.get("endtime", "now"), now)
    found: list[Record] = []
    for row in rows(jobs, alone=False):
        found += _of_row(state, row, "duplicates" in options)
    found = [one for one in found if one.job.submitted <= end and (not one.ended or one.ended >= start)]
    if "state" in options:
        wished = {word.strip().upper() for word in options["state"].split(",")}
        found = [one for one in found if one.state in wished or one.state[:2] in wished]
    return found if "allocations" in options else [part for one in found for part in _with_steps(one)]


def _start(options: dict[str, str], now: float) -> float:
    """Without a time: all that was, for given jobs; else today, or for given states this moment."""
    if "starttime" in options:
        return moment(options["starttime"], now)
    if "jobs" in options:
        return now if "state" in options else 0.0
    return now if "state" in options else moment("midnight", now)


def _of_row(state: State, row: Row, duplicates: bool) -> list[Record]:
    job = row[0]
    seen = [entry for entry in job.log if entry[0] <= state.now() - state.settings.lag]
    if not seen:
        return []
    earlier = [
        Record(row, run["state"], run["exit_code"], run["hosts"], run["started"], run["ended"], run["by"])
        for run in job.earlier
    ]
    late = seen[-1] != job.log[-1]
    known = seen[-1][1]
    ended = 0.0 if late and known in ("PENDING", "RUNNING") else job.ended
    code = "0:0" if late else job.exit_code
    hosts = [] if known == "PENDING" else job.hosts
    last = Record(row, known, code, hosts, 0.0 if known == "PENDING" else job.started, ended, job.by)
    return [*earlier, last] if duplicates else [last]


def _with_steps(record: Record) -> list[Record]:
    if not record.started:
        return [record]
    state = record.state if record.state != "TIMEOUT" else "CANCELLED"
    step = Record(record.row, state, record.exit_code, record.hosts, record.started, record.ended)
    step.step = "batch"
    return [record, step]


def _value(state: State, record: Record, name: str) -> str:
    job = record.job
    suffix = f".{record.step}" if record.step else ""
    elapsed = (record.ended or state.now()) - record.started if record.started else 0.0
    values = {
        "jobid": shown_id(record.row, alone=False) + suffix,
        "jobidraw": f"{job.own}{suffix}",
        "jobname": record.step or job.name,
        "state": record.state + (f" by {record.by}" if record.by >= 0 and not record.step else ""),
        "exitcode": record.exit_code,
        "derivedexitcode": "" if record.step else record.exit_code,
        "nodelist": hostlist(record.hosts) or "None assigned",
        "start": stamp(record.started, "None" if record.ended else "Unknown"),
        "end": stamp(record.ended, "Unknown"),
        "submit": stamp(job.submitted, "Unknown"),
        "eligible": stamp(job.submitted, "Unknown"),
        "elapsed": span(elapsed, wide=True),
        "elapsedraw": str(int(elapsed)),
        "partition": "" if record.step else job.partition,
        "account": job.account,
        "qos": "" if record.step else job.qos,
        "reason": job.reason,
        "comment": "" if job.comment == "(null)" else job.comment,
        "workdir": "" if record.step else job.workdir,
        "cluster": "fake",
        "nnodes": str(job.nodes),
        "ncpus": str(job.cpus * job.nodes),
        "alloccpus": str(job.cpus * job.nodes if record.started else 0),
        "timelimit": "" if record.step else span(job.limit, wide=True) if job.limit else "UNLIMITED",
        "user": "" if record.step else user(),
    }
    return values[name]
