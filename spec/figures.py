"""Figures of the report: which there are, and what each can be told."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from exc.spec.base import Bool, Model
from exc.spec.references import Selector

Figure = Literal[
    "gains",
    "panels",
    "sharpening",
    "general",
    "dynamics",
    "predictor",
    "tradeoff",
    "seeds",
    "efficiency",
    "training",
    "sweep",
    "baselines",
]
FIGURES: tuple[Figure, ...] = ("gains", "panels", "sharpening", "general")  # drawn unless the spec says which
Against = Literal["base", "input", "asked"]
Cost = Literal["flops", "samples", "tokens"]

# Figure -> the keys that it takes beside `on`.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "gains": ("evaluation", "metrics", "against", "together", "log"),
    "panels": ("evaluation", "metrics", "together", "log"),
    "sharpening": ("evaluation", "against"),
    "general": ("evaluation", "metrics", "together", "log"),
    "dynamics": ("evaluation", "metrics", "references"),
    "predictor": ("x", "y", "log"),
    "tradeoff": ("x", "y"),
    "seeds": ("evaluation", "metrics", "best"),
    "efficiency": ("evaluation", "metrics", "costs", "log"),
    "training": ("metrics",),
    "sweep": ("evaluation", "metrics", "axis", "references"),
    "baselines": ("metrics", "log"),
}
REQUIRED: dict[str, tuple[str, ...]] = {"predictor": ("x", "y")}


class FigureOf(Model):
    """A figure, of a part of what there is. In YAML a name, or `name: {on: ...}`.

    Not every figure takes every key: [its page](report.md#figures) says which.
    """

    SHORT: ClassVar[str] = "the name of a figure"
    HIDDEN: ClassVar[tuple[str, ...]] = ("figure",)  # the key that the body stands under

    figure: Figure = Field(description="which")
    on: Selector = Field(default=Selector(), description="which models it shows; by default all")
    evaluation: str | None = Field(
        default=None, description="one evaluation; by default all that it can draw"
    )
    metrics: tuple[str, ...] | None = Field(
        default=None,
        description="the metrics, a panel for each, as `pass@1`, in a sweep also as `evaluation/metric`; of "
        "training, as a stage logs them",
    )
    x: str | None = Field(default=None, description="what lies across, as `evaluation/metric`")
    y: str | None = Field(default=None, description="what goes up, as `evaluation/metric`")
    against: tuple[Against, ...] | None = Field(
        default=None,
        description="gains over the `base` model, over the `input` of the last stage, or the contrasts that "
        "were `asked` for; by default the first two",
    )
    together: Bool = Field(default=False, description="all trunks in one figure, a line each")
    references: tuple[str, ...] | None = Field(
        default=None, description="recipes, or `base`, that are drawn as lines across"
    )
    costs: tuple[Cost, ...] | None = Field(
        default=None, description="what lies across, a row for each; by default `flops` and `samples`"
    )
    axis: str | None = Field(default=None, description="an axis of a matrix: its values lie across")
    best: str | None = Field(
        default=None, description="also mark the best replicate by this metric, labelled as chosen"
    )
    log: Bool | None = Field(
        default=None, description="whether the axis across is logarithmic; by default as its values need"
    )

    def __str__(self) -> str:
        return self.figure
