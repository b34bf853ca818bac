"""srun."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.slurm.fake.options import parsed
from tests.slurm.fake.texts import hosts

VALUED = (
    "nodes/N ntasks/n cpus-per-task/c ntasks-per-node output/o error/e nodelist/w gres mem export jobid "
    "chdir/D kill-on-bad-exit/K cpu-bind gpus gpus-per-task gpus-per-node partition/p mpi relative/r time/t "
    "wait/W job-name/J account/A qos/q constraint/C reservation immediate"
)
FLAGS = "unbuffered/u exact overlap label/l exclusive quiet/Q"


def srun(argv: Sequence[str]) -> int:
    """The tasks of a step, side by side here, each with its rank; their worst exit code."""
    options, command = parsed(argv, VALUED, FLAGS, positional=False)
    env = dict(os.environ)
    nodes = int(options.get("nodes") or env.get("SLURM_NNODES", "1"))
    ntasks = _ntasks(options, env, nodes)
    names = hosts(env.get("SLURM_JOB_NODELIST", "n1"))
    place = Path(env["FAKE_SLURM_PLACE"], "steps") if "FAKE_SLURM_PLACE" in env else None
    running: list[subprocess.Popen[bytes]] = []
    for rank in range(ntasks):
        node, local = divmod(rank, max(1, -(-ntasks // nodes)))
        own: dict[str, object] = {
            "SLURM_PROCID": rank,
            "SLURM_NODEID": node,
            "SLURM_LOCALID": local,
            "SLURM_NTASKS": ntasks,
            "SLURM_STEP_NUM_TASKS": ntasks,
            "SLURM_STEP_ID": 0,
            "SLURMD_NODENAME": names[node % len(names)],
        }
        process = subprocess.Popen(
            command,
            cwd=options.get("chdir"),
            env=env | {key: str(value) for key, value in own.items()},
            stdout=_stream(options.get("output"), env, rank),
            stderr=_stream(options.get("error") or options.get("output"), env, rank),
        )
        running.append(process)
        if place:
            (place / str(process.pid)).touch()
    codes = [process.wait() for process in running]
    for process in running:
        if place:
            (place / str(process.pid)).unlink(missing_ok=True)
    return max(code if code >= 0 else 128 - code for code in codes)


def _ntasks(options: Mapping[str, str], env: Mapping[str, str], nodes: int) -> int:
    if "ntasks" in options:
        return int(options["ntasks"])
    if "ntasks-per-node" in options:
        return nodes * int(options["ntasks-per-node"])
    return nodes if "nodes" in options else int(env.get("SLURM_NTASKS", nodes))


def _stream(name: str | None, env: Mapping[str, str], rank: int) -> int | None:
    if name is None:
        return None
    job = env.get("SLURM_JOB_ID", "")
    values = {
        "%j": job,
        "%A": env.get("SLURM_ARRAY_JOB_ID", job),
        "%a": env.get("SLURM_ARRAY_TASK_ID", "4294967294"),
        "%t": str(rank),
        "%n": "0",
        "%x": env.get("SLURM_JOB_NAME", ""),
    }
    for letter, value in values.items():
        name = name.replace(letter, value)
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
