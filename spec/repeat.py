"""`- name: {repeat: N, stages: [...]}` in a recipe: the stages of the block, N times over.

The stage `rl` of the block becomes `rl-1`, `rl-2`, ...; each starts from the stage before it, unless it says
otherwise. Inside the block, a reference to one of its stages means that of the same round, and `$round`, or
`${round}` in a longer text, is the number of the round, so that each may read data of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from exc.spec.base import NAME, RESERVED
from exc.spec.cells import split_name
from exc.spec.diagnostics import Diagnostics, Label, Span
from exc.spec.model_errors import name_fault, says, unknown_key
from exc.spec.nodes import Mapping, Node, Scalar, Sequence, plain
from exc.spec.recipes import STAGE_KINDS
from exc.spec.substitute import ROUND

REPEAT, STAGES = "repeat", "stages"
KEYS = (REPEAT, STAGES)
_WHOLE = re.compile(r"\$(?:round|\{round\})\Z")
MOST_ROUNDS = 1000  # each is a job of every branch
NAME_KEY, REPEATS_KEY = "name", "repeats"  # of a shaped stage
_EXAMPLE = "`{repeat: 3, stages: [...]}`"


@dataclass(frozen=True, slots=True)
class Block:
    """A repeated block as it is written: how often, and its stages, not yet in the models' shape."""

    rounds: int
    items: list[Node]


def is_block(item: Node) -> bool:
    """Whether an item of a recipe is meant as a repeated block."""
    if not isinstance(item, Mapping) or len(item.entries) != 1:
        return False
    (body,) = item.entries.values()
    return isinstance(body, Mapping) and any(key in body.entries for key in KEYS)


def read_block(item: Node, diagnostics: Diagnostics) -> Block | None:
    """The block that an item is; None where it is at fault, which is reported."""
    assert isinstance(item, Mapping)
    ((name, body),) = item.entries.items()
    assert isinstance(body, Mapping)
    key = item.keys[name]
    num_before = diagnostics.num_errors
    if not NAME.match(name) or name in RESERVED:
        diagnostics.add(name_fault(name, key))
    for surplus in body.entries:
        if surplus not in KEYS:
            _refuse(name, surplus, body.keys[surplus], diagnostics)
    for wanted in KEYS:
        if wanted not in body.entries:
            message = f"the repeated block `{name}` lacks `{wanted}`"
            diagnostics.error("missing-key", message, key, expected=_EXAMPLE)
    rounds = _rounds(body, diagnostics) if REPEAT in body.entries else None
    items = _items(name, body, diagnostics) if STAGES in body.entries else None
    if diagnostics.num_errors > num_before or rounds is None or items is None:
        return None
    return Block(rounds, items)


def _refuse(block: str, key: str, span: Span, diagnostics: Diagnostics) -> None:
    if key in STAGE_KINDS:
        message = f"the repeated block `{block}` has a kind, `{key}`"
        diagnostics.error("bad-value", message, span, expected=f"a stage of that kind under `{STAGES}`")
    elif key == "from":
        message = f"the repeated block `{block}` starts from the stage before it"
        hint = "a stage in it may say `from`; that holds in every round"
        diagnostics.error("unknown-key", message, span, hint=hint)
    else:
        diagnostics.add(unknown_key(key, list(KEYS), span))


def _rounds(body: Mapping, diagnostics: Diagnostics) -> int | None:
    node = body.entries[REPEAT]
    value = plain(node)
    span = node.span if isinstance(node, Scalar) and value is not None else body.keys[REPEAT]
    if type(value) is not int:
        diagnostics.error("wrong-type", says(f"`{REPEAT}`", node), span, expected="a whole number above 0")
    elif not 0 < value <= MOST_ROUNDS:
        expected = f"a whole number from 1 to {MOST_ROUNDS}"
        diagnostics.error("bad-value", f"`{REPEAT}` is {value}", span, expected=expected)
    else:
        return value
    return None


def _items(name: str, body: Mapping, diagnostics: Diagnostics) -> list[Node] | None:
    node = body.entries[STAGES]
    if not isinstance(node, Sequence):
        is_value = isinstance(node, Scalar) and node.value is not None
        span = node.span if is_value else body.keys[STAGES]
        diagnostics.error("wrong-type", says(f"`{STAGES}`", node), span, expected="a list of stages")
        return None
    if not node.items:
        message = f"the repeated block `{name}` has no stages"
        diagnostics.error("bad-value", message, body.keys[STAGES], expected="at least one")
    for item in node.items:
        if is_block(item):
            assert isinstance(item, Mapping)
            message = "a repeated block stands in another"
            label = Label(body.keys[STAGES], "this block is repeated, too")
            hint = "write the stages of the inner one out, as often as they are wanted"
            span = next(iter(item.keys.values()))
            diagnostics.error("nested-repeat", message, span, hint=hint, labels=[label])
    return node.items


def rounds_of(recipe: str, stages: list[Node], rounds: int, diagnostics: Diagnostics) -> Iterator[Node]:
    """The stages of a block, in the models' shape, once for each round."""
    names = {name for stage in stages if (name := _name_of(stage)) is not None}
    diagnostics.numbered |= names
    own = {recipe, (split_name(recipe) or (recipe, {}))[0]}
    for number in range(1, rounds + 1):
        for stage in stages:
            yield _numbered(stage, number, own, names)


def _name_of(stage: Node) -> str | None:
    name = stage.entries.get(NAME_KEY) if isinstance(stage, Mapping) else None
    return name.value if isinstance(name, Scalar) and isinstance(name.value, str) else None


def _numbered(stage: Node, number: int, own: set[str], names: set[str]) -> Node:
    """A stage of one round."""
    name = _name_of(stage)
    if name is None or not isinstance(stage, Mapping):
        return stage
    stage = _filled(stage, number)
    assert isinstance(stage, Mapping)
    where = stage.keys[NAME_KEY]
    entries = {
        **stage.entries,
        NAME_KEY: Scalar(f"{name}-{number}", where, name, False),
        REPEATS_KEY: Scalar(name, where, name, False),
    }
    if "from" in entries:
        entries["from"] = _in_round(entries["from"], number, own, names)
    merge = entries.get("merge")
    if isinstance(merge, Mapping) and isinstance(of := merge.entries.get("of"), Sequence):
        parents = Sequence([_in_round(item, number, own, names) for item in of.items], of.span)
        read: dict[str, Node] = {"of": parents}
        if "base" in merge.entries:
            read["base"] = _in_round(merge.entries["base"], number, own, names)
        entries["merge"] = Mapping({**merge.entries, **read}, merge.keys, merge.span)
    return Mapping(entries, {**stage.keys, REPEATS_KEY: where}, stage.span)


def _filled(node: Node, number: int) -> Node:
    """The node with `$round` replaced, in keys too; what takes its place stands where it stood."""
    if isinstance(node, Scalar):
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        if _WHOLE.match(node.value):
            return Scalar(number, node.span, str(number), False)
        text = _with_number(node.value, number)
        return node if text == node.value else Scalar(text, node.span, text, node.quoted)
    if isinstance(node, Sequence):
        return Sequence([_filled(item, number) for item in node.items], node.span)
    return Mapping(
        {_with_number(key, number): _filled(value, number) for key, value in node.entries.items()},
        {_with_number(key, number): span for key, span in node.keys.items()},
        node.span,
    )


def _with_number(text: str, number: int) -> str:
    return text.replace(f"${{{ROUND}}}", str(number))


def _in_round(reference: Node, number: int, own: set[str], names: set[str]) -> Node:
    """A reference to a stage of the block, as one to that of this round."""
    if not isinstance(reference, Mapping):
        return reference
    recipe, stage = reference.entries.get("recipe"), reference.entries.get("stage")
    if not isinstance(recipe, Scalar) or not isinstance(stage, Scalar):
        return reference
    if recipe.value not in own or stage.value not in names:
        return reference
    numbered = Scalar(f"{stage.value}-{number}", stage.span, stage.raw, stage.quoted)
    return Mapping({**reference.entries, "stage": numbered}, reference.keys, reference.span)
