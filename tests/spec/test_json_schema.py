"""The JSON Schema takes every valid spec, flags what a schema can see, and knows all that the models know."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel

from exc.spec.base import Model
from exc.spec.codes import CODES
from exc.spec.data import Data, Task
from exc.spec.diagnostics import Diagnostics, Span
from exc.spec.expected import arms, bare, is_model
from exc.spec.experiment import Evaluation, Spec
from exc.spec.json_schema import profiles_schema, schema_text, spec_schema
from exc.spec.load import load_text
from exc.spec.nodes import Mapping, Node, Scalar, Sequence, plain
from exc.spec.profiles import Profile
from exc.spec.recipes import Stage
from exc.spec.schema_args import trained_kinds
from exc.spec.schema_forms import LIKE, PLACES, SHORT_FORMS, TIGHTER
from exc.spec.shape import shape
from exc.spec.source import parse
from exc.spec.trunks import Trunk
from tests.literate import UPDATE
from tests.spec.schema_errors import schema_lines
from tests.spec.test_cases import FOLDER, LOAD_CASES, SPEC, completed

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = spec_schema()
GOLDEN = {"exc.schema.json": spec_schema, "exc.profiles.schema.json": profiles_schema}

# Codes of findings about one value or one key: a schema sees them, but for those in UNSEEN.
SEEN = {
    *("bad-choice", "bad-name", "foreign-field", "missing-key", "owned-field", "renamed-field"),
    *("reserved-name", "unknown-field", "unknown-key", "wrong-type", "wrong-unit"),
}
# Codes of all other errors, and why no schema sees them.
_SEVERAL = "it is about several entries"
_FILE = "it is about another file"
_TOGETHER = "two values go together"
BLIND = {
    "ambiguous-cell": _SEVERAL,
    "bad-value": "most compare two values, or read a text; the bounds of one value are seen",
    "batch-arithmetic": "it is about several values",
    "between-means": "it compares two numbers",
    "continues": _SEVERAL,
    "duplicate-key": "a schema sees the mapping, in which the key stands once",
    "extends-cycle": _FILE,
    "inherited-key": _TOGETHER,
    "k-above-samples": "it compares two numbers",
    "like-cycle": _SEVERAL,
    "like-kind": "the kind is that of another entry",
    "merge-parents": _SEVERAL,
    "missing-column": _FILE,
    "missing-file": _FILE,
    "nested-repeat": "it is about a block in a block",
    "no-cells": "it follows from all axes together",
    "off-schedule": _SEVERAL,
    "past-end": "it compares two numbers",
    "reference-cycle": _SEVERAL,
    "relative-data": _SEVERAL,
    "unknown-generator": "their names are those of a library",
    "unknown-task": "the harness has thousands of them, and a folder may have more",
    "unequal-zip": "it compares two lists",
    "unknown-axis": "the names of axes are no values elsewhere in the entry",
    "unknown-reference": "the names of one section are no values in another",
    "unused-axis": "the names of axes are no values elsewhere in the entry",
    "user-code": _FILE,
}
# Single findings with a code that a schema sees: a part of the message -> why not this one.
UNSEEN = {
    "there is no key `from`": "keys beside a kind that need another kind",
    "this stage has 2 keys": "a stage that is not indented is wrong at more than one line",
    "this cell lacks": "its axes are those of the other cells",
    "says neither how many replicates nor": "either of two keys is enough",
    "does not name one model": "what a reference may leave out depends on who reads it",
    "names no model": "any of three keys is enough",
    "are asked for, but the task": _TOGETHER,
    " needs `": "what a merge needs depends on its method",
    "has a column": _TOGETHER,
    "the repeated block": "either of two keys makes a stage a block",
    "lacks `tokenizer`": _TOGETHER,
    "lacks `model`": _TOGETHER,
    "as a split would be taken for the pool": "only splits may not be called so",
    "lacks `decay`": _TOGETHER,
    "lacks `checkpoints`": _TOGETHER,
    "lacks `stages`": "they may lie in a file that this one extends",
    "nothing says how": "any of several keys is enough",
    "`batch_size` is `$n`": "whether an entry has a matrix is seen elsewhere in it",
}


def texts() -> Iterator[tuple[str, str]]:
    """Every whole experiment of the literate cases: name and text."""
    for case in LOAD_CASES:
        for block in case.blocks:
            if block.language == "yaml" and block.file in (None, SPEC):
                yield str(case), block.text if block.file else completed(block.text)


TEXTS = dict(texts())


def errors_of(text: str) -> list[tuple[str, str, Span]]:
    found = load_text(text, SPEC).diagnostics.sorted()
    return [(d.code, d.message, d.span) for d in found if d.severity == "error" and d.span is not None]


def is_blind(code: str, message: str) -> bool:
    return code not in SEEN or any(part in message for part in UNSEEN)


def reads_as_yaml(text: str) -> bool:
    return parse(text, SPEC, Diagnostics()) is not None


@pytest.mark.parametrize("name", list(TEXTS))
def test_every_mistake_that_a_schema_can_see_is_flagged_at_its_line(name: str) -> None:
    text = TEXTS[name]
    if not reads_as_yaml(text):
        return
    flagged = schema_lines(SCHEMA, text)
    missed = [
        f"line {span.line}: {code}: {message}"
        for code, message, span in errors_of(text)
        if span.line not in flagged and not is_blind(code, message)
    ]
    assert not missed, f"the schema flags lines {sorted(flagged)}; see UNSEEN"


@pytest.mark.parametrize("name", list(TEXTS))
def test_a_valid_experiment_is_valid_by_the_schema(name: str) -> None:
    if reads_as_yaml(TEXTS[name]) and not errors_of(TEXTS[name]):
        assert schema_lines(SCHEMA, TEXTS[name]) == set()


def test_of_every_code_it_is_known_whether_a_schema_sees_it() -> None:
    found = {error[0] for text in TEXTS.values() if reads_as_yaml(text) for error in errors_of(text)}
    assert found <= SEEN | set(BLIND), "a line in SEEN, or in BLIND with the reason"
    assert found >= SEEN - {"foreign-field"}, "no case shows that these are seen"
    assert not SEEN & set(BLIND)
    assert SEEN | set(BLIND) <= set(CODES)


EXAMPLES = [
    path
    for path in sorted([*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("src/exc/templates/*/experiment.yaml")])
    if not {"plan", "store", "report"} & set(path.parts)
    and (path.name == "profiles.yaml" or re.search("^version:", path.read_text("utf-8"), re.MULTILINE))
]  # and no parts of specs, nor tasks of the harness


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_example_is_valid(path: Path) -> None:
    schema = profiles_schema() if path.name == "profiles.yaml" else SCHEMA
    assert schema_lines(schema, path.read_text(encoding="utf-8")) == set()


NULLS = """version: 1
extends: base.yaml
seed: null
data:
  docs:
    text: null
    jsonl: docs.jsonl
    split: null
tasks:
  arith: null
trunks:
  tiny:
    pretrain:
      data: {prose: null}
      optimizer: null
recipes:
  sft: null
evaluations:
  arith:
    on: null
"""


def test_null_deletes_what_a_file_below_says() -> None:
    assert schema_lines(SCHEMA, NULLS) == set()
    lines = schema_lines(SCHEMA, NULLS.replace("extends: base.yaml", "experiment: alone"))
    nulls = {number for number, line in enumerate(NULLS.splitlines(), 1) if "null" in line}
    assert nulls <= lines


def test_the_base_of_the_cases_is_valid() -> None:
    assert schema_lines(SCHEMA, (FOLDER / "base.yaml").read_text(encoding="utf-8")) == set()


PROFILES = {
    "local:\n  slots: 4\n  save_interval: 5m\n": set(),
    "local:\n": set(),
    "local:\n  slots: 0\n": {2},
    "local:\n  save_interval: 5 minutes\n": {2},
    "local:\n  resources:\n    - {on: {kind: grpo}, cpus: 2}\n    - {on: {kin: grpo}}\n": {4},
}


@pytest.mark.parametrize("text", list(PROFILES))
def test_profiles_have_a_schema(text: str) -> None:
    assert schema_lines(profiles_schema(), text) == PROFILES[text]


@pytest.mark.parametrize("name", list(GOLDEN))
def test_a_schema_is_valid_and_always_the_same_bytes(name: str) -> None:
    schema = GOLDEN[name]()
    Draft7Validator.check_schema(schema)
    assert schema_text(schema) == schema_text(GOLDEN[name]())
    path = ROOT / "docs" / name
    if os.environ.get(UPDATE):
        path.write_text(schema_text(schema), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == schema_text(schema), f"{UPDATE}=1 accepts the new schema"


def test_every_reference_inside_leads_somewhere() -> None:
    for make in GOLDEN.values():
        schema = make()
        used = set(re.findall(r'"\$ref": "#/definitions/([^"]+)"', schema_text(schema)))
        assert used <= set(schema["definitions"])


def models(root: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> set[type[BaseModel]]:
    """All models below one."""
    seen = set() if seen is None else seen
    if root not in seen:
        seen.add(root)
        for field in root.model_fields.values():
            for annotation in inner(field.annotation):
                models(annotation, seen)
    return seen


def inner(annotation: Any) -> Iterator[type[BaseModel]]:
    for arm in arms(annotation):
        kind = bare(arm)
        if is_model(kind):
            yield kind
        elif get_origin(kind) in (tuple, dict):
            for item in get_args(kind):
                if item is not Ellipsis:
                    yield from inner(item)


ALL = models(Spec) | models(Profile)
NAMES = {model.__name__: model for model in ALL}


def test_every_model_has_a_definition() -> None:
    defined = set(SCHEMA["definitions"]) | set(profiles_schema()["definitions"]) | {"Spec"}
    missing = set(NAMES) - defined
    assert not missing, f"nothing in the schema leads to {missing}"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_field_has_a_description(name: str) -> None:
    model = NAMES[name]
    lacking = [name for name, field in model.model_fields.items() if not field.description]
    assert not lacking, f"{name}: say in `Field(description=...)` what these are: {lacking}"


def test_every_short_form_of_a_model_is_in_the_table() -> None:
    short = {
        name
        for name, model in NAMES.items()
        if issubclass(model, Model) and model.SHORT and not model.HIDDEN  # those stand under their own key
    }
    assert short <= set(SHORT_FORMS), (
        "spec/schema_forms.py: SHORT_FORMS has one line for each model with SHORT"
    )


def test_the_tables_speak_of_models_that_there_are() -> None:
    keys = {
        name: {field.alias or key for key, field in model.model_fields.items()}
        for name, model in NAMES.items()
    }
    assert set(LIKE) <= set(NAMES)
    assert [place for place in [*PLACES, *TIGHTER] if place[1] not in keys.get(place[0], ())] == []


def test_the_args_of_every_stage_have_their_fields() -> None:
    bodies = {key: arms(field.annotation)[0] for key, field in Stage.model_fields.items()}
    with_args = [key for key, body in bodies.items() if is_model(body) and "args" in body.model_fields]
    assert sorted(with_args) == sorted(trained_kinds())
    for kind in with_args:
        assert len(SCHEMA["definitions"][f"args.{kind}"]["properties"]) > 50


# Where the entries of a section stand in a tree -> the model of an entry.
SECTIONS: dict[str, type[BaseModel]] = {
    "data": Data,
    "tasks": Task,
    "trunks": Trunk,
    "evaluations": Evaluation,
}
_SPAN = Span(SPEC, 1, 1, 1, 2)


def places() -> Iterator[tuple[tuple[str, ...], type[BaseModel], str]]:
    """Every scalar place in an entry, by the keys that lead to it, with its model and key."""
    for section, model in SECTIONS.items():
        yield from _below((section, "entry"), model)
    yield from _below(("recipes", "entry", "stage"), Stage)


def _below(
    path: tuple[str, ...], model: type[BaseModel]
) -> Iterator[tuple[tuple[str, ...], type[BaseModel], str]]:
    for name, field in model.model_fields.items():
        key = field.alias or name
        if issubclass(model, Model) and name in model.HIDDEN:
            continue
        yield (*path, key), model, key
        for arm in arms(field.annotation):
            if is_model(bare(arm)) and bare(arm) is not model:
                yield from _below((*path, key), bare(arm))


def _tree(path: tuple[str, ...], leaf: Node) -> Mapping:
    node = leaf
    for key in reversed(path):
        node = Mapping({key: node}, {key: _SPAN}, _SPAN)
        if key == "stage":
            node = Sequence([node], _SPAN)
    assert isinstance(node, Mapping)
    return node


def _leaf(node: Node, path: tuple[str, ...]) -> Node | None:
    for key in path:
        if isinstance(node, Sequence):
            node = node.items[0]
            continue
        if not isinstance(node, Mapping) or key not in node.entries:
            return None
        node = node.entries[key]
    return node


FORMS = {
    f"{'.'.join(path)}: {leaf!r}": (path, model, key, leaf)
    for path, model, key in places()
    for leaf in ("x", 1)
}


@pytest.mark.parametrize("name", list(FORMS))
def test_the_schema_takes_the_short_forms_that_the_loader_takes(name: str) -> None:
    path, model, key, value = FORMS[name]
    before = _tree(path, Scalar(value, _SPAN, str(value), False))
    shaped = _leaf(shape(before, Diagnostics()), path)
    if shaped is None or isinstance(shaped, Scalar):
        return
    field = next(f for n, f in model.model_fields.items() if (f.alias or n) == key)
    try:
        _accepted(model, key, plain(shaped))
    except ValueError:
        return  # the loader makes a list of it, whose item has the wrong type
    owner = SCHEMA["definitions"][model.__name__]
    owner = owner.get("additionalProperties") or owner
    own = {"definitions": SCHEMA["definitions"], "allOf": [owner["properties"][key]]}
    assert Draft7Validator(own).is_valid(value), (
        f"`{key}` of {model.__name__} may be {value!r} in YAML: say so in PLACES or SHORT_FORMS of "
        f"spec/schema_forms.py ({field.annotation})"
    )


def _accepted(model: type[BaseModel], key: str, value: object) -> None:
    """Raises ValueError (pydantic's) where the model refuses the value of one key."""
    name = next(n for n, f in model.model_fields.items() if (f.alias or n) == key)
    model.__pydantic_validator__.validate_assignment(model.model_construct(), name, value)
