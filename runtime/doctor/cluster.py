"""Whether a SLURM cluster would take the jobs of a plan."""

from __future__ import annotations

import getpass
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.compiler.slurm_options import slurm_time
from exc.runtime.doctor.asking import Answer, ask, seconds, values
from exc.runtime.doctor.findings import Finding, failure, ok, warning

NEEDED = ("sbatch", "squeue", "scancel", "scontrol", "srun")
_SHORT_MEMORY_S = 60.0  # a job that is forgotten sooner may be gone before it is looked for
_NO_LIMIT = ("", "UNLIMITED", "INFINITE", "NONE", "(null)")


def check_cluster(plan: Plan | None, profile: Mapping[str, Any]) -> Iterator[Finding]:
    """The commands, the controller, its limits, and where jobs are to be queued."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        todo = "run this on a login node of the cluster, or load the module that has them"
        yield failure("commands", f"not on PATH: {', '.join(missing)}", todo)
        return
    yield ok("commands", f"{', '.join(NEEDED)} are there")
    ping = ask(["scontrol", "ping"])
    if not ping.well or "is UP" not in ping.out:
        yield failure(
            "controller", ping.complaint, "ask those who run the cluster; nothing can be queued now"
        )
        return
    yield ok("controller", "slurmctld answers")
    answer = ask(["scontrol", "show", "config"])
    if not answer.well:
        yield warning("limits", answer.complaint, "ask what MaxArraySize and MinJobAge are")
        return
    config = values(answer.out)
    yield from _limits(plan, config)
    yield from _accounting(config)
    partitions = _partitions(ask(["scontrol", "show", "partition"]))
    yield from _places(plan, profile, partitions)
    yield from _preemption(profile, config, partitions)
    yield from _account(plan, profile, config)


def _limits(plan: Plan | None, config: Mapping[str, str]) -> Iterator[Finding]:
    size = config.get("MaxArraySize", "")
    largest = max(map(len, _classes(plan).values()), default=0)
    if size.isdigit() and int(size) <= 1:
        yield failure("arrays", "this cluster takes no job arrays", "ask for MaxArraySize above 1")
    elif size.isdigit() and largest >= int(size):
        said = f"MaxArraySize is {size}, and a class has {largest} jobs"
        yield warning("arrays", said, "none: they are queued in several arrays")
    else:
        yield ok("arrays", f"MaxArraySize is {size or 'not said'}, and no class has more than {largest} jobs")
    age = seconds(config.get("MinJobAge", ""))
    if age is not None and age < _SHORT_MEMORY_S:
        yield warning(
            "memory",
            f"SLURM forgets a job {age:g} s after its end (MinJobAge)",
            "none: results count by their markers in the store; how a job died may be lost",
        )
    elif age is not None:
        yield ok("memory", f"SLURM remembers a job for {age:g} s after its end (MinJobAge)")


def _accounting(config: Mapping[str, str]) -> Iterator[Finding]:
    kind = config.get("AccountingStorageType", "")
    if "slurmdbd" not in kind:
        todo = (
            "none: states come from markers and squeue; how a job died is known only while SLURM remembers it"
        )
        yield warning("accounting", f"there is none ({kind or 'not said'})", todo)
        return
    answer = ask(["sacct", "-n", "-X", "-P", "-o", "JobID", "-S", "now-1hours"])
    if answer.well:
        yield ok("accounting", "sacct answers")
    else:
        yield warning("accounting", answer.complaint, "none: exc goes on without, and asks again")


def _partitions(answer: Answer) -> dict[str, dict[str, str]]:
    blocks = [values(block) for block in re.split(r"\n\s*\n", answer.out) if block.strip()]
    return {block["PartitionName"]: block for block in blocks if "PartitionName" in block}


def _classes(plan: Plan | None) -> dict[str, list[Job]]:
    out: dict[str, list[Job]] = {}
    for job in plan.jobs if plan is not None else ():
        out.setdefault(job.cls, []).append(job)
    return out


def _place(profile: Mapping[str, Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    return {**profile.get("slurm", {}), **resources.get("slurm", {})}


def _wanted(plan: Plan | None, profile: Mapping[str, Any], name: str) -> dict[str, list[str]]:
    """Values of one word of sbatch -> the classes that use it; of a profile alone, its own."""
    out: dict[str, list[str]] = {}
    given = {cls: jobs[0].resources for cls, jobs in _classes(plan).items()} or {"": {}}
    for cls, resources in given.items():
        value = _place(profile, resources).get(name)
        out.setdefault(value or "", []).append(cls)
    return out


def _places(
    plan: Plan | None, profile: Mapping[str, Any], partitions: Mapping[str, Mapping[str, str]]
) -> Iterator[Finding]:
    if not partitions:
        yield warning("partitions", "none is listed", "ask which partitions you may use")
        return
    default = [name for name, has in partitions.items() if has.get("Default") == "YES"]
    for said, classes in _wanted(plan, profile, "partition").items():
        for name in said.split(",") if said else default[:1]:
            if name not in partitions:
                known = ", ".join(sorted(partitions))
                yield failure("partitions", f"there is no partition `{name}`", f"use one of {known}")
                continue
            yield from _partition(plan, name, partitions[name], set(classes))
        if not said and not default:
            known = ", ".join(sorted(partitions))
            yield failure("partitions", "there is no default partition", f"say one under `slurm`: {known}")


def _partition(plan: Plan | None, name: str, has: Mapping[str, str], classes: set[str]) -> Iterator[Finding]:
    if has.get("State", "UP") != "UP":
        todo = "wait, or use another partition"
        yield failure("partitions", f"`{name}` is {has['State'].lower()}", todo)
        return
    jobs = [job for job in (plan.jobs if plan is not None else ()) if job.cls in classes]
    limit = None if has.get("MaxTime", "") in _NO_LIMIT else seconds(has["MaxTime"])
    longest = max((float(job.resources.get("time") or 0) for job in jobs), default=0.0)
    untimed = sorted({job.cls for job in jobs if not job.resources.get("time")})
    if limit is not None and longest > limit:
        said = f"`{name}` ends jobs after {has['MaxTime']}, and one is to have {slurm_time(int(longest))}"
        todo = "ask for less `time`: a job that runs out of it saves, and goes on in its next attempt"
        yield failure("partitions", said, todo)
    elif untimed and limit is not None:
        said = f"{', '.join(untimed[:3])} say no `time`, so the default of `{name}` ends them"
        yield warning("partitions", said, f"give them one, at most {has['MaxTime']}")
    else:
        yield ok("partitions", f"`{name}` is up")


def _preemption(
    profile: Mapping[str, Any],
    config: Mapping[str, str],
    partitions: Mapping[str, Mapping[str, str]],
) -> Iterator[Finding]:
    """Whether a job that must make room has the time to save."""
    if config.get("PreemptType", "preempt/none").endswith("none"):
        yield ok("preemption", "no job has to make room for another")
        return
    settings = profile.get("slurm", {})
    own = (settings.get("partition") or "").split(",")
    used = [has for name, has in partitions.items() if name in own or not own[0]]
    graces = [seconds(has["GraceTime"]) or 0.0 for has in used if "GraceTime" in has]
    mode = config.get("PreemptMode", "")
    save_s = profile.get("save_interval_s", 0)
    if "REQUEUE" in mode and not settings.get("requeue", True):
        said = "jobs that must make room are ended, for the profile says `requeue: false`"
        yield warning("preemption", said, "say `requeue: true`, or run `exc submit` again when it happened")
    elif graces and min(graces) == 0:
        said = f"jobs that must make room cannot save first (GraceTime 0), and lose up to {save_s:g} s"
        yield warning("preemption", said, "a shorter `save_interval` loses less")
    else:
        said = f"PreemptMode is {mode}" + (f", with {min(graces):g} s to save" if graces else "")
        yield ok("preemption", said)


def _account(plan: Plan | None, profile: Mapping[str, Any], config: Mapping[str, str]) -> Iterator[Finding]:
    accounts = [name for name in _wanted(plan, profile, "account") if name]
    levels = [name for name in _wanted(plan, profile, "qos") if name]
    if "slurmdbd" not in config.get("AccountingStorageType", "") or shutil.which("sacctmgr") is None:
        if accounts or levels:
            said = "which accounts and QOS you may use cannot be asked here"
            yield warning("account", said, "the test of each script below says whether SLURM takes them")
        return
    fields = "Account,QOS,DefaultQOS,MaxSubmit"
    command = ["sacctmgr", "-n", "-P", "show", "assoc", f"user={getpass.getuser()}", f"format={fields}"]
    answer = ask(command)
    rows = [line.split("|") for line in answer.out.splitlines() if line.count("|") >= 3]
    if not answer.well or not rows:
        if accounts or levels:
            said = "SLURM lists no account of yours" if answer.well else answer.complaint
            yield warning("account", said, "the test of each script below says whether SLURM takes them")
        return
    yield from _missing("account", accounts, {row[0] for row in rows})
    yield from _missing("qos", levels, {qos for row in rows for qos in row[1].split(",")})
    limits = [int(row[3]) for row in rows if row[3].isdigit()]
    number = len(plan.jobs) if plan is not None else 0
    if limits and number > min(limits):
        said = f"you may have {min(limits)} jobs queued (MaxSubmitJobs), and the plan has {number}"
        todo = (
            f"say `max_jobs: {min(limits)}` and `controller: true` under `slurm`, or run `exc submit` again"
        )
        yield warning("account", said, todo)


def _missing(what: str, wanted: list[str], there: set[str]) -> Iterator[Finding]:
    for name in wanted:
        if name in there:
            yield ok(what, f"`{name}` is yours")
        else:
            known = ", ".join(sorted(there - {""})) or "none"
            yield failure(what, f"you have no {what} `{name}`", f"yours: {known}")
