"""Compile a declarative experiment spec into a plan of jobs, run it, and report on it.

In a notebook: `exc.load`, `exc.plan`, `exc.status`, `exc.results` and what else docs/python.md shows. They
are imported when first used, so that `import exc` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exc.api import Adoption as Adoption
    from exc.api import Artifact as Artifact
    from exc.api import Experiment as Experiment
    from exc.api import Job as Job
    from exc.api import Node as Node
    from exc.api import Plan as Plan
    from exc.api import PlanError as PlanError
    from exc.api import Sample as Sample
    from exc.api import Score as Score
    from exc.api import SpecError as SpecError
    from exc.api import Status as Status
    from exc.api import StoreError as StoreError
    from exc.api import artifact as artifact
    from exc.api import load as load
    from exc.api import plan as plan
    from exc.api import read_plan as read_plan
    from exc.api import result_rows as result_rows
    from exc.api import results as results
    from exc.api import samples as samples
    from exc.api import status as status

__version__ = "0.1.0"

_API = frozenset(
    {
        *("Adoption", "Artifact", "Experiment", "Job", "Node", "Plan", "PlanError", "Sample", "Score"),
        *("SpecError", "Status", "StoreError", "artifact", "load", "plan", "read_plan", "result_rows"),
        *("results", "samples", "status"),
    }
)

__all__ = ["__version__", *sorted(_API)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module `exc` has no attribute `{name}`")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
