"""Who reads data that a job makes: what a model reference there leaves out is the reader's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reader:
    """A stage of a branch."""

    trunk: str
    at: int
    recipe: str
    replicate: int
    index: int  # of the stage in its recipe
    stage: str
