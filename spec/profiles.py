"""Profiles: where jobs run and with what resources. Never part of identity."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from exc.spec.base import Bool, Count, Model, Name, PositiveFloat, PositiveInt
from exc.spec.paired import PAIRED_KINDS
from exc.spec.slurm_profile import Container, Launch, Slurm, SlurmPlace, Vllm
from exc.spec.units import Bytes, DurationS

Kind = Literal[
    "tokenizer",
    "tokens",
    "rows",
    "derive",
    "rate",
    "pretrain",
    "trainer",
    "sft",
    "grpo",
    "dpo",
    "rloo",
    "kto",
    "parallel",
    "combined",
    "interleave",
    "merge",
    "select",
    "fetch",
    "command",
    "sample",
    "score",
    "bits_per_byte",
    "lm_eval",
    "contamination",
    "smoke",
]
# Kinds whose work several processes share. All others have one, whatever GPUs they are given.
TOGETHER = ("pretrain", "sft", "grpo", "rloo", "dpo", "kto", *PAIRED_KINDS)

# Kinds that run a person's own command, which may start what it likes on the nodes it is given.
OWN_NODES = ("command", "trainer")

# Kinds that can be tried at their smallest before they are begun. What a command does cannot be made smaller.
SMOKED = (*TOGETHER, "sample")


class Retries(Model):
    """How often `exc submit` tries a job again, by the class of its failure; by default not at all."""

    out_of_memory: Count | None = Field(
        default=None, alias="out-of-memory", description="there was not enough memory"
    )
    diverged: Count | None = Field(default=None, description="loss or gradients were not finite")
    data: Count | None = Field(default=None, description="a row or file was not as the spec says")
    verifier: Count | None = Field(default=None, description="a verifier failed or hung")
    command: Count | None = Field(default=None, description="the command of a `command` stage failed")
    killed: Count | None = Field(
        default=None, description="a signal that exc did not send ended it; by default 2"
    )
    node: Count | None = Field(default=None, description="the machine it ran on was gone; by default 2")
    preempted: Count | None = Field(default=None, description="it had to make room; by default 3")
    error: Count | None = Field(default=None, description="nobody foresaw it")


class ResourceSelector(Model):
    """Jobs by kind, class, trunk or recipe; what is left out selects all."""

    kind: Kind | None = Field(default=None, description="what the job does")
    job_class: str | None = Field(default=None, alias="class", description="as PLAN.md lists them")
    trunk: str | None = Field(default=None, description="the trunk that the job belongs to")
    recipe: str | None = Field(default=None, description="the recipe that the job belongs to")


class Resources(Model):
    """What a job gets. Of the entries that match a job, those with more conditions win, then the later."""

    on: ResourceSelector = Field(default=ResourceSelector(), description="which jobs; by default all")
    nodes: PositiveInt | None = Field(default=None, description="nodes of a SLURM cluster; by default 1")
    cpus: PositiveInt | None = Field(
        default=None, description="CPU slots, and threads, of the job; on each of its nodes"
    )
    gpus: Count | None = Field(
        default=None, description="GPUs of the job's own, on each node; by default none, and it sees none"
    )
    processes: PositiveInt | None = Field(
        default=None,
        description="processes that train together, on each node; by default one for each of the `gpus`. "
        "Jobs that cannot be spread have one",
    )
    mem: Annotated[Bytes, Field(gt=0)] | None = Field(
        default=None, description="main memory on each node, of SLURM jobs; by default what the cluster gives"
    )
    time: Annotated[DurationS, Field(gt=0)] | None = Field(
        default=None, description="wall-clock limit of one attempt; by default none"
    )
    micro_batch_size: PositiveInt | None = Field(
        default=None, description="sequences per device at once; by default all"
    )
    smoke: Bool | None = Field(
        default=None,
        description="whether one tiny run on random weights comes before each class of such jobs; by default "
        "where they have `gpus`. Of jobs that train, commands aside, and sample jobs; all others go without",
    )
    pack: PositiveInt | None = Field(
        default=None,
        description="how many SLURM jobs of a class share one allocation, side by side; by default 1",
    )
    slurm: SlurmPlace | None = Field(
        default=None, description="where SLURM runs these; what is left out is the profile's"
    )
    launch: Launch | None = Field(
        default=None, description="how weights are spread over the processes of a training job"
    )
    vllm: Vllm | None = Field(default=None, description="how a vLLM engine shares the GPUs")
    gpu_speed: PositiveFloat | None = Field(
        default=None,
        description="operations a second that one GPU sustains at such work, such as 4.0e14: PLAN.md then "
        "says how many GPU-hours the operations are that it counts",
    )


class Tracker(Model):
    """Where a training job's measures are shown as it runs. It changes no result, and can stop no job."""

    SHORT: ClassVar[str] = "the name of a tracker"

    name: Literal["tensorboard", "trackio", "wandb"] = Field(
        description="its package must be there where jobs run"
    )
    project: str | None = Field(default=None, description="by default the experiment's name")
    folder: str | None = Field(
        default=None, description="relative to the spec's folder; by default in the store, under `trackers`"
    )
    mode: Literal["offline", "online"] | None = Field(
        default=None, description="of wandb; by default WANDB_MODE of where jobs run, else offline"
    )
    entity: str | None = Field(default=None, description="of wandb; by default the user's own")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Profile(Model):
    """A place where plans run. The `local` profile is shipped: this machine, one CPU a job."""

    backend: Literal["local", "slurm"] = Field(
        default="local", description="this machine, or a cluster's queue"
    )
    store: str | None = Field(
        default=None, description="relative to the spec's folder, or absolute; by default `store`"
    )
    slots: PositiveInt | None = Field(default=None, description="CPU slots; by default all of this machine's")
    gpus: Count | None = Field(default=None, description="GPUs to use; by default all of this machine's")
    retries: Retries = Field(
        default=Retries(), description="how often a job that failed is tried again, by failure class"
    )
    save_interval: DurationS = Field(default=300, description="how often training jobs save resume state")
    env: tuple[str, ...] = Field(
        default=(), description="names of variables that jobs read, noted in the plan; never their values"
    )
    setup: tuple[str, ...] = Field(default=(), description="shell lines before each job")
    slurm: Slurm = Field(default=Slurm(), description="how jobs are queued, where `backend` is `slurm`")
    container: Container | None = Field(
        default=None, description="what jobs run in, where that is no plain node"
    )
    trackers: tuple[Tracker, ...] = Field(
        default=(), description="what is fed with the measures of training jobs; never part of identity"
    )
    resources: tuple[Resources, ...] = Field(default=(), description="what jobs get; 1 CPU each by default")


Profiles = dict[Name, Profile]
LOCAL = Profile()
