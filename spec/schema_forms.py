"""What a spec may hold that the models do not say: the short forms, and keys that only the loader reads.

Everything else of the JSON Schema follows from the models. Models are named here, not imported: a name that no
model has is a mistake, and so is a model with a short form that is not here; both fail a test.
"""

from __future__ import annotations

from typing import Any

from exc.spec.base import NAME, RESERVED
from exc.spec.check_selection import WARNINGS
from exc.spec.check_tasks import VERIFIERS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAME_PATTERN = "^" + NAME.pattern.removesuffix(r"\Z") + "$"
# A value that an entry's `matrix` fills in.
AXIS_PATTERN = r"^\$[A-Za-z_][A-Za-z0-9_]*$"


# `module:function`
TARGET = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def whole(least: int) -> Schema:
    """A whole number, `least` or more."""
    return {"type": "integer", "minimum": least}


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_VALUE: Schema = {"type": ["string", "number", "boolean"]}
_STEPS = listed(whole(1))

# Model -> what may stand in place of its mapping.
SHORT_FORMS: dict[str, tuple[Schema, ...]] = {
    "At": (_STEPS,),
    "Column": (TEXT,),
    "Condition": (_VALUE, listed(_VALUE)),
    "Fewshot": (whole(0),),
    "ModelRef": (TEXT,),
    "Pairs": (whole(1),),
    "Schedule": (_STEPS,),
}

# (model, key) -> what may stand there beside what the model says.
PLACES: dict[tuple[str, str], Schema] = {
    **{("Data", key): TEXT for key in ("jsonl", "parquet", "text", "files")},
    **{("Condition", key): _VALUE for key in ("is", "not")},
    ("Command", "files"): TEXT,
    ("Task", "stop"): TEXT,
    ("Spec", "replicates"): whole(1),
}

# (model, key) -> what the checks ask of a value beyond its type.
TIGHTER: dict[tuple[str, str], Schema] = {
    ("PassAtK", "top_p"): {"maximum": 1},
    ("Samples", "top_p"): {"maximum": 1},
    ("Report", "confidence"): {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ("Spec", "accept"): {
        "propertyNames": {"enum": list(WARNINGS), "description": "a finding of `exc check` that is a warning"}
    },
    ("Task", "verifier"): {
        "anyOf": [{"enum": list(VERIFIERS)}, {"pattern": rf"^python:{TARGET}$|{AXIS_PATTERN}"}]
    },
}

# Entries that may be a copy, and what `like` names there. A copy lacks nothing.
LIKE: dict[str, str] = {
    "Evaluation": "the evaluation that this one copies; what is written here wins",
    **dict.fromkeys(
        ("Sft", "Grpo", "Dpo", "PretrainStage", "Merge", "Command"),
        "the stage that this one copies, as `recipe.stage`; what is written here wins",
    ),
}

# Sections of the spec whose named entries may have a `matrix`; a recipe with one has its stages under `stages`.
MATRIX: tuple[str, ...] = ("data", "tasks", "trunks", "recipes", "evaluations")
MATRIX_TEXT = (
    "variants of this entry: axis -> its values. Each cell is an entry of its own, `name[axis=value]`; "
    "`$axis` stands for the value"
)
EXTENDS_TEXT = "files that this one goes on from: what is written here wins, `null` deletes, lists replace"

# The key under which a repeated block of stages says how often, and its stages.
REPEAT_TEXT = "how often the stages below are gone through, one after the other"
STAGES_TEXT = "the stages, in order"


def names(what: str) -> Schema:
    """The keys of a mapping from names; `what` they name is offered as their completion."""
    return {
        "title": what,
        "type": "string",
        "pattern": f"^(?!(?:{'|'.join(RESERVED)})$)" + NAME_PATTERN.removeprefix("^"),
        "patternErrorMessage": "a name is letters, digits, `_` and `-`, and starts with a letter or a digit; "
        f"{', '.join(f'`{word}`' for word in RESERVED)} have a meaning of their own",
    }
