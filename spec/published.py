"""Models that were made elsewhere: on the hub, or in a folder."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from exc.spec.base import Model, PositiveInt
from exc.spec.known_runs import KNOWN_RUNS
from exc.spec.ladders import Names
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

    @property
    def tokenizer_key(self) -> str:
        """What its tokenizer alone is called in the lock file."""
        return f"{self.key}#tokenizer"


class FolderModel(Model):
    """A model in a folder, in Hugging Face form."""

    SHORT: ClassVar[str] = "a folder"

    path: str = Field(description="the folder, relative to the spec; its files' content is part of identity")


class HubRun(Model):
    """A run on the hub as a trunk: all of its published checkpoints, or one model.

    The checkpoints are those of a `preset`, or the branches and tags of one repository or several whose names
    follow a `pattern`. They are listed once, in `exc.lock`.
    """

    SHORT: ClassVar[str] = "the name of a repository"

    preset: str | None = Field(
        default=None, description="a run that exc knows, such as `olmo2-1b`, `pythia-410m` or `amber`"
    )
    repo: str | None = Field(default=None, description="owner/name")
    repos: tuple[str, ...] = Field(
        default=(), description="several of them with checkpoints of one run; of a step in two, the first's"
    )
    revision: str = Field(default="main", description="of a single model: a branch, a tag or a commit")
    pattern: str | None = Field(
        default=None,
        description="how its checkpoints are called, such as `stage1-step{step}-tokens{tokens}B`: `{step}`, "
        "or `{index}` counted from 0; `{tokens}` with its unit behind it; `{any}` stands for any text",
    )
    tokens_per_step: PositiveInt | None = Field(
        default=None,
        description="tokens in one step, which count before those in names, as these are rounded",
    )
    step: PositiveInt = Field(
        default=1, description="of a single model: the step that it stands at, where that is known"
    )
    tokens: Tokens | None = Field(
        default=None, description="of a single model: the tokens that it has seen, where that is known"
    )

    @property
    def is_single(self) -> bool:
        """Whether it is one model; neither that nor checkpoints is what is at fault."""
        return self.repo is not None and self.preset is None and self.pattern is None

    @property
    def model(self) -> HubModel:
        """The single model that it is."""
        return HubModel(repo=self.repo or "", revision=self.revision)

    @property
    def names(self) -> Names | None:
        """How its checkpoints are called; None of a single model."""
        if self.preset is not None:
            return KNOWN_RUNS.get(self.preset)
        if self.pattern is None:
            return None
        return Names((self.repo,) if self.repo else self.repos, self.pattern, self.tokens_per_step)


class FolderRun(FolderModel):
    """A run in a folder as a trunk: with `pattern` a checkpoint in each folder below, else one model."""

    pattern: str | None = Field(
        default=None,
        description="how the folders of its checkpoints are called, such as `checkpoint-{step}`",
    )
    tokens_per_step: PositiveInt | None = Field(
        default=None,
        description="tokens in one step, which count before those in names, as these are rounded",
    )
    step: PositiveInt = Field(
        default=1, description="of a single model: the step that it stands at, where that is known"
    )
    tokens: Tokens | None = Field(
        default=None, description="of a single model: the tokens that it has seen, where that is known"
    )

    @property
    def is_single(self) -> bool:
        """Whether it is one model."""
        return self.pattern is None

    @property
    def model(self) -> FolderModel:
        """The single model that it is."""
        return FolderModel(path=self.path)

    @property
    def names(self) -> Names | None:
        """How its checkpoints are called; None of a single model."""
        return None if self.pattern is None else Names((self.path,), self.pattern, self.tokens_per_step)
