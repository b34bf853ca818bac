"""A stage's `args`: checked against TRL's fields, resolved to every value that the stage passes, and hashed.

TRL is never imported: `tables/trl-VERSION.json` holds its fields (written by tools/trl_tables.py), and
`tables/KIND-N.json` the frozen defaults of version N of a stage, with the reason for each that is not TRL's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NotRequired, TypedDict

import orjson

from exc.spec import arg_values
from exc.spec.arg_names import ELSEWHERE, FOREIGN, OPPOSITE, RENAMED, UNUSABLE
from exc.spec.arg_roles import STAGE_KEYS, owned_hint, role
from exc.spec.diagnostics import nearest, one_of
from exc.spec.words import listed

TRL_VERSION = "1.16.0"
_VERSIONS = {"sft": 1, "grpo": 1, "dpo": 1, "rloo": 1, "kto": 1}
_TABLES = Path(__file__).parent / "tables"
# How like an owned field a name must be to be taken for it: `revision` is no slip of `hub_revision` (0.8).
_OWNED_CUTOFF = 0.85


# Numbers that torch or generation refuse outside these: the least (exclusive where marked), the most.
BOUNDS: Mapping[str, tuple[str, float | None]] = {
    "learning_rate": (">=0", None),
    "weight_decay": (">=0", None),
    "beta": (">=0", None),
    "adam_beta1": (">=0", 1),
    "adam_beta2": (">=0", 1),
    "adam_epsilon": (">=0", None),
    "warmup_steps": (">=0", None),
    "max_length": (">0", None),
    "max_completion_length": (">0", None),
    "temperature": (">0", None),
    "top_p": (">0", 1),
    "repetition_penalty": (">0", None),
    "desirable_weight": (">=0", None),
    "undesirable_weight": (">=0", None),
}
_PAIRS = frozenset({"reward_clip_range"})  # lists of the least and the most


class Row(TypedDict):
    """One field of the TRL table. `choices`, where given, are all texts that the field takes."""

    type: str
    default: object
    choices: NotRequired[list[str]]
    help: str


@dataclass(frozen=True, slots=True)
class ArgProblem:
    """One field of `args` that cannot stay. `expected` goes on after the word "expected"."""

    field: str
    code: str  # unknown-, owned-, renamed-, foreign-field, wrong-type, bad-choice or bad-value
    message: str
    expected: str | None = None
    hint: str | None = None
    on_value: bool = False  # the value is at fault, not the name


def stage_version(kind: str) -> int:
    """The version of what a stage of this kind computes; part of identity. Raises KeyError: no such kind."""
    return _VERSIONS[kind]


@cache
def trl_fields(kind: str) -> Mapping[str, Row]:
    """The fields of TRL's config for a kind of stage. Not to be changed."""
    fields: dict[str, Row] = _trl_table()["kinds"][kind]["fields"]
    return fields


@cache
def frozen_defaults(kind: str) -> Mapping[str, object]:
    """What the stage passes for each field that nobody sets. Not to be changed: `resolve_args` copies."""
    path = _TABLES / f"{kind}-{stage_version(kind)}.json"
    defaults: dict[str, object] = orjson.loads(path.read_bytes())["defaults"]
    return defaults


def check_args(kind: str, given: Mapping[str, object]) -> list[ArgProblem]:
    """Everything that is wrong with the `args` of one stage, in the order written."""
    problems = []
    for field, value in given.items():
        problem = _name_problem(kind, field) or _value_problem(kind, field, value)
        if problem is not None:
            problems.append(problem)
    return problems


def resolve_args(kind: str, given: Mapping[str, object]) -> dict[str, object]:
    """All fields of the config: `given`, already checked, over the frozen defaults.

    Integers given for real numbers become real numbers, so that 1 and 1.0 are the same. Owned fields have
    their neutral value until the compiler and the stage fill them in. Raises KeyError for an unknown field.
    """
    types = trl_fields(kind)
    return {
        field: arg_values.typed(value, types[field]["type"])
        for field, value in {**frozen_defaults(kind), **given}.items()
    }


def identity_args(kind: str, full: Mapping[str, object]) -> dict[str, object]:
    """The part of resolved args that determines the result: `result` fields off their default."""
    defaults = frozen_defaults(kind)
    return {
        field: arg_values.canonical(full[field])
        for field in _result_fields(kind)
        if full[field] != defaults[field]
    }


@cache
def _result_fields(kind: str) -> tuple[str, ...]:
    return tuple(field for field in sorted(frozen_defaults(kind)) if role(kind, field) == "result")


@cache
def _trl_table() -> dict[str, dict[str, dict[str, dict[str, Row]]]]:
    table: dict[str, dict[str, dict[str, dict[str, Row]]]] = orjson.loads(
        (_TABLES / f"trl-{TRL_VERSION}.json").read_bytes()
    )
    return table


def _name_problem(kind: str, field: str) -> ArgProblem | None:
    if field in RENAMED:
        return ArgProblem(field, "renamed-field", f"`{field}` is not used any more", hint=RENAMED[field])
    if field in STAGE_KEYS[kind] or owned_hint(kind, field) is not None:
        message = f"`{field}` does not stand in `args`"
        return ArgProblem(field, "owned-field", message, hint=_place_of(kind, field))
    if field in trl_fields(kind):
        return None
    if _last(field) in FOREIGN:
        return _foreign(kind, field)
    return ArgProblem(
        field,
        "unknown-field",
        f"{kind} has no field `{field}`",
        expected=f"a field of {_config(kind)} in TRL {TRL_VERSION}",
        hint=ELSEWHERE.get(_last(field)) or _other_kinds(field) or _near(kind, field),
    )


def _foreign(kind: str, field: str) -> ArgProblem:
    framework, targets = FOREIGN[_last(field)]
    known = [name for name in targets.split() if name in trl_fields(kind) or name in STAGE_KEYS[kind]]
    target = (known or targets.split())[0]
    if known and target in STAGE_KEYS[kind]:
        hint = f"write `{target}` beside `args`"
    elif known and (place := _place_of(kind, target)) is not None:
        hint = f"as for `{target}`: {place}"
    elif known:
        opposite = ", which has the opposite sense" if _last(field) in OPPOSITE else ""
        hint = f"TRL calls it `{target}`{opposite}"
    else:
        hint = f"it is `{target}` there where a stage has it; {kind} does not"
    return ArgProblem(field, "foreign-field", f"`{field}` is what {framework} calls it", hint=hint)


def _last(field: str) -> str:
    """The name itself: some frameworks write `rollout.n`, with the section before it."""
    return field.rpartition(".")[2]


def hint_beside(kind: str, key: str) -> str | None:
    """What to write instead of a key beside `args` that the stage does not have, if somebody calls it so."""
    if key in trl_fields(kind) and key not in RENAMED:
        return owned_hint(kind, key) or f"it is a field of {_config(kind)}: write it in `args`"
    problem = _name_problem(kind, key)
    if problem is None or problem.hint is None:
        return None
    if problem.code == "foreign-field" and problem.hint.startswith("TRL calls it"):
        return f"{problem.hint}; write that in `args`"
    return problem.hint if problem.code != "unknown-field" or _last(key) in ELSEWHERE else None


def _place_of(kind: str, field: str) -> str | None:
    """What to write instead of a field that does not stand in `args`."""
    beside = f"write `{field}` beside `args`" if field in STAGE_KEYS[kind] else None
    return owned_hint(kind, field) or beside


def _other_kinds(field: str) -> str | None:
    others = [other for other in _VERSIONS if field in trl_fields(other) or field in STAGE_KEYS[other]]
    return f"it belongs to {listed(others, 4)}" if others else None


def _near(kind: str, field: str) -> str | None:
    """A question that names the nearest field, if one is near enough not to mislead."""
    from difflib import SequenceMatcher  # only on the way to an error

    names = [*trl_fields(kind), *STAGE_KEYS[kind]]
    outside = {name: hint for name in names if (hint := _place_of(kind, name)) is not None}
    found = nearest(field, names)
    if found in outside and SequenceMatcher(None, field, found).ratio() >= _OWNED_CUTOFF:
        return f"did you mean `{found}`? {outside[found]}"
    found = nearest(field, [name for name in names if name not in outside and name not in RENAMED])
    return f"did you mean `{found}`?" if found is not None else None


def _value_problem(kind: str, field: str, value: object) -> ArgProblem | None:
    row = trl_fields(kind)[field]
    choices = [choice for choice in row.get("choices", ()) if (field, choice) not in UNUSABLE]
    types = row["type"].split(" | ")
    if "dict" in types or ("choices" in row and not choices):
        types = [name for name in types if name != "str"]  # text there is JSON, a path, or no usable choice
    message = f"`{field}` cannot be {arg_values.shown(value)}"
    if isinstance(value, str) and (field, value) in UNUSABLE:
        expected = one_of(choices) if choices else arg_values.in_words(types)
        return ArgProblem(field, "bad-choice", message, expected, UNUSABLE[field, value], on_value=True)
    if not any(arg_values.accepts(name, value) for name in types):
        expected = one_of(choices) if types == ["str"] and choices else arg_values.in_words(types)
        hint = arg_values.what_was_meant(types, choices, value)
        return ArgProblem(field, "wrong-type", message, expected, hint, on_value=True)
    unknown = [item for item in (value if isinstance(value, list) else [value]) if item not in choices]
    if choices and unknown and isinstance(unknown[0], str):
        message = f"`{field}` cannot be {arg_values.shown(unknown[0])}"
        near = nearest(unknown[0], choices)
        hint = f"did you mean `{near}`?" if near is not None else None
        return ArgProblem(field, "bad-choice", message, one_of(choices), hint, on_value=True)
    if isinstance(value, int | float) and field in BOUNDS and not arg_values.within(value, *BOUNDS[field]):
        expected = arg_values.bounds_in_words(*BOUNDS[field])
        return ArgProblem(field, "bad-value", message, expected, on_value=True)
    if field in _PAIRS and isinstance(value, list) and not (len(value) == 2 and value[0] <= value[1]):
        message = f"`{field}` is no range"
        return ArgProblem(field, "bad-value", message, "two numbers, the least and the most", on_value=True)
    return None


def _config(kind: str) -> str:
    return f"{kind.upper()}Config"
