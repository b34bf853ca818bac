"""scancel and scontrol."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.slurm.fake import dependencies, runner
from tests.slurm.fake.listing import named, user, wanted
from tests.slurm.fake.options import Unrecognized, parsed
from tests.slurm.fake.reply import Reply
from tests.slurm.fake.schedule import TIERS, again, order
from tests.slurm.fake.state import CANCELLED, PENDING, RUNNING, Job, State
from tests.slurm.fake.texts import hostlist, hosts, seconds, span, stamp

INVALID = "Invalid job id specified"
ENDED = "Job has already finished"


def scancel(state: State, argv: Sequence[str]) -> Reply:
    try:
        options, words = parsed(
            argv,
            "name/n jobname signal/s state/t user/u partition/p account/A qos/q nodelist/w",
            "batch/b full/f quiet/Q verbose/v me hurry/H interactive/i",
        )
    except Unrecognized as error:
        return Reply(err=f'scancel: {error}\nTry "scancel --help" for more information', code=1)
    if not words and not options:
        return Reply(err="scancel: error: No job identification provided", code=1)
    jobs = [job for job in state.known() if job.live]
    missing: list[str] = []
    if words:
        try:
            ids = wanted(",".join(words))
        except ValueError as error:
            return Reply(err=f"scancel: error: Invalid job id {error}", code=1)
        jobs = [job for job in jobs if named(job, ids)]
        missing = [word for word in words if not any(named(job, wanted(word)) for job in state.known())]
    jobs = [job for job in jobs if _chosen(job, options)]
    if "signal" in options and options["signal"].removeprefix("SIG") not in ("KILL", "TERM"):
        for job in jobs:
            if job.state == RUNNING:
                _signal(state, job, options)
    else:
        _cancel(state, jobs)
    if missing and "signal" in options:
        lines = [f"scancel: error: Kill job error on job id {word}: {INVALID}" for word in missing]
        return Reply(err="\n".join(lines), code=1)
    return Reply()


def _chosen(job: Job, options: dict[str, str]) -> bool:
    name = options.get("name") or options.get("jobname")
    return (
        (not name or job.name in name.split(","))
        and job.state.startswith(options.get("state", "").upper())
        and options.get("partition", job.partition) == job.partition
        and options.get("user", user()) == user()
    )


def _signal(state: State, job: Job, options: dict[str, str]) -> None:
    batch, full = "batch" in options, "full" in options
    if batch or full:
        runner.send(state.folder, job, options["signal"], batch=True, steps=False)
    if not batch:
        runner.send(state.folder, job, options["signal"], batch=False)


def _cancel(state: State, jobs: Sequence[Job]) -> None:
    going = {job.key for job in jobs}
    for job in jobs:
        job.by = os.getuid()
        if job.state == RUNNING:
            order(state, job, state=CANCELLED)
            continue
        job.become(CANCELLED, state.now(), job.reason)
        left = [other for other in state.known() if other.array == job.array and not other.id and other.live]
        unstarted = bool(job.array) and not job.id
        job.vanished = unstarted and any(other.key not in going for other in left)


def scontrol(state: State, argv: Sequence[str]) -> Reply:
    options, words = parsed(argv, "", "oneliner/o details/d all/a quiet/Q version/V")
    if "version" in options:
        return Reply("slurm-wlm 22.05.8")
    match words:
        case ["show", "hostnames" | "hostname", *rest]:
            return Reply("\n".join(hosts(",".join(rest) or os.environ.get("SLURM_JOB_NODELIST", ""))))
        case ["show", "hostlist", *rest]:
            return Reply(hostlist(",".join(rest).split(",")))
        case ["show", "config"]:
            return Reply(_config(state))
        case ["show", "job", *ids]:
            return _show(state, ids)
        case ["show", "partition", *_]:
            return Reply("\n\n".join(_partition(state, name) for name in TIERS))
        case ["ping"]:
            return Reply("Slurmctld(primary) at localhost is UP")
        case ["update", *pairs]:
            return _update(state, pairs)
        case [verb, *ids] if verb in ("hold", "uhold", "release", "requeue", "requeuehold"):
            replies = [_change(state, verb, one) for word in ids for one in word.split(",")]
            text = "\n".join(reply.err for reply in replies if reply.err)
            return Reply(err=text, code=max(reply.code for reply in replies))
    return Reply(err=f"invalid keyword: {' '.join(words)}", code=1)


def _change(state: State, verb: str, word: str) -> Reply:
    jobs = [job for job in state.known() if named(job, wanted(word))]
    suspend = "\nslurm_suspend error: " if verb in ("hold", "uhold", "release") else ""
    if not jobs:
        return Reply(err=f"{INVALID} for job {word}" + (suspend and suspend + INVALID), code=1)
    if verb == "hold" and not any(job.live for job in jobs):
        return Reply(err=f"{ENDED} for job {word}{suspend}{ENDED}", code=1)
    for job in jobs:
        if verb in ("hold", "uhold", "release"):
            if job.state == PENDING or job.state in ("REQUEUE_HOLD", "SPECIAL_EXIT"):
                job.held = verb != "release"
                job.reason = "JobHeldUser" if job.held else "None"
                job.state = PENDING
        else:
            job.held = verb == "requeuehold"
            if job.state == RUNNING:
                order(state, job, state="REQUEUED", requeue=True)
            elif not job.live:
                again(state, job)
    return Reply()


def _update(state: State, pairs: Sequence[str]) -> Reply:
    values = {key.lower(): value for key, _, value in (pair.partition("=") for pair in pairs)}
    if "jobid" not in values and "nodename" in values:
        for name in hosts(values["nodename"]):
            down = values.get("state", "").lower() in ("down", "drain")
            state.down = sorted({*state.down, name} if down else {*state.down} - {name})
        return Reply()
    word = values.pop("jobid", values.pop("job", ""))
    jobs = [job for job in state.known() if named(job, wanted(word))]
    if not jobs or not any(job.live for job in jobs):
        return Reply(err=f"{ENDED if jobs else INVALID} for job {word}", code=1)
    for job in jobs:
        for key, value in values.items():
            try:
                _set(state, job, key, value)
            except ValueError:
                return Reply(err=f"Job dependency problem for job {word}", code=1)
            except KeyError:
                return Reply(err=f"Update of this parameter is not supported: {key}={value}", code=1)
    return Reply()


def _set(state: State, job: Job, key: str, value: str) -> None:
    match key:
        case "dependency":
            job.needs, job.either = dependencies.parsed(state, value)
            job.never, job.failed_need = False, ""
        case "excnodelist":
            job.exclude = hosts(value)
        case "reqnodelist" | "nodelist":
            job.nodelist = hosts(value)
        case "comment":
            job.comment = value
        case "jobname" | "name":
            job.name = value
        case "partition":
            job.partition = value
        case "timelimit":
            job.limit = seconds(value)
        case "arraytaskthrottle":
            job.throttle = int(value)
        case "requeue":
            job.requeue = value == "1"
        case "starttime" | "priority" | "nice":
            job.begin = 0.0
        case _:
            raise KeyError(key)


def _config(state: State) -> str:
    values = {
        "AccountingStorageType": "accounting_storage/"
        + ("slurmdbd" if state.settings.accounting else "none"),
        "ClusterName": "fake",
        "JobRequeue": "1",
        "KillWait": f"{state.settings.kill_wait:g} sec",
        "MaxArraySize": str(state.settings.max_array_size),
        "MaxJobCount": "10000",
        "MinJobAge": f"{state.settings.min_job_age:g} sec",
        "PreemptMode": "REQUEUE",
        "PreemptType": "preempt/partition_prio",
        "SLURM_VERSION": "22.05.8",
    }
    lines = [f"{key:<23} = {value}" for key, value in values.items()]
    return f"Configuration data as of {stamp(state.now(), '')}\n" + "\n".join(lines)


def _partition(state: State, name: str) -> str:
    nodes = hostlist([f"n{number + 1}" for number in range(state.settings.nodes)])
    default = "YES" if name == "main" else "NO"
    return f"PartitionName={name}\n   Default={default}\n   MaxTime=UNLIMITED Nodes={nodes}"


def _show(state: State, ids: Sequence[str]) -> Reply:
    jobs = [job for job in state.known() if not ids or any(named(job, wanted(word)) for word in ids)]
    if ids and not jobs:
        return Reply(err=f"slurm_load_jobs error: {INVALID}", code=1)
    return Reply("\n\n".join(_shown(state, job) for job in jobs) + "\n")


def _shown(state: State, job: Job) -> str:
    array = f" ArrayJobId={job.array} ArrayTaskId={job.task}" if job.array else ""
    elapsed = (job.ended or state.now()) - job.started if job.started else 0.0
    limit = span(job.limit, wide=True) if job.limit else "UNLIMITED"
    lines = [
        f"JobId={job.own}{array} JobName={job.name}",
        f"UserId={user()}({os.getuid()})",
        f"Priority={0 if job.held else 1} Account={job.account} QOS={job.qos}",
        f"JobState={job.state} Reason={job.reason} Dependency={dependencies.described(job)}",
        f"Requeue={int(job.requeue)} Restarts={job.restarts} BatchFlag=1 Reboot=0 ExitCode={job.exit_code}",
        f"RunTime={span(elapsed, wide=True)} TimeLimit={limit}",
        f"SubmitTime={stamp(job.submitted, 'Unknown')} StartTime={stamp(job.started, 'Unknown')}"
        f" EndTime={stamp(job.ended, 'Unknown')}",
        f"Partition={job.partition} ExcNodeList={hostlist(job.exclude) or '(null)'}",
        f"NodeList={hostlist(job.hosts)} NumNodes={job.nodes} NumCPUs={job.cpus * job.nodes}",
        f"Command={job.command or '(null)'}",
        f"WorkDir={job.workdir}",
        f"StdErr={Path(job.workdir, runner.pattern(job.error or job.output, job))}",
        f"StdOut={Path(job.workdir, runner.pattern(job.output, job))}",
        f"Comment={job.comment}",
    ]
    return "\n   ".join(lines)
