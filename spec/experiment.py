"""The root of the spec, and the Experiment: the models together with where every value was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from exc.spec.base import Float, Fraction, Int, Model, Name, PositiveInt
from exc.spec.cells import Cells
from exc.spec.data import Data, Task
from exc.spec.diagnostics import Span
from exc.spec.figures import FIGURES, FigureOf
from exc.spec.measures import Contamination, LmEval
from exc.spec.prompting import Sampling
from exc.spec.recipes import Stage
from exc.spec.references import At, ModelRef, Selector
from exc.spec.scalars import Plain
from exc.spec.source import Node, span_at
from exc.spec.trunks import Trunk
from exc.spec.units import Bytes

EVALUATION_KINDS = ("pass_at_k", "bits_per_byte", "lm_eval", "contamination")


class PassAtK(Sampling):
    """Unbiased pass@k (arXiv 2107.03374) from a pool of samples per problem."""

    split: str = Field(default="test", description="the split of the task")
    k: tuple[PositiveInt, ...] = Field(min_length=1, description="numbers of tries, `num_samples` at most")


class BitsPerByte(Model):
    """Compression of held-out text: total bits of the text under the model, over its UTF-8 bytes."""

    data: str = Field(description="the data source that holds the text")
    text: str = Field(default="text", description="the column that holds the text")
    limit: Bytes | None = Field(default=None, description="only the first so many bytes of text")
    sequence_length: PositiveInt | None = Field(
        default=None, description="window; by default the trunk's, of a published model 1024"
    )


class Evaluation(Model):
    """A measurement of models; exactly one of its kinds. `on` selects the models, all by default."""

    pass_at_k: PassAtK | None = Field(default=None, description="problems solved in k tries")
    bits_per_byte: BitsPerByte | None = Field(default=None, description="compression of text")
    lm_eval: LmEval | None = Field(default=None, description="tasks of lm-evaluation-harness")
    contamination: Contamination | None = Field(
        default=None, description="problems that stand in what is trained on; of data, not of models"
    )
    on: Selector = Field(
        default=Selector(), description="which models; by default all, at final and used steps"
    )

    @property
    def kind(self) -> str:
        return next(kind for kind in EVALUATION_KINDS if getattr(self, kind) is not None)


class Branches(Model):
    """Which recipes are applied to which checkpoints; left out: all."""

    trunks: tuple[str, ...] | None = Field(default=None, description="by default all")
    recipes: tuple[str, ...] | None = Field(default=None, description="by default all")
    at: At | None = Field(default=None, description="which checkpoints; by default all")


class Replicates(Model):
    """How many independent repetitions the selected branches have. The last entry that matches counts."""

    num: PositiveInt | None = Field(default=None, description="how many; this or `seeds`")
    seeds: tuple[Int, ...] | None = Field(default=None, description="pins the seed of each replicate")
    on: Selector = Field(default=Selector(), description="which branches; by default all")


class Contrast(Model):
    """A comparison that the report makes: a minus b, paired by problem, at each checkpoint."""

    a: ModelRef = Field(description="the model of interest")
    b: ModelRef = Field(description="what it is compared with")
    varies: tuple[str, ...] = Field(
        default=(), description="settings in which the two are meant to differ; the report names them"
    )
    effect: Annotated[Float, Field(gt=0)] | None = Field(
        default=None, description="the difference that is to be found, in the metric's own unit"
    )
    spread: Annotated[Float, Field(ge=0)] | None = Field(
        default=None, description="the standard deviation between replicates, known or feared"
    )


class Report(Model):
    """What `exc report` draws."""

    title: str | None = Field(default=None, description="by default the experiment's name")
    contrasts: tuple[Contrast, ...] = Field(default=(), description="comparisons, in the order shown")
    figures: tuple[FigureOf, ...] = Field(
        default=tuple(FigureOf(figure=name) for name in FIGURES),
        description="which figures, in this order",
    )
    confidence: Fraction = Field(default=0.95, description="level of every interval, above 0 and below 1")


class Spec(Model):
    """One experiment file."""

    version: Literal[1] = Field(description="of this format")
    experiment: Name = Field(description="the study's name, in the store and the report")
    description: str = Field(default="", description="what it is about, for readers of the plan")
    extends: tuple[str, ...] = Field(
        default=(),
        description="files that this one changes, relative to it; maps merge deep, later files and then the "
        "spec itself win, `null` deletes, lists replace. Paths of data and Python modules count from the "
        "spec's folder in every one of them, as if their text stood in the spec",
    )
    seed: int = Field(default=0, ge=0, strict=True, description="the root that every other seed comes from")
    data: dict[Name, Data] = Field(default_factory=dict, description="sources of rows")
    tasks: dict[Name, Task] = Field(default_factory=dict, description="what is asked of a model")
    trunks: dict[Name, Trunk] = Field(description="pre-training runs, at least one")
    recipes: dict[Name, tuple[Stage, ...]] = Field(
        default_factory=dict, description="lists of stages, applied to checkpoints"
    )
    branches: tuple[Branches, ...] | None = Field(
        default=None, description="which recipes on which checkpoints; by default each on every one"
    )
    replicates: tuple[Replicates, ...] = Field(
        default=(), description="independent repetitions; 1 by default"
    )
    evaluations: dict[Name, Evaluation] = Field(default_factory=dict, description="what is measured")
    report: Report = Field(default=Report(), description="what `exc report` draws")
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
    cells: Cells = field(default_factory=dict)  # (section, name) -> the cell of a matrix that the entry is
    unused: frozenset[tuple[str, str]] = frozenset()  # (section, name) of data and tasks that nothing reads

    def span(self, *path: str | int, key: bool = False) -> Span:
        """Where the value (or, with `key`, its key) at `path` was written; an ancestor if implied."""
        return span_at(self.tree, path, key=key)

    def where(self, *path: str | int) -> str:
        """`file:line:column` of the key at `path`; the file as seen from the spec's folder."""
        span = self.span(*path, key=True)
        folder = self.file.rpartition("/")[0]
        return f"{span.file.removeprefix(f'{folder}/') if folder else span.file}:{span.line}:{span.column}"

    def base(self, section: str, name: str) -> str:
        """The entry that a cell belongs to; an entry without a matrix is its own."""
        cell = self.cells.get((section, name))
        return name if cell is None else cell.base

    def values(self, section: str, name: str) -> Mapping[str, Plain]:
        """The values of a cell's axes; none of an entry without a matrix."""
        cell = self.cells.get((section, name))
        return {} if cell is None else cell.values
