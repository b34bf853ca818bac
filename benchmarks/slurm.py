"""500 trivial jobs on a real SLURM of this machine's own: queued by exc, and by one plain sbatch each."""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.measure import QUIET
from benchmarks.table import Figure, Part
from exc.compiler.folder import plan_scripts
from exc.compiler.plan import PLAN_FILE, Job, Need, Plan, dump, read_plan, to_json
from exc.runtime.outputs import Present
from exc.runtime.slurm.records import Ledger
from exc.runtime.slurm.submit import submit_to_slurm
from exc.runtime.store import Store
from tests.slurm.cluster import Cluster, why_not
from tests.slurm.cluster_project import write_model

JOBS = 500
BRANCHES = 130
DEPTH = 3  # jobs of a branch, in a row
JOINED = 4  # branches that a join reads
NODES, CPUS = 4, 4  # of the cluster, whatever the machine has
SLEEP_S = 1.0  # what a job takes by itself
LIMIT_S = 3600.0
RUN = f'sleep {SLEEP_S}; cp -r model "$EXC_OUTPUT/model"'
PLAIN = f'sleep {SLEEP_S}; mkdir -p "$OUT"; cp -r model "$OUT/model"'
PROFILE = {
    "name": "cluster",
    "backend": "slurm",
    "setup": [],
    "env": [],
    "slurm": {"partition": "main", "grace": 20, "extra": {}},
}
RESOURCES = {"cpus": 1, "mem": 100_000_000, "time": 3600}


@dataclass(frozen=True, slots=True)
class Run:
    """One way of running all of it. Seconds."""

    calls: int  # of sbatch
    submit: float
    whole: float  # from the start of submitting to the end of the last job


def graph() -> dict[str, tuple[str, ...]]:
    """500 jobs, in topological order -> what each reads: a source, branches, joins of a few, one of all."""
    reads: dict[str, tuple[str, ...]] = {"source": ()}

    def chain(name: str, cls: str, start: Sequence[str], length: int) -> str:
        for number in range(length):
            job = f"{name}.{cls}{number}"
            reads[job] = tuple(start)
            start = [job]
        return start[0]

    ends = [chain(f"b{index}", "branch", ["source"], DEPTH) for index in range(BRANCHES)]
    groups = [ends[start : start + JOINED] for start in range(0, BRANCHES, JOINED)]
    joins = [chain(f"j{index}", "join", group, DEPTH) for index, group in enumerate(groups)]
    chain("all", "last", joins, JOBS - len(reads))
    return reads


def longest(reads: Mapping[str, Sequence[str]]) -> int:
    """How many jobs the longest chain has."""
    depth: dict[str, int] = {}
    for job, others in reads.items():
        depth[job] = 1 + max((depth[other] for other in others), default=0)
    return max(depth.values())


def measure(scratch: Path, say: Callable[[str], None] = print) -> Part:
    """Start a SLURM, and run the same graph both ways on it, one after the other."""
    if reason := why_not():
        raise RuntimeError(f"no SLURM can be started here: {reason}")
    reads = graph()
    with _cluster(scratch / "cluster"):
        plain = _plain(reads, scratch / "plain")
        say(f"  one sbatch a job: {plain}")
        queued = _exc(reads, scratch / "exc")
        say(f"  exc: {queued}")
    chain = longest(reads)
    about = (
        f"{len(reads)} `command` jobs of {SLEEP_S:g} s: a source, {BRANCHES} branches of {DEPTH} jobs, a "
        f"join of every {JOINED} with {DEPTH} jobs, and one of all; the longest chain has {chain} jobs, "
        f"{chain * SLEEP_S:g} s. On a real SLURM, started for this on this machine alone: {NODES} nodes that "
        f"claim {CPUS} CPUs each, so that {NODES * CPUS} jobs run at once, for no less than "
        f"{len(reads) * SLEEP_S / (NODES * CPUS):.0f} s in all. A job of exc is two Python processes, its "
        "allocation's and its own; a plain one is the command alone, without records, results or resuming."
    )
    return Part("On a cluster", about, _figures(queued, plain, chain * SLEEP_S, len(reads)))


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder, NODES=NODES, CPUS=CPUS)
    before = dict(os.environ)
    try:
        cluster.up()
        os.environ.update({**QUIET, "SLURM_CONF": str(cluster.conf)})
        yield cluster
    finally:
        os.environ.clear()
        os.environ.update(before)
        cluster.down()


def _exc(reads: Mapping[str, Sequence[str]], root: Path) -> Run:
    root.mkdir()
    write_model(root / "model")
    plan, store = _plan(reads, root), Store(root / "store")
    out = io.StringIO()
    began = time.perf_counter()
    code = submit_to_slurm(plan, root / "plan", store, Console(file=out))
    submitted = time.perf_counter() - began
    calls = len(list((Ledger(store, plan.experiment).root / "runs").iterdir()))
    if code:
        raise RuntimeError(out.getvalue())
    whole = _until_idle() - began
    if left := [job.id for job in plan.jobs if not Present(plan, store).done(job)]:
        raise RuntimeError(f"{len(left)} jobs were not done, {left[0]} among them")
    return Run(calls, submitted, whole)


def _plan(reads: Mapping[str, Sequence[str]], root: Path) -> Plan:
    jobs: dict[str, Job] = {}
    for name, others in reads.items():
        needs = tuple(Need(f"from:{one}", one, jobs[one].artifact, "") for one in others)
        config = {"run": RUN, "files": [], "leaves": "model", "seed": 0}
        identity = hashlib.sha256(name.encode()).hexdigest()
        cls = name.rpartition(".")[2]
        jobs[name] = Job(name, "command", cls, identity, config, needs, resources=RESOURCES)
    plan = Plan("wide", 0, "..", "experiment.yaml", PROFILE, tuple(jobs.values()), {"cells": []})
    for path, content in {PLAN_FILE: dump(to_json(plan)), **plan_scripts(plan)}.items():
        (root / "plan" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "plan" / path).write_bytes(content)
    return read_plan(root / "plan")


def _plain(reads: Mapping[str, Sequence[str]], root: Path) -> Run:
    """What somebody would write who queues them by hand."""
    root.mkdir()
    write_model(root / "model")
    ids: dict[str, str] = {}
    began = time.perf_counter()
    for name, others in reads.items():
        command = ["sbatch", "--parsable", "-n1", "--mem=96M", "--time=60", "-o/dev/null", f"-J{name}"]
        if others:
            command.append("--dependency=afterok:" + ":".join(ids[one] for one in others))
        command.append(f"--wrap=OUT={shlex.quote(f'out/{name}')}; {PLAIN}")
        ids[name] = subprocess.run(
            command, cwd=root, check=True, capture_output=True, text=True
        ).stdout.strip()
    submitted = time.perf_counter() - began
    whole = _until_idle() - began
    if len(list((root / "out").iterdir())) < len(reads):
        raise RuntimeError("not all plain jobs were done")
    return Run(len(ids), submitted, whole)


def _until_idle() -> float:
    """When nothing was left in the queue."""
    end = time.perf_counter() + LIMIT_S
    while subprocess.run(["squeue", "-h", "-o", "%i"], check=True, capture_output=True).stdout.strip():
        if time.perf_counter() > end:
            raise RuntimeError(f"jobs are left in the queue after {LIMIT_S:g} s")
        time.sleep(0.5)
    return time.perf_counter()


def _figures(queued: Run, plain: Run, chain_s: float, jobs: int) -> list[Figure]:
    rows = []
    for name, run in (("exc", queued), ("one sbatch a job", plain)):
        rows += [
            Figure(f"{name}: {jobs} jobs, sbatch calls", str(run.calls), "1 run"),
            Figure(f"{name}: to submit", f"{run.submit:.1f} s", "1 run"),
            Figure(f"{name}: whole", f"{run.whole:.0f} s", "1 run"),
            Figure(f"{name}: beyond the longest chain", f"{run.whole - chain_s:.0f} s", "1 run"),
        ]
    return rows
