"""What the Python interface gives: frozen values that print well, as tables in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exc.compiler import plan as plans
from exc.runtime.adoption import Adoption
from exc.runtime.lineage import Node
from exc.runtime.places import find_store
from exc.spec.diagnostics import Diagnostic
from exc.spec.experiment import Spec


class SpecError(Exception):
    """A spec that does not compile. Its text is what `exc check` prints, `diagnostics` the same as data."""

    def __init__(self, text: str, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(text)
        self.diagnostics = diagnostics


@dataclass(frozen=True)
class Experiment:
    """A spec that was read and has no errors. `diagnostics` are its warnings, accepted ones aside."""

    path: Path
    spec: Spec = field(repr=False)
    diagnostics: tuple[Diagnostic, ...] = field(repr=False)

    @property
    def name(self) -> str:
        return self.spec.experiment

    def __str__(self) -> str:
        return f"experiment {self.name} ({self.path}), {len(self.diagnostics)} warnings"


@dataclass(frozen=True, repr=False)
class Plan(plans.Plan):
    """A plan, and the folder that it lies in or would be written to."""

    folder: Path = Path("plan")

    @property
    def store(self) -> Path:
        """Where its results are: EXC_STORE, what the profile says, or `store` beside the spec."""
        return find_store(self, self.folder.absolute()).root

    def __repr__(self) -> str:
        classes = len({job.cls for job in self.jobs})
        return f"<Plan {self.experiment}: {len(self.jobs):,} jobs in {classes} classes, {self.digest[:12]}>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """A row for each class of jobs, as a notebook shows it."""
        counts: dict[tuple[str, str], int] = {}
        for job in self.jobs:
            counts[job.cls, job.kind] = counts.get((job.cls, job.kind), 0) + 1
        rows = [(cls, kind, f"{count:,}") for (cls, kind), count in counts.items()]
        profile = self.profile["name"]
        title = f"{self.experiment}: {len(self.jobs):,} jobs, plan {self.digest[:12]}, profile {profile}"
        return _html_table(title, ("class", "kind", "jobs"), rows)


@dataclass(frozen=True, repr=False)
class Status:
    """Where a plan stands, when it was asked. Words: done, running, failed, interrupted, waiting, ..."""

    experiment: str
    counts: Mapping[str, int]
    jobs: Mapping[str, str]  # job id -> word
    failures: Mapping[str, str]  # job id -> why it failed
    adopted: tuple[str, ...]  # jobs whose result was made elsewhere; they count as done

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not any(count for word, count in self.counts.items() if word not in ("done", "unneeded"))

    def __repr__(self) -> str:
        said = ", ".join(f"{count:,} {word}" for word, count in self.counts.items() if count)
        return (
            f"<Status {self.experiment}: {said}{f' ({len(self.adopted)} adopted)' if self.adopted else ''}>"
        )

    def _repr_html_(self) -> str:
        rows = [(word, f"{count:,}") for word, count in self.counts.items() if count]
        return _html_table(f"{self.experiment}: where its jobs stand", ("state", "jobs"), rows)


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one model under one evaluation."""

    trunk: str
    step: int | None  # of the trunk
    tokens: int | None  # that the trunk had seen by then
    recipe: str
    matrix: Mapping[str, Any]
    replicate: int | None
    snapshot: int | None  # of the recipe; None for its last, and for one chosen by its result
    best: str  # the evaluation and metric by which a step was chosen, `sums.pass@1`; "" where none was
    final: bool  # whether it is the recipe's last
    evaluation: str
    metric: str
    value: float
    problems: int | None  # problems or documents behind it; None where that is not known
    job: str  # "" for an adopted number
    artifact: str  # "kind/identity"
    identity: str
    adopted: bool  # made elsewhere, or made from what was


@dataclass(frozen=True)
class Artifact:
    """What a finished job left in the store."""

    job: str
    kind: str
    identity: str
    step: int | None  # of a training job's kept step
    path: Path
    fields: Mapping[str, Any] = field(repr=False)  # what was hashed of its config, defaults left out
    metrics: Mapping[str, float] = field(repr=False)
    counts: Mapping[str, float] = field(repr=False)  # flops, samples, tokens
    inputs: Mapping[str, str] = field(repr=False)  # role -> "kind/identity"
    environment: Mapping[str, Any] = field(repr=False)  # versions and device
    seconds: float
    adopted: tuple[Adoption, ...]  # what of it was made elsewhere
    lineage: tuple[Node, ...] = field(repr=False)  # all that it was made from, itself last

    @property
    def model(self) -> Path | None:
        """Its model folder, for `from_pretrained`; None where it is no model."""
        folder = self.path / "model"
        return folder if folder.is_dir() else None


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion. The last three are None where it is not scored."""

    problem: int
    sample: int
    text: str
    finish: str  # "stop" or "length"
    num_tokens: int
    parsed: str | None = None  # the answer that the verifier found
    correct: bool | None = None
    verifiable: bool | None = None


def _html_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return (
        f"<table><caption>{html.escape(title)}</caption><thead>{line('th', head)}</thead>"
        f"<tbody>{body}</tbody></table>"
    )
