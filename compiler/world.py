"""What every part of the expansion reads: the experiment, the facts, and the jobs built so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from exc.compiler.build import Builder
from exc.compiler.facts import Facts
from exc.spec.experiment import Experiment, Spec

T = TypeVar("T")


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

    def once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What `make` gives, made once for each key: jobs share their configs, which are never changed."""
        found: T | None = self.memo.get(key)
        if found is None:
            found = self.memo[key] = make()
        return found

    def line(self, *path: str | int) -> list[str]:
        """The spec line of a job that came from `path`."""
        return [self.once(("line", *path), lambda: self.experiment.where(*path))]
