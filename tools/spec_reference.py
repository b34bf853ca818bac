"""Write docs/spec.md: the keys of a spec, from the models that read it.

python tools/spec_reference.py             rewrite the page
python tools/spec_reference.py --print     print it instead
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from exc.spec.check_selection import WARNINGS
from exc.spec.codes import CODES
from exc.spec.data import Column, Condition, Data, HubData, Pairs, ReasoningGym, Rewards, Samples, Split, Task
from exc.spec.expected import arms, bare, describe, field_annotation, is_model
from exc.spec.experiment import (
    BitsPerByte,
    Branches,
    Contrast,
    Evaluation,
    PassAtK,
    Replicates,
    Report,
    Spec,
)
from exc.spec.figures import FigureOf
from exc.spec.kinds import KINDS
from exc.spec.measures import Contamination, LmEval
from exc.spec.paired import Combined, Interleave, Parallel, RlSide, SftSide
from exc.spec.profiles import Profile, Resources, ResourceSelector, Retries, Tracker
from exc.spec.prompting import Fewshot
from exc.spec.published import FolderModel, FolderRun, HubModel, HubRun
from exc.spec.recipes import Command, Dpo, Grpo, Kto, Merge, PretrainStage, Rloo, Sft, Stage
from exc.spec.references import (
    At,
    Best,
    BestStep,
    FractionBetween,
    ModelRef,
    Selector,
    StepsBetween,
    TokensBetween,
)
from exc.spec.schedule import FactorRange, FractionRange, Schedule, StepRange, TokenRange
from exc.spec.slurm_profile import Container, Launch, Slurm, SlurmPlace, Vllm
from exc.spec.training import Lora
from exc.spec.trunks import Bpe, CommandRun, Continues, LrSchedule, Optimizer, Pretrain, Tokenizer, Trunk
from exc.spec.units import format_bytes, format_duration, parse_bytes, parse_duration_s

PAGE = Path(__file__).parent.parent / "docs" / "spec.md"
EXAMPLES = Path(__file__).parent / "spec_reference.md"

INTRODUCTION = """\
<!-- Written by tools/spec_reference.py from the models in spec/; examples: tools/spec_reference.md. -->

# What may stand in a spec

A spec is one YAML file, read by YAML 1.2's rules and nothing looser: `1e-6` is a number, `no` is text. A key
that is not listed here, a key given twice, or a value of another type is an error with its line and column;
`exc check` finds all of them in one run. Amounts carry their unit: tokens `50B`, `1.5M` or `4096`; sizes
`40GB` or `1GiB`; durations `8h` or `1h30m`. Names are at most 80 letters, digits, `_` and `-`; `base`,
`prev`, `final`, `tasks`, `data` and `merge` are taken. An entry with a
[`matrix`](#a-matrix) stands for several.

The examples on this page are parts of one study. Its files and Python modules lie beside the spec.
"""

# Keys that say what kind an entry is: exactly one of them is given.
ONE_OF = KINDS
# What one of them is called, where the heading is not in the singular.
NOUNS: dict[type[BaseModel], str] = {
    Data: "a data source",
    Task: "a task",
    Trunk: "a trunk",
    Schedule: "a schedule",
    Stage: "a stage",
    ModelRef: "a model reference",
    Branches: "a selection",
    Replicates: "a selection",
    Evaluation: "an evaluation",
    Selector: "a selector",
    StepsBetween: "an interval",
    TokensBetween: "an interval",
    FractionBetween: "an interval",
    FigureOf: "a figure",
    HubData: "a data set",
    HubModel: "a model",
    FolderModel: "a model",
}
# The examples of amounts, which the introduction gives once.
_AMOUNTS = re.compile(r" such as (?:50B|40GB|8h)[^,]*,.*? or \w+(?: \([^)]*\))?")
# Not a key in YAML: the stage's name is the key that its body stands under.
HIDDEN = {(Stage, "name"), (Stage, "repeats"), (FigureOf, "figure")}


@dataclass(frozen=True)
class Part:
    """A heading and its model; further models stand below it, each under a heading of its own."""

    title: str
    model: type[BaseModel] | None
    below: dict[str, type[BaseModel]] = field(default_factory=dict)


PARTS = (
    Part("The top level", Spec),
    Part(
        "Data",
        Data,
        {
            "A data set on the hub": HubData,
            "A condition": Condition,
            "Pairs": Pairs,
            "Samples of a model": Samples,
            "reasoning_gym": ReasoningGym,
        },
    ),
    Part("Tasks", Task, {"A split": Split, "A column": Column, "Rewards": Rewards}),
    Part(
        "Trunks",
        Trunk,
        {
            "pretrain": Pretrain,
            "A tokenizer": Tokenizer,
            "bpe": Bpe,
            "A learning rate": LrSchedule,
            "An optimizer": Optimizer,
            "What is taken over": Continues,
            "A trunk on the hub": HubRun,
            "A trunk in a folder": FolderRun,
            "A trunk by a trainer of your own": CommandRun,
        },
    ),
    Part(
        "Schedules",
        Schedule,
        {
            "A range of steps": StepRange,
            "A range of tokens": TokenRange,
            "A range of fractions": FractionRange,
            "A range of multiples": FactorRange,
        },
    ),
    Part(
        "Recipes and stages",
        Stage,
        {
            "sft": Sft,
            "grpo": Grpo,
            "rloo": Rloo,
            "dpo": Dpo,
            "kto": Kto,
            "parallel": Parallel,
            "combined": Combined,
            "interleave": Interleave,
            "The side of reinforcement": RlSide,
            "The side of demonstrations": SftSide,
            "Adapters": Lora,
            "More pre-training": PretrainStage,
            "merge": Merge,
            "command": Command,
            "A model on the hub": HubModel,
            "A model in a folder": FolderModel,
        },
    ),
    Part("Model references", ModelRef, {"A step that is chosen": BestStep, "By what": Best}),
    Part("Branches", Branches),
    Part("Replicates", Replicates),
    Part(
        "Evaluations",
        Evaluation,
        {
            "pass_at_k": PassAtK,
            "Exemplars": Fewshot,
            "bits_per_byte": BitsPerByte,
            "lm_eval": LmEval,
            "contamination": Contamination,
        },
    ),
    Part("A matrix", None),
    Part(
        "Selectors",
        Selector,
        {
            "Checkpoints": At,
            "An interval of steps": StepsBetween,
            "An interval of tokens": TokensBetween,
            "An interval of shares": FractionBetween,
        },
    ),
    Part("Report", Report, {"A contrast": Contrast, "A figure": FigureOf}),
    Part("Accept", None),
    Part(
        "Profiles",
        Profile,
        {
            "Resources": Resources,
            "Which jobs": ResourceSelector,
            "SLURM": Slurm,
            "A place in SLURM": SlurmPlace,
            "Sharded weights": Launch,
            "vLLM": Vllm,
            "A container": Container,
            "Retries": Retries,
            "A tracker": Tracker,
        },
    ),
)
TITLES = {part.model: part.title for part in PARTS if part.model is not None} | {
    model: title for part in PARTS for title, model in part.below.items()
}


def page() -> str:
    """The whole page. Raises SystemExit for a model without a place or a key without a description."""
    prose = _prose()
    if set(prose) != {part.title for part in PARTS}:
        raise SystemExit(f"{EXAMPLES.name} and this tool differ in their headings")
    out = [INTRODUCTION]
    for part in PARTS:
        out.append(f"## {part.title}\n\n{_said(part.model)}{prose[part.title]}\n")
        out += [_findings()] if part.title == "Accept" else []
        out += [_table(part.model)] if part.model is not None else []
        for title, model in part.below.items():
            out.append(f"### {title}\n\n{_said(model)}\n{_table(model)}")
    return "\n".join(out).replace("\n\n\n", "\n\n")


def _prose() -> dict[str, str]:
    """Heading -> what a person wrote below it: examples and short forms."""
    parts = re.split(r"^## (.+)\n", EXAMPLES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def _said(model: type[BaseModel] | None) -> str:
    """The model's docstring as a paragraph or two."""
    return "" if model is None else f"{inspect.getdoc(model)}\n\n"


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        if (model, name) not in HIDDEN:
            if not info.description:
                raise SystemExit(f"{model.__name__}.{name} has no description")
            cells = (f"`{info.alias or name}`", _value(info), _default(model, name, info), info.description)
            rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _value(info: FieldInfo) -> str:
    annotation = field_annotation(info)
    return ", or ".join(dict.fromkeys(_words(arm) for arm in arms(annotation)))


def _words(annotation: Any) -> str:
    """What may stand there, with links to the models' own tables."""
    kind = bare(annotation)
    if len(arms(kind)) > 1:
        return ", or ".join(dict.fromkeys(_words(arm) for arm in arms(kind)))
    if is_model(kind):
        return _link(kind)
    items = get_args(kind)
    if get_origin(kind) is dict and items[1] is not Any:
        return f"a mapping, each value {_words(items[1])}"
    if get_origin(kind) is tuple and is_model(items[0]):
        return f"a list, each item {_link(items[0])}"
    return _AMOUNTS.sub("", describe(annotation))


def _link(model: type[BaseModel]) -> str:
    title = TITLES[model]
    return f"[{NOUNS.get(model, title.lower())}](#{title.lower().replace(' ', '-')})"


def _default(model: type[BaseModel], name: str, info: FieldInfo) -> str:
    if name in ONE_OF.get(model, ()):
        return "one of these"
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    assert value is not PydanticUndefined
    if isinstance(value, BaseModel):
        return "see there"
    return "" if value is None or value in ("", (), {}) else f"`{_written(value, info)}`"


def _written(value: Any, info: FieldInfo) -> str:
    """A value as a person writes it in YAML."""
    reads = {getattr(constraint, "func", None) for constraint in info.metadata}
    if parse_bytes in reads:
        return format_bytes(value)
    if parse_duration_s in reads:
        return format_duration(value)
    if isinstance(value, tuple):
        return f"[{', '.join(str(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return re.sub(r"^(\d+)e-0?", r"\1.0e-", str(value))


def _findings() -> str:
    """The findings that `accept` can name."""
    rows = [f"| [`{code}`](diagnostics.md#{code}) | {CODES[code].title} |" for code in WARNINGS]
    return "\n".join(["| finding | what it says |", "|---|---|", *rows]) + "\n"


def main() -> None:
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
