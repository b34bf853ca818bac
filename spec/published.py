"""Models that were made elsewhere: on the hub, or in a folder."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from exc.spec.base import Model, PositiveInt
from exc.spec.units import Tokens


class HubModel(Model):
    """A model on the hub. Its revision is resolved to a commit once, in `exc.lock` beside the spec."""

    SHORT: ClassVar[str] = "the name of a repository"

    repo: str = Field(description="owner/name")
    revision: str = Field(default="main", description="a branch, a tag or a commit")

    @property
    def key(self) -> str:
        """What it is called in the lock file."""
        return f"{self.repo}@{self.revision}"


class FolderModel(Model):
    """A model in a folder, in Hugging Face form."""

    SHORT: ClassVar[str] = "a folder"

    path: str = Field(description="the folder, relative to the spec; its files' content is part of identity")


class HubRun(HubModel):
    """A model on the hub as a trunk of one checkpoint."""

    step: PositiveInt = Field(default=1, description="the step that it stands at, where that is known")
    tokens: Tokens | None = Field(
        default=None, description="the tokens that it has seen, where that is known"
    )


class FolderRun(FolderModel):
    """A model in a folder as a trunk of one checkpoint."""

    step: PositiveInt = Field(default=1, description="the step that it stands at, where that is known")
    tokens: Tokens | None = Field(
        default=None, description="the tokens that it has seen, where that is known"
    )
