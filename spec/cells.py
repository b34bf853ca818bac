"""Cells of a matrix: what they are called, and how one or several of them are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field

from exc.spec.base import NAME
from exc.spec.scalars import Plain, resolve_plain

# The sections whose entries may have a matrix.
SECTIONS = ("data", "tasks", "trunks", "recipes", "evaluations")

_UNFIT = re.compile(r"[^A-Za-z0-9_.+-]+")
_LONGEST = 40  # characters of a text in a name
_CELL = re.compile(r"(?P<base>[^\[\]]+)\[(?P<inside>[^\[\]]*)\]\Z")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: the entry that its matrix sits on, and the value of each axis."""

    base: str
    values: Map[str, Plain]


Cells = Map[tuple[str, str], Cell]  # by section and name


def labels(values: Iterable[Plain]) -> list[str]:
    """The values of one axis as they stand in names, in their shortest form; no two are the same."""
    shown: list[str] = []
    for value in values:
        text = _label(value)
        if text in shown:
            text = f"{text}-{_digest(value)}"
        shown.append(text)
    return shown


def _label(value: Plain) -> str:
    if not isinstance(value, str):
        return text_of(value)
    text = _UNFIT.sub("-", value).strip("-")
    return text if text and len(text) <= _LONGEST else f"{text[:_LONGEST]}{_digest(value)}"


def text_of(value: object) -> str:
    """A value as YAML spells it, in its shortest form: `1.0e-6` is `1e-06`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _digest(value: Plain) -> str:
    return hashlib.sha256(f"{type(value).__name__}:{value}".encode("utf-8", "surrogatepass")).hexdigest()[:6]


def same(one: Plain, other: Plain) -> bool:
    """Whether two values are the same: 1 is 1.0, and not `true`."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def split_name(text: str) -> tuple[str, dict[str, str]] | None:
    """`name[k=v,k2=v2]` in its parts, or `name` with none; None for what is neither."""
    if NAME.match(text):
        return text, {}
    found = _CELL.match(text)
    if found is None or not NAME.match(found["base"]):
        return None
    pairs = [part.partition("=") for part in found["inside"].split(",")]
    if not all(equals for _, equals, _ in pairs):
        return None
    return found["base"], {axis.strip(): value.strip() for axis, _, value in pairs}


def base_of(name: str) -> str:
    """The entry that a name belongs to: of a cell, without its brackets."""
    return name.partition("[")[0]


def includes(text: str, name: str) -> bool:
    """Whether `name` or `name[k=v]`, which says some of the axes, takes in an entry or cell of this name."""
    said, full = split_name(text), split_name(name)
    return text == name or (
        said is not None and full is not None and said[0] == full[0] and said[1].items() <= full[1].items()
    )


def split_stage(text: str) -> tuple[str, str] | None:
    """`recipe.stage` in its two parts, where the recipe may be a cell; None without a point."""
    end = text.rfind("]") + 1
    recipe, point, stage = text[end:].partition(".")
    return (text[:end] + recipe, stage) if point else None


@dataclass(frozen=True)
class Table:
    """All cells, to be looked up by the names that stand in references."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    _by_base: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, section: str, name: str, cell: Cell) -> None:
        self.cells[section, name] = cell
        self._by_base.setdefault((section, cell.base), []).append(name)

    def all(self, section: str, base: str) -> list[str]:
        """The names of an entry's cells, in order; none of an entry without a matrix."""
        return self._by_base.get((section, base), [])

    def named(self, section: str, text: str) -> tuple[list[str], frozenset[str]]:
        """The cells that `name` or `name[k=v]` means, none if it means no cell; and the axes that it says."""
        parts = split_name(text)
        if parts is None:
            return [], frozenset()
        base, pinned = parts
        found = [name for name in self.all(section, base) if self._is_meant(section, name, pinned)]
        return found, frozenset(pinned)

    def _is_meant(self, section: str, name: str, pinned: Map[str, str]) -> bool:
        cell = self.cells[section, name]
        parts = split_name(name)
        assert parts is not None
        shown = parts[1]
        return all(
            axis in cell.values and (text == shown[axis] or same(resolve_plain(text), cell.values[axis]))
            for axis, text in pinned.items()
        )
