"""Data sources: named streams of rows. And tasks: what is asked of a model, over data."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from exc.spec.base import Count, Float, Fraction, Json, Model, Name, PositiveInt, Target
from exc.spec.prompting import Sampling
from exc.spec.references import ModelRef
from exc.spec.units import DurationS

# Exactly one of these keys says where the rows come from.
KINDS = ("jsonl", "parquet", "text", "python", "hub", "reasoning_gym", "data", "samples")
PYTHON_VERIFIER = "python:"  # and `module:function` behind it: a verifier of the user's own
# What rows of samples have beside the fields of the task's row.
RATED = ("num_samples", "num_correct", "share_correct", "demonstrations", "wrong")

JsonScalar = (
    Annotated[str, Field(strict=True)]
    | Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True)]
    | Annotated[float, Field(strict=True)]
)


class Condition(Model):
    """What a column must be for a row to stay; all that is given holds. A bare list is `{is: [...]}`."""

    SHORT: ClassVar[str] = "a value or a list of values"

    is_: tuple[JsonScalar, ...] | None = Field(default=None, alias="is", description="one of these values")
    not_: tuple[JsonScalar, ...] | None = Field(default=None, alias="not", description="none of these values")
    min: Float | None = Field(default=None, description="this number or more")
    max: Float | None = Field(default=None, description="this number or less")


class Pairs(Model):
    """One row for each pair of a right and a wrong completion of a problem, as `chosen` and `rejected`."""

    SHORT: ClassVar[str] = "a whole number above 0"

    per_problem: PositiveInt = Field(description="pairs of one problem at most")


class Samples(Sampling):
    """Completions drawn from a model and judged by the task's verifier: one row for each problem.

    A row has the fields of the task's row, `num_samples`, `num_correct`, `share_correct`, and the texts of
    distinct completions: `demonstrations` has those that are right, `wrong` the others. What the reference
    leaves out is that of the branch which reads the data.
    """

    from_: ModelRef = Field(alias="from", description="the model that is sampled")
    split: str = Field(default="train", description="the split of the task")


class HubData(Model):
    """A data set on the hub, read from the Parquet files that the hub keeps of it.

    Its revision is resolved to a commit once, in `exc.lock` beside the spec.
    """

    SHORT: ClassVar[str] = "the name of a repository"

    repo: str = Field(description="owner/name")
    config: str = Field(default="default", description="the configuration, or subset")
    split: str = Field(default="train", description="the split")
    revision: str = Field(
        default="refs/convert/parquet",
        description="what holds CONFIG/SPLIT/*.parquet; by default the hub's own conversion",
    )

    @property
    def key(self) -> str:
        """What it is called in the lock file."""
        return f"datasets/{self.repo}@{self.revision}:{self.config}/{self.split}"


class ReasoningGym(Model):
    """Problems that a generator of reasoning-gym makes: rows of `question`, `answer` and `metadata`."""

    name: str = Field(description="the generator")
    size: PositiveInt = Field(description="how many problems")
    seed: Count = Field(default=0, description="of the generator; another seed makes other problems")
    config: Json = Field(default_factory=dict, description="settings of the generator, under its own names")


class Data(Model):
    """Named rows: from files or a Python callable beside the spec, from other data, or from a job.

    `where`, `group_by`, `drop`, `take` and `pairs` are applied in this order, however they are written.
    """

    jsonl: tuple[str, ...] | None = Field(
        default=None, description="JSON Lines files or glob patterns, relative to the spec"
    )
    parquet: tuple[str, ...] | None = Field(
        default=None, description="Parquet files or glob patterns, relative to the spec"
    )
    text: tuple[str, ...] | None = Field(
        default=None, description="UTF-8 text files; their rows have one column, `text`"
    )
    python: Target | None = Field(
        default=None, description="module:function beside the spec; called with `args`, yields dict rows"
    )
    hub: HubData | None = Field(default=None, description="a data set on the hub")
    reasoning_gym: ReasoningGym | None = Field(
        default=None, description="problems that a generator of reasoning-gym makes"
    )
    args: Json = Field(default_factory=dict, description="keyword arguments of the Python callable")
    files: tuple[str, ...] = Field(
        default=(), description="files that the Python callable reads; their content is part of identity"
    )
    split: Literal["file", "line", "paragraph"] = Field(
        default="file", description="what one row of a text source is"
    )
    data: str | None = Field(default=None, description="another data source, whose rows are transformed")
    samples: Samples | None = Field(default=None, description="what a model says to a task")
    where: dict[str, Condition] = Field(
        default_factory=dict, description="column -> what it must be for a row to stay"
    )
    group_by: str | None = Field(
        default=None,
        description="rows that share this column's value become one row, and every other column a list",
    )
    drop: Count = Field(default=0, description="leaves out the first so many rows")
    take: PositiveInt | None = Field(default=None, description="only the first so many rows, behind `drop`")
    pairs: Pairs | None = Field(
        default=None, description="right and wrong completions as rows of `chosen` and `rejected`"
    )

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def is_transformed(self) -> bool:
        return bool(self.where or self.group_by or self.drop or self.take or self.pairs)


class Column(Model):
    """Where a field of a task comes from. A bare word in YAML is `{column: word}`."""

    SHORT: ClassVar[str] = "the name of a column"

    column: str = Field(description="a column of the data source")
    regex: str | None = Field(
        default=None, description="its first group is the value; a row that does not match is an error"
    )


class Split(Model):
    """Rows of a data source under the names a task knows. Columns left out map to themselves."""

    data: str = Field(description="the data source that holds the rows")
    columns: dict[str, Column] = Field(
        default_factory=dict,
        description="field of the task -> column: what the prompt reads, `answer`, `demonstrations`",
    )
    limit: PositiveInt | None = Field(default=None, description="only the first so many rows")


Form = Literal["any", "boxed", "hashes", "answer-tags"]


class Rewards(Model):
    """What a completion earns: `correct` if right, else `format` if an answer was found, else 0."""

    correct: Float = Field(default=1.0, description="for a right answer")
    format: Float = Field(default=0.0, description="for an answer that is wrong, but could be found")
    form: Form = Field(
        default="any",
        description="where an answer must stand to earn `format`: `\\boxed{...}`, behind `####`, in "
        "`<answer>...</answer>`, or wherever the verifier finds one",
    )


class Task(Model):
    """Prompts, answers and demonstrations, with the verifier that judges a completion."""

    prompt: str = Field(
        description="template over the row's fields, `{question}`; literal braces are doubled"
    )
    splits: dict[Name, Split] = Field(description="rows by purpose, such as `train` and `test`")
    fewshot: Split | None = Field(
        default=None, description="the pool of exemplars; each evaluation says how many"
    )
    stop: tuple[str, ...] = Field(
        default=(), description="a completion ends before the first of these; end of sequence always ends it"
    )
    verifier: str = Field(
        default="numeric", description="numeric, math, exact, reasoning_gym, or python:module:function"
    )
    verifier_timeout: Annotated[DurationS, Field(gt=0)] | None = Field(
        default=None,
        description="for one call of a verifier that could hang; what takes longer cannot be verified. By "
        "default 10s for `math` and `reasoning_gym`, 60s for Python",
    )
    max_unverifiable: Fraction = Field(
        default=0.05, description="share of samples the verifier may fail on before scoring fails"
    )
    rewards: Rewards = Field(default=Rewards(), description="what grpo pays for a completion")
