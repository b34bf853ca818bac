"""What goes into the script of a class: what SLURM is asked for, and how its one command is started."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from exc.compiler.classes import JobClass
from exc.compiler.launch import nodes, processes
from exc.compiler.slurm_options import sbatch_options, step_options
from exc.spec.launch_settings import WAYS
from exc.spec.profiles import TOGETHER

# The first port that jobs meet on, and how many there are: below those that a system hands out itself.
FIRST_PORT, PORTS = 20_000, 12_000

# Over what a file says: each process loads all weights, and keeps its part of them once all are placed. Were
# they left to the first, as accelerate has it by default, a reference model would stay empty in the others.
_ALWAYS = {"fsdp": {"fsdp_cpu_ram_efficient_loading": False}}

# What a job reads of the environment, for a container that starts with an empty one: what the script sets,
# and what may be set where it runs. Of a variable that is not, enroot would make an empty one.
_SET = ("EXC_PLAN", "EXC_STORE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_MAY_BE_SET = (
    *("EXC_ATTEMPT_DIR", "CUDA_VISIBLE_DEVICES", "PYTHONSAFEPATH", "ACCELERATE_USE_CPU"),
    *("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURMD_NODENAME"),
)


@dataclass(frozen=True, slots=True)
class Start:
    """How the command of a class is started."""

    name: str
    nodes: int
    per_node: int  # processes on each node
    cpus: int  # of each node
    gpus: int  # of each node
    way: str  # fsdp, deepspeed, or "" where every process has all weights
    container: Mapping[str, Any]
    env: tuple[str, ...]
    share: str = ""  # options of `srun` on one node, for what it gets of an allocation

    @property
    def world(self) -> int:
        return self.nodes * self.per_node

    @property
    def threads(self) -> int:
        """Threads of each process."""
        return max(1, self.cpus // self.per_node)

    @property
    def by_srun(self) -> bool:
        """Whether `srun` is what starts it: on several nodes, and in a container of pyxis."""
        return self.nodes > 1 or "pyxis" in self.container

    @property
    def python(self) -> str:
        return "python" if self.container else '"${EXC_PYTHON:-python}"'

    @property
    def flags(self) -> tuple[str, ...]:
        """What tells accelerate how weights are spread."""
        return {
            "": ("--multi_gpu",),
            "fsdp": ("--use_fsdp",),
            "deepspeed": ("--use_deepspeed", "--deepspeed_multinode_launcher standard"),
        }[self.way]

    @property
    def wrapper(self) -> str:
        """What stands before the command to have it run in its container; "" where that is not needed."""
        image = next((self.container[way] for way in ("apptainer", "enroot") if way in self.container), None)
        if image is None:
            return ""
        options = "".join(f"{shlex.quote(option)} " for option in self.container.get("options", ()))
        if "apptainer" in self.container:
            gpu = "--nv " if self.gpus else ""
            binds = "".join(f'--bind "{path}" ' for path in self._mounts())
            return f"apptainer exec {gpu}{binds}{options}{shlex.quote(image)} "
        binds = "".join(f'--mount "{path}" ' for path in self._mounts())
        others = dict.fromkeys(name for name in (*_MAY_BE_SET, *self.env) if name not in _SET)
        words = [f"--env {name} " for name in _SET] + [f"${{{name}+--env {name}}} " for name in others]
        passed = "".join(words)
        return f"enroot start {binds}{passed}{options}{shlex.quote(image)} "

    @property
    def pyxis(self) -> str:
        """What `srun` is told of a container."""
        if "pyxis" not in self.container:
            return ""
        options = "".join(f" {shlex.quote(option)}" for option in self.container.get("options", ()))
        mounts = '"' + ",".join(self._mounts()) + '"'
        return (
            f"--container-image={shlex.quote(self.container['pyxis'])} --container-mounts={mounts}{options}"
        )

    def _mounts(self) -> list[str]:
        """PATH:INSIDE, as the inside of a text in double quotes: variables in them are the shell's."""
        paths = ("$EXC_ROOT", "$EXC_STORE", *self.container.get("mounts", ()))
        return [_quotable(path if ":" in path else f"{path}:{path}") for path in paths]


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")


def start_of(cls: JobClass, profile: Mapping[str, Any]) -> Start:
    """How the jobs of a class are started."""
    given = cls.jobs[0].resources
    num_nodes = nodes(given) if cls.kind in TOGETHER else 1
    share = step_options(given, profile) if num_nodes == 1 else {}
    return Start(
        name=cls.name,
        nodes=num_nodes,
        per_node=processes(cls.kind, given),
        cpus=int(given.get("cpus") or 1),
        gpus=int(given.get("gpus") or 0),
        way=next((way for way in WAYS if way in given.get("launch", {})), ""),
        container=profile.get("container", {}),
        env=tuple(profile.get("env", ())),
        share=" ".join(f"--{name}={value}" for name, value in share.items()),
    )


def sbatch_lines(cls: JobClass, experiment: str, profile: Mapping[str, Any]) -> tuple[str, ...]:
    """The options of a class's `#SBATCH` lines; none where its profile is not of SLURM."""
    if profile["backend"] != "slurm":
        return ()
    options = sbatch_options(cls.jobs[0].resources, profile, f"{experiment}.{cls.name}")
    options["output"] = "%x-%j.log"  # in the folder that it is submitted from
    return tuple(f"--{name}={_word(value)}" if value else f"--{name}" for name, value in options.items())


def _word(value: str) -> str:
    return '"' + value.replace('"', '\\"') + '"' if any(char.isspace() for char in value) else value


def accelerate_config(start: Start, settings: Mapping[str, Any]) -> bytes:
    """The file that accelerate reads instead of a user's own. Numbers of processes are in the script."""
    way = WAYS.get(start.way)
    data = {
        "compute_environment": "LOCAL_MACHINE",
        "debug": False,
        "distributed_type": way.distributed_type if way else "MULTI_GPU",
        **({way.section: {**settings, **_ALWAYS.get(start.way, {})}} if way else {}),
        "mixed_precision": "no",
        "use_cpu": start.gpus == 0,
    }
    head = f"# {start.name}: what accelerate reads instead of a user's own settings.\n"
    return (head + yaml.safe_dump(data, sort_keys=False)).encode()
