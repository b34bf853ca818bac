"""The jobs under construction: equal work is added once, whatever it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from exc.compiler.canonical import holds_horizon, schedules
from exc.compiler.identity import (
    SEGMENTED,
    TRAINING_KINDS,
    encoded_fields,
    identity_of,
    step_identity,
)
from exc.compiler.plan import Need

_LENGTHS = {
    **dict.fromkeys(SEGMENTED, "step"),
    **dict.fromkeys(("grpo", "rloo"), "rollouts"),
    "interleave": "rounds",
}


def length_key(kind: str) -> str:
    """What the config of a training kind calls its last step."""
    return _LENGTHS.get(kind, "max_steps")


@dataclass(slots=True)
class Draft:
    """A job under construction. Kept steps are added as they are asked for; frozen into a Job at the end."""

    id: str
    kind: str
    cls: str
    config: Mapping[str, Any]  # shared by jobs whose configs are equal, and never changed
    needs: list[Need]
    digest: str  # identity, or the computation of a training kind
    trained: bool  # whether anything but pre-training is in its ancestry
    selector: Mapping[str, str]  # what a profile may select it by
    source: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    kept: dict[int, str] = field(default_factory=dict)
    estimate: dict[str, float] = field(default_factory=dict)

    @property
    def horizon(self) -> int:
        """The last step of a training kind, in its own unit."""
        return int(self.config[length_key(self.kind)])

    def keep(self, step: int) -> None:
        if step not in self.kept:
            self.kept[step] = step_identity(self.digest, step)


@dataclass(frozen=True, slots=True)
class Output:
    """What a reader refers to: a job, and in training kinds one kept step of it."""

    job: Draft
    step: int | None = None

    @property
    def identity(self) -> str:
        return self.job.digest if self.step is None else self.job.kept[self.step]

    @property
    def artifact(self) -> str:
        return f"{self.job.kind}/{self.identity}"

    @property
    def label(self) -> str:
        """The job's id, with the step where it is not the last."""
        if self.step is None or self.step == self.job.horizon:
            return self.job.id
        return f"{self.job.id}@{self.step}"


def draft_for_profile(kind: str, cls: str, selector: Mapping[str, str]) -> Draft:
    """A job as far as a profile looks at it, before there are jobs."""
    return Draft("", kind, cls, {}, [], "", False, selector)


# Roles whose edge orders work, or whose identity is already in the config, and that are not hashed as inputs.
_UNHASHED = frozenset({"resumes"})


class Builder:
    """Collects drafts in topological order: a job can only name inputs that were added before it."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self._by_work: dict[tuple[str, str, int | None], Draft] = {}
        # By the id of a config, which is kept beside it so that no other can come by that id.
        self._encoded: dict[int, tuple[Mapping[str, Any], orjson.Fragment]] = {}

    def add(
        self,
        kind: str,
        job_id: str,
        cls: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, tuple[Output, str]],
        *,
        source: list[str],
        trained: bool = False,
        selector: Mapping[str, str] | None = None,
        hashed: Mapping[str, Any] | None = None,
    ) -> Draft:
        """Add a job, or find the equal one that is there and give it another name.

        `inputs`: role -> (output read, its sub-folder). `hashed` replaces what of the inputs is hashed, for
        kinds whose roles hold names.
        """
        digested = (
            hashed
            if hashed is not None
            else {role: output.identity for role, (output, _) in inputs.items() if role not in _UNHASHED}
        )
        digest = identity_of(kind, self._fields(kind, config), digested)
        step = config["step"] if kind in SEGMENTED else None
        draft = self._by_work.get((kind, digest, step))
        if draft is None:
            needs = [
                Need(role, output.job.id, output.artifact, folder)
                for role, (output, folder) in inputs.items()
            ]
            draft = Draft(job_id, kind, cls, config, needs, digest, trained, selector or {}, list(source))
            self._by_work[kind, digest, step] = draft
            self.drafts.append(draft)
        else:
            self._merge(draft, job_id, config, source)
        return draft

    def _fields(self, kind: str, config: Mapping[str, Any]) -> orjson.Fragment:
        found = self._encoded.get(id(config))
        if found is None:
            found = self._encoded[id(config)] = config, encoded_fields(kind, config)
        return found[1]

    @staticmethod
    def _merge(draft: Draft, job_id: str, config: Mapping[str, Any], source: list[str]) -> None:
        if job_id != draft.id and job_id not in draft.aliases:
            draft.aliases.append(job_id)
        draft.source.extend(line for line in source if line not in draft.source)
        if draft.kind in TRAINING_KINDS - SEGMENTED and not any(map(holds_horizon, schedules(config))):
            # Equal but for how long it runs: one job that runs to the longer end and keeps both.
            key = length_key(draft.kind)
            if config[key] > draft.config[key]:
                draft.config = {**draft.config, key: config[key]}

    def final(self, draft: Draft, step: int | None = None) -> Output:
        """The output of a job at `step`, or its last. Training kinds keep the step from now on."""
        if draft.kind not in TRAINING_KINDS:
            return Output(draft)
        step = draft.horizon if step is None else step
        draft.keep(step)
        return Output(draft, step)
