"""What a profile says of a cluster: where jobs are queued, how processes start, in which container."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from exc.spec.base import Bool, Int, Model, PositiveInt
from exc.spec.units import DurationS

MemoryShare = Annotated[float, Field(strict=True, gt=0, le=1)]


class SlurmPlace(Model):
    """Where SLURM may run a job, in the words of `sbatch`."""

    partition: str | None = Field(default=None, description="one, or several with commas")
    account: str | None = Field(default=None, description="the account that is charged")
    qos: str | None = Field(default=None, description="the quality of service")
    constraint: str | None = Field(default=None, description="features that nodes must have")
    reservation: str | None = Field(default=None, description="a reservation to run in")
    exclude: str | None = Field(default=None, description="nodes never to use, as `node[3,7-9]`")
    gpu_type: str | None = Field(
        default=None, description="the kind of GPU, as the cluster's `gres` calls it; by default any"
    )
    extra: dict[str, str | Int | Bool] = Field(
        default={}, description="any other option of `sbatch`, by its long name without the dashes"
    )


class Slurm(SlurmPlace):
    """How a plan is queued on a SLURM cluster. An entry of `resources` may say its own place."""

    requeue: Bool = Field(default=True, description="whether a job that must make room is queued again")
    grace: Annotated[DurationS, Field(gt=0)] = Field(
        default=120, description="how long before its time limit a job is told to save and stop"
    )
    max_jobs: PositiveInt | None = Field(
        default=None,
        description="how many jobs of a plan are queued at once; by default what the cluster allows",
    )
    controller: Bool = Field(
        default=False,
        description="whether a short job of its own goes on with the plan: queues what comes next, and again "
        "what was lost; without it, `exc submit` once more does the same",
    )


class Launch(Model):
    """How the weights of a training job are spread over its processes; by default each has all of them."""

    fsdp: str | None = Field(
        default=None, description="a file of accelerate's for FSDP, relative to the spec's folder"
    )
    deepspeed: str | None = Field(
        default=None, description="a file of accelerate's for DeepSpeed, relative to the spec's folder"
    )


class Vllm(Model):
    """How a vLLM engine shares a job's GPUs. Whether there is one is for the spec to say (`engine`)."""

    mode: Literal["colocate"] = Field(
        default="colocate", description="in the processes that train, on the same GPUs"
    )
    memory: MemoryShare = Field(default=0.3, description="the engine's share of each GPU's memory")


class Container(Model):
    """The image that a job's one command runs in. `setup` comes before it, on the node itself."""

    apptainer: str | None = Field(default=None, description="an image, run by `apptainer exec`")
    enroot: str | None = Field(default=None, description="an image, run by `enroot start`")
    pyxis: str | None = Field(default=None, description="an image, run by `srun --container-image`")
    mounts: tuple[str, ...] = Field(
        default=(), description="further folders to have inside, as PATH or PATH:INSIDE"
    )
    options: tuple[str, ...] = Field(default=(), description="further options of the program that runs it")
