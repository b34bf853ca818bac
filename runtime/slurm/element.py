"""What submitit keeps of an element and calls on the node: where its record is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Element:
    """An element of a call; which one, SLURM says where it runs."""

    plan_folder: str
    store_root: str
    experiment: str
    key: str

    def __call__(self) -> None:
        from exc.runtime.slurm.allocation import run_element
        from exc.runtime.stopping import leave

        leave(run_element(self.plan_folder, self.store_root, self.experiment, self.key))

    def checkpoint(self) -> Any:
        """For a signal that comes before `__call__` has taken over: the same again, in the same place."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Controller:
    """A short job that does what `exc submit` does once more."""

    plan_folder: str
    store_root: str
    digest: str  # of the plan that it may go on with
    idle: int

    def __call__(self) -> None:
        from exc.runtime.slurm.controller import run_controller
        from exc.runtime.stopping import leave

        leave(run_controller(self.plan_folder, self.store_root, self.digest, self.idle))
