"""What a copy becomes: the values of its owner over those that were copied."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from exc.spec.arg_roles import STAGE_KEYS
from exc.spec.args import trl_fields
from exc.spec.diagnostics import CellSpan
from exc.spec.experiment import EVALUATION_KINDS
from exc.spec.nodes import Mapping, Node, Path, Scalar, Sequence, plain
from exc.spec.paired import PAIRED_KINDS, SIDES


@dataclass(frozen=True, slots=True)
class Override:
    """A copied value that the new owner changed, or deleted."""

    path: Path
    before: object
    after: object
    is_deleted: bool = False


def merged(path: Path, source: Mapping, own: Mapping, overrides: list[Override]) -> Mapping:
    """The copy with its owner's values over it; `args` and an evaluation's settings go key by key.

    What the owner changes is added to `overrides`.
    """
    entries, keys = dict(source.entries), {**source.keys, **own.keys}
    for key, value in own.entries.items():
        before, is_deleted = entries.get(key), False
        if _is_merged_deep(path, key) and isinstance(before, Mapping) and isinstance(value, Mapping):
            entries[key] = merged((*path, key), before, value, overrides)
            continue
        if before is not None:
            was, now = plain(before), plain(value)
            is_deleted = now is None and not _is_value(path, key)
            if is_deleted or was != now or type(was) is not type(now):
                overrides.append(Override((*path, key), was, now, is_deleted))
        if is_deleted:
            del entries[key], keys[key]
        else:
            entries[key] = value
    return Mapping(entries, {key: keys[key] for key in entries}, own.span)


def _is_merged_deep(path: Path, key: str) -> bool:
    if path[0] == "evaluations":
        return len(path) == 2 and key in EVALUATION_KINDS
    if key in SIDES and path[3:] and path[3] in PAIRED_KINDS:
        return len(path) == 4
    return key == "args" or "args" in path[4:]  # behind recipes, name, index, kind


def _is_value(path: Path, key: str) -> bool:
    """Whether `null` is a value of a trainer's field, and not a word for leaving it out."""
    kind = ""
    if path[-1] == "args" and len(path) in (5, 6):  # behind recipes, name, index, and in a side of a stage
        kind = str(path[3]) if len(path) == 5 else SIDES.get(str(path[4]), "")
    field = trl_fields(kind).get(key) if kind in STAGE_KEYS else None
    return field is not None and "null" in field["type"].split(" | ")


def in_cell(node: Mapping, cell: CellSpan) -> Mapping:
    """The copy, with its places as those of the cell that it is put into."""

    def put(node: Node) -> Node:
        span = cell.around(node.span)
        if isinstance(node, Scalar):
            return Scalar(node.value, span, node.raw, node.quoted)
        if isinstance(node, Sequence):
            return Sequence([put(item) for item in node.items], span)
        entries = {key: put(value) for key, value in node.entries.items()}
        return Mapping(entries, {key: cell.around(where) for key, where in node.keys.items()}, span)

    copied = put(node)
    assert isinstance(copied, Mapping)
    return copied


def without(node: Mapping, keys: Container[str]) -> Mapping:
    return Mapping({k: v for k, v in node.entries.items() if k not in keys}, node.keys, node.span)


def replaced(node: Mapping, key: str, value: Node) -> Mapping:
    """The mapping with another value at a key that it has."""
    return Mapping({**node.entries, key: value}, node.keys, node.span)
