"""What a spec may hold that the models do not say: the short forms, and keys that only the loader reads.

Everything else of the JSON Schema follows from the models. Models are named here, not imported: a name that
no model has is a mistake, and so is a model with a short form that is not here; both fail a test.
"""

from __future__ import annotations

from typing import Any, get_args

from exc.spec.base import NAME, RESERVED
from exc.spec.check_selection import WARNINGS
from exc.spec.check_tasks import VERIFIERS
from exc.spec.figures import Against, Cost

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAME_PATTERN = "^" + NAME.pattern.removesuffix(r"\Z") + "$"
# A value that an entry's `matrix` fills in.
AXIS_PATTERN = r"^\$(?:[A-Za-z_][A-Za-z0-9_-]*|\{[^{}]*\})$"


# `module:function`
TARGET = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def whole(least: int) -> Schema:
    """A whole number, `least` or more."""
    return {"type": "integer", "minimum": least}


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_VALUE: Schema = {"type": ["string", "number", "boolean"]}
_STEPS = listed(whole(1))

# Model -> what may stand in place of its mapping; a text is the key whose value may stand alone.
SHORT_FORMS: dict[str, tuple[Schema | str, ...]] = {
    "At": (_STEPS,),
    "Column": (TEXT,),
    "Condition": (_VALUE, listed(_VALUE)),
    "Fewshot": (whole(0),),
    "FolderModel": ("path",),
    "FolderRun": ("path",),
    "HubData": ("repo",),
    "HubModel": ("repo",),
    "HubRun": ("repo",),
    "ModelRef": (TEXT,),
    "Pairs": (whole(1),),
    "Schedule": (_STEPS,),
    "Tracker": ("name",),
}

# (model, key) -> what may stand there beside what the model says.
PLACES: dict[tuple[str, str], Schema] = {
    **{("Data", key): TEXT for key in ("jsonl", "parquet", "text", "files")},
    **{("Condition", key): _VALUE for key in ("is", "not")},
    ("Command", "files"): TEXT,
    ("CommandRun", "files"): TEXT,
    ("Task", "stop"): TEXT,
    **{("LmEval", key): TEXT for key in ("tasks", "mean")},
    ("Contamination", "fields"): TEXT,
    **{("FigureOf", key): TEXT for key in ("metrics", "references")},
    ("FigureOf", "against"): {"enum": list(get_args(Against))},
    ("FigureOf", "costs"): {"enum": list(get_args(Cost))},
    ("Spec", "extends"): TEXT,
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
        ("Pretrain", "PretrainStage"),
        "the trunk, or the stage as `recipe.stage`, whose run this one copies; what is written here wins",
    ),
    **dict.fromkeys(
        (
            *("Sft", "Grpo", "Rloo", "Dpo", "Kto", "Merge", "Command"),
            *("Parallel", "Combined", "Interleave", "RlSide", "SftSide"),
        ),
        "the stage that this one copies, as `recipe.stage`; what is written here wins",
    ),
}

_VALUES = {**listed({"type": ["string", "number", "boolean", "null"]}), "type": ["array", "null"]}
_CELL: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
# Variants of an entry. Where it may stand is said by `exc.spec.cells.SECTIONS`.
MATRIX: Schema = {
    "type": ["object", "null"],
    "description": "variants of this entry: axis -> its values. Each cell is an entry of its own, "
    "`name[axis=value]`; `$axis` in the body stands for the value",
    "properties": {
        "zip": {
            "type": ["object", "null"],
            "description": "axes that go together, value by value",
            "additionalProperties": _VALUES,
            "minProperties": 1,
        },
        "include": {**listed(_CELL), "type": ["array", "null"], "description": "cells to add"},
        "exclude": {**listed(_CELL), "type": ["array", "null"], "description": "cells to leave out"},
    },
    "propertyNames": {"pattern": NAME_PATTERN},
    "additionalProperties": {**_VALUES, "errorMessage": "expected a list of values"},
}

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
