"""A whole study with parts of it deleted, swapped, repeated or replaced: never a traceback, and nothing lost.

Where nothing is reported, every entry that is written is there, and the JSON Schema takes the text as well.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from exc.compiler.checks import check
from exc.spec.diagnostics import Diagnostics
from exc.spec.json_schema import spec_schema
from exc.spec.load import LoadResult, load_text
from exc.spec.nodes import Mapping, plain
from exc.spec.nodes import Path as NodePath
from exc.spec.render import render_text
from exc.spec.source import parse

STUDY = (Path(__file__).parent / "cases" / "whole.yaml").read_text(encoding="utf-8")
SCRAPS: list[Any] = [
    *(None, 1, 0, -1, 1.5, True, "x", "", [], {}, [1], ["a"], {"a": 1}, "$lr", "${n}", "base", "prev", "10k"),
    *("rl.rl", "sft[n=8]", "sft[", {"recipe": "rl"}, {"like": "rl.rl"}, {"matrix": {"n": [1, 2]}}),
    *({"start": 1, "stop": 3}, {"best": {"evaluation": "chosen", "metric": "pass@1"}}, 10**30, "\u2028"),
]
SECTIONS = ("data", "tasks", "trunks", "recipes", "evaluations")
SCHEMA = Draft7Validator(spec_schema())


def tree() -> Any:
    root = parse(STUDY, "experiment.yaml", Diagnostics())
    assert root is not None
    return plain(root)


def places(node: Any, path: NodePath = ()) -> list[NodePath]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def at(node: Any, path: NodePath) -> Any:
    for step in path:
        node = node[step]
    return node


def mutate(root: Any, random: Random) -> None:
    """Change one place, which may be any."""
    paths = places(root)[1:]
    if not paths:
        return
    *above, key = random.choice(paths)
    owner = at(root, tuple(above))
    other = deepcopy(at(root, random.choice(paths)))
    change = random.choice(["delete", "scrap", "other", "repeat"])
    if change == "delete":
        del owner[key]
    elif change == "scrap":
        owner[key] = deepcopy(random.choice(SCRAPS))
    elif change == "other":
        owner[key] = other
    elif isinstance(owner, dict):
        owner[str(random.choice(random.choice(paths)))] = other
    else:
        owner.insert(key, other)


def checked(text: str) -> LoadResult:
    result = load_text(text, "experiment.yaml")
    if result.draft is not None:
        check(result.draft, result.diagnostics)
    render_text(result.diagnostics.sorted(), result.sources, color=False)
    return result


def test_the_study_is_valid() -> None:
    assert list(checked(STUDY).diagnostics) == []


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3), st.randoms(use_true_random=False))
def test_no_change_ends_in_a_traceback_or_loses_an_entry(num: int, random: Random) -> None:
    root = tree()
    for _ in range(num):
        mutate(root, random)
    result = checked(json.dumps(root))
    if result.diagnostics.has_errors or result.experiment is None:
        return
    written, read = result.experiment.tree, result.experiment.spec
    assert isinstance(written, Mapping)
    for section in SECTIONS:
        node = written.entries.get(section)
        assert not isinstance(node, Mapping) or list(node.entries) == list(getattr(read, section))
    assert [error.message for error in SCHEMA.iter_errors(root)] == []
