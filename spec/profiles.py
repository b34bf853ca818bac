"""Profiles: where jobs run and with what resources. Never part of identity."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from exc.spec.base import Model, Name, PositiveInt
from exc.spec.units import DurationS

Kind = Literal[
    "tokenizer",
    "tokens",
    "rows",
    "pretrain",
    "sft",
    "grpo",
    "merge",
    "select",
    "command",
    "sample",
    "score",
    "bits_per_byte",
]


class ResourceSelector(Model):
    """Jobs by kind, class, trunk or recipe; what is left out selects all."""

    kind: Kind | None = Field(default=None, description="what the job does")
    job_class: str | None = Field(default=None, alias="class", description="as PLAN.md lists them")
    trunk: str | None = Field(default=None, description="the trunk that the job belongs to")
    recipe: str | None = Field(default=None, description="the recipe that the job belongs to")


class Resources(Model):
    """What a job gets. Of the entries that match a job, those with more conditions win, then the later."""

    on: ResourceSelector = Field(default=ResourceSelector(), description="which jobs; by default all")
    cpus: PositiveInt | None = Field(default=None, description="CPU slots, and threads, of the job")
    micro_batch_size: PositiveInt | None = Field(
        default=None, description="sequences per device at once; by default all"
    )


class Profile(Model):
    """A place where plans run. The `local` profile is shipped: this machine, one CPU a job."""

    backend: Literal["local"] = Field(default="local", description="this machine")
    store: str | None = Field(
        default=None, description="relative to the spec's folder, or absolute; by default `store`"
    )
    slots: PositiveInt | None = Field(default=None, description="CPU slots; by default all of this machine's")
    save_interval: DurationS = Field(default=300, description="how often training jobs save resume state")
    env: tuple[str, ...] = Field(
        default=(), description="names of variables that jobs read, noted in the plan; never their values"
    )
    setup: tuple[str, ...] = Field(default=(), description="shell lines before each job")
    resources: tuple[Resources, ...] = Field(default=(), description="what jobs get; 1 CPU each by default")


Profiles = dict[Name, Profile]
LOCAL = Profile()
