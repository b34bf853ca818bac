"""The root of the spec, and the Experiment: the models together with where every value was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from exc.spec.base import Fraction, Int, Model, Name, PositiveFloat, PositiveInt
from exc.spec.data import Data, Task
from exc.spec.diagnostics import Span
from exc.spec.recipes import Stage
from exc.spec.references import ModelRef, Selector
from exc.spec.source import Node, span_at
from exc.spec.trunks import Trunk
from exc.spec.units import Bytes

EVALUATION_KINDS = ("pass_at_k", "bits_per_byte")
Figure = Literal["gains", "panels", "sharpening", "general"]
FIGURES: tuple[Figure, ...] = ("gains", "panels", "sharpening", "general")


class Fewshot(Model):
    """Exemplars in the prompt by class of model: base (only pre-training in its ancestry) and trained."""

    base: int = Field(default=0, ge=0, strict=True)
    trained: int = Field(default=0, ge=0, strict=True)


class PassAtK(Model):
    """Unbiased pass@k (arXiv 2107.03374) from a pool of samples per problem."""

    task: str
    split: str = "test"
    limit: PositiveInt | None = Field(default=None, description="only the first so many problems")
    k: tuple[PositiveInt, ...] = Field(min_length=1)
    num_samples: PositiveInt = Field(description="samples per problem; drawn in blocks of 16")
    temperature: float = Field(default=1.0, ge=0, strict=True)
    top_p: PositiveFloat = 1.0
    max_new_tokens: PositiveInt
    num_fewshot: Fewshot = Fewshot()


class BitsPerByte(Model):
    """Compression of held-out text: total bits of the text under the model, over its UTF-8 bytes."""

    data: str
    text: str = Field(default="text", description="the column that holds the text")
    limit: Bytes | None = Field(default=None, description="only the first so many bytes of text")
    sequence_length: PositiveInt | None = Field(default=None, description="window; by default the trunk's")


class Evaluation(Model):
    """A measurement of models; exactly one of its kinds. `on` selects the models, all by default."""

    pass_at_k: PassAtK | None = None
    bits_per_byte: BitsPerByte | None = None
    on: Selector = Selector()

    @property
    def kind(self) -> str:
        return next(kind for kind in EVALUATION_KINDS if getattr(self, kind) is not None)


class Branches(Model):
    """Which recipes are applied to which checkpoints; left out: all."""

    trunks: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None
    at: tuple[PositiveInt, ...] | None = None


class Replicates(Model):
    """How many independent repetitions the selected branches have. The last entry that matches counts."""

    num: PositiveInt | None = None
    seeds: tuple[Int, ...] | None = Field(default=None, description="pins the seed of each replicate")
    on: Selector = Selector()


class Contrast(Model):
    """A comparison that the report makes: a minus b, paired by problem, at each checkpoint."""

    a: ModelRef
    b: ModelRef
    varies: tuple[str, ...] = Field(
        default=(), description="settings in which the two may differ without a warning"
    )


class Report(Model):
    """What `exc report` draws."""

    title: str | None = None
    contrasts: tuple[Contrast, ...] = ()
    figures: tuple[Figure, ...] = FIGURES
    confidence: Fraction = 0.95


class Spec(Model):
    """One experiment file."""

    version: Literal[1]
    experiment: Name
    description: str = ""
    seed: int = Field(default=0, ge=0, strict=True)
    data: dict[Name, Data] = Field(default_factory=dict)
    tasks: dict[Name, Task] = Field(default_factory=dict)
    trunks: dict[Name, Trunk]
    recipes: dict[Name, tuple[Stage, ...]] = Field(default_factory=dict)
    branches: tuple[Branches, ...] | None = None
    replicates: tuple[Replicates, ...] = ()
    evaluations: dict[Name, Evaluation] = Field(default_factory=dict)
    report: Report = Report()
    accept: dict[str, str] = Field(
        default_factory=dict, description="finding's code: the reason to accept it"
    )


Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Experiment:
    """A valid spec, and the tree it was read from, which knows the line and column of every value."""

    spec: Spec
    tree: Node
    file: str  # as the user typed it
    sources: Mapping[str, str] = field(default_factory=dict)  # file -> its text, for rendering diagnostics

    def span(self, *path: str | int, key: bool = False) -> Span:
        """Where the value (or, with `key`, its key) at `path` was written; its nearest ancestor if implied."""
        return span_at(self.tree, path, key=key)

    def where(self, *path: str | int) -> str:
        """`file:line:column` of the key at `path`, with the file's name alone: the same on every machine."""
        span = self.span(*path, key=True)
        return f"{span.file.rsplit('/', 1)[-1]}:{span.line}:{span.column}"
