"""Data sources: named streams of rows. And tasks: what is asked of a model, over data."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from exc.spec.base import Float, Fraction, Json, Model, Name, PositiveInt, Target

KINDS = ("jsonl", "parquet", "text", "python")  # exactly one of these keys says where the rows come from


class Data(Model):
    """Rows from files beside the spec or from a Python callable beside it that yields dict rows."""

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
    args: Json = Field(default_factory=dict, description="keyword arguments of the Python callable")
    files: tuple[str, ...] = Field(
        default=(), description="files that the Python callable reads; their content is part of identity"
    )
    split: Literal["file", "line", "paragraph"] = Field(
        default="file", description="what one row of a text source is"
    )

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)


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


class Rewards(Model):
    """What a completion earns: `correct` if right, else `format` if an answer was found, else 0."""

    correct: Float = Field(default=1.0, description="for a right answer")
    format: Float = Field(default=0.0, description="for an answer that is wrong, but could be found")


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
    verifier: str = Field(default="numeric", description="numeric, exact, or python:module:function")
    max_unverifiable: Fraction = Field(
        default=0.05, description="share of samples the verifier may fail on before scoring fails"
    )
    rewards: Rewards = Field(default=Rewards(), description="what grpo pays for a completion")
