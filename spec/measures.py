"""Evaluations that are not the study's own tasks: the harness of others, and what was trained on already."""

from __future__ import annotations

from pydantic import Field

from exc.spec.base import Model, PositiveInt
from exc.spec.prompting import Fewshot


class LmEval(Model):
    """Tasks of lm-evaluation-harness, asked through its API, offline and with fixed seeds.

    Each number has the name that the harness gives it, behind its task's: `hellaswag/acc_norm`. `mean` is
    over the tasks' headline metrics: acc_norm where a task has it, else acc, else exact_match, f1 or score,
    else its first.
    """

    tasks: tuple[str, ...] = Field(
        min_length=1, description="names of tasks or groups, of the harness or of `include`"
    )
    include: str | None = Field(
        default=None,
        description="a folder beside the spec with YAML of tasks; paths of data in it count from the spec's "
        "folder",
    )
    metrics: dict[str, str] = Field(
        default_factory=dict, description="task -> the metric that stands for it; by default its headline"
    )
    mean: tuple[str, ...] | None = Field(
        default=None,
        description="the tasks that `mean` is over; by default those known by a share of right answers",
    )
    limit: PositiveInt | None = Field(
        default=None, description="only the first so many problems of each task"
    )
    num_fewshot: Fewshot | None = Field(
        default=None, description="exemplars in the prompt; by default what each task says"
    )


class Contamination(Model):
    """How many of a task's problems stand in what the study trains on, looked for row by row.

    Words are compared without case and punctuation. A problem is found where `ngram` words of it in a row
    stand in a row of training data; one with fewer words, where all of it does. It looks at the mixtures of
    trunks and of `pretrain` stages, and at the data under the tasks that other stages train on.
    """

    task: str = Field(description="the task whose problems are looked for")
    split: str = Field(default="test", description="the split of the task")
    fields: tuple[str, ...] | None = Field(
        default=None, description="fields of the rows that are looked for; by default what the prompt reads"
    )
    limit: PositiveInt | None = Field(default=None, description="only the first so many problems")
    ngram: PositiveInt = Field(default=13, description="words in a row that make a problem found")
