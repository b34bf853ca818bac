"""What every part of the expansion reads: the experiment, the facts, and the jobs built so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from exc.compiler.build import Builder
from exc.compiler.facts import Facts
from exc.spec.experiment import Experiment, Spec


@dataclass(frozen=True)
class World:
    """The context of one compilation. Only `jobs` and `memo` grow."""

    experiment: Experiment
    facts: Facts
    jobs: Builder = field(default_factory=Builder)
    memo: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:
        return self.experiment.spec

    def line(self, *path: str | int) -> list[str]:
        """The spec line of a job that came from `path`."""
        key = ("line", *path)
        if key not in self.memo:
            self.memo[key] = self.experiment.where(*path)
        return [self.memo[key]]
