"""References to entries with a matrix become references to their cells, on the shaped tree, before `like`.

In a list of names, the entry's name means all its cells, and `name[k=v]` those with that value. Where one
thing is meant, it is the one cell that agrees with the reader's own cell on every axis that both have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from exc.spec.cells import SECTIONS, Cell, same, split_stage
from exc.spec.diagnostics import Diagnostics, Span, one_of
from exc.spec.matrix import Expanded
from exc.spec.nodes import Mapping, Node, Scalar, Sequence, plain
from exc.spec.scalars import Plain

# Keys under which one name of an entry stands, and keys under which a list of them does.
SINGLE = {
    "task": "tasks",
    "data": "data",
    "recipe": "recipes",
    "trunk": "trunks",
    "evaluation": "evaluations",
}
LISTS = {"trunks": "trunks", "recipes": "recipes", "references": "recipes"}
# Keys below which the words are the user's own.
_FREE = frozenset({"args", "model", "columns", "where"})


@dataclass(frozen=True, slots=True)
class _Reader:
    """Where a reference stands: the section, and the cell if it is in one."""

    section: str
    cell: Cell | None = None


def resolve_cells(root: Mapping, expanded: Expanded, diagnostics: Diagnostics) -> Mapping:
    """The tree with every name of a matrix's entry replaced by those of its cells."""
    if not expanded.table.cells:
        return root
    resolver = _Resolver(expanded, diagnostics)
    entries: dict[str, Node] = {}
    for key, node in root.entries.items():
        if key in SECTIONS and isinstance(node, Mapping):
            cells = expanded.table.cells
            filled = {
                name: resolver.node(entry, _Reader(key, cells.get((key, name))))
                for name, entry in node.entries.items()
            }
            entries[key] = Mapping(filled, node.keys, node.span)
        elif key == "report" and isinstance(node, Mapping):
            entries[key] = resolver.report(node)
        elif key in ("branches", "replicates"):
            entries[key] = resolver.node(node, _Reader(key))
        else:
            entries[key] = node
    return Mapping(entries, root.keys, root.span)


@dataclass(frozen=True)
class _Resolver:
    expanded: Expanded
    diagnostics: Diagnostics

    def report(self, node: Mapping) -> Mapping:
        """The report, in which a contrast of entries with a matrix is one for each of their cells."""
        entries = dict(node.entries)
        reader = _Reader("report")
        for key, value in node.entries.items():
            if key == "contrasts" and isinstance(value, Sequence):
                items = [each for item in value.items for each in self._contrasts(item)]
                entries[key] = Sequence(items, value.span)
            else:
                entries[key] = self.node(value, reader)
        return Mapping(entries, node.keys, node.span)

    def node(self, node: Node, reader: _Reader) -> Node:
        """The node with the references in it resolved."""
        if isinstance(node, Sequence):
            return Sequence([self.node(item, reader) for item in node.items], node.span)
        if isinstance(node, Scalar):
            return node
        entries: dict[str, Node] = {}
        for key, value in node.entries.items():
            if key in _FREE:
                entries[key] = value
            elif isinstance(value, Scalar):
                entries[key] = self._scalar(key, value, reader)
            elif key in LISTS and isinstance(value, Sequence):
                entries[key] = self._list(LISTS[key], value)
            elif key == "data" and isinstance(value, Mapping) and reader.section in ("trunks", "recipes"):
                entries[key] = self._keys(value, reader)
            else:
                entries[key] = self.node(value, reader)
        return Mapping(entries, node.keys, node.span)

    def _scalar(self, key: str, node: Scalar, reader: _Reader) -> Scalar:
        if not isinstance(node.value, str):
            return node
        if key == "like":
            return self._like(node, node.value, reader)
        return self._single(SINGLE[key], node, node.value, reader) if key in SINGLE else node

    def _like(self, node: Scalar, text: str, reader: _Reader) -> Scalar:
        parts = split_stage(text) if reader.section in ("recipes", "trunks") else None
        if parts is None:
            section = "trunks" if reader.section == "recipes" else reader.section
            return self._single(section, node, text, reader)
        name = self._one("recipes", parts[0], node.span, reader)
        return node if name is None else _renamed(node, f"{name}.{parts[1]}")

    def _single(self, section: str, node: Scalar, text: str, reader: _Reader) -> Scalar:
        name = self._one(section, text, node.span, reader)
        return node if name is None else _renamed(node, name)

    def _keys(self, node: Mapping, reader: _Reader) -> Mapping:
        """A mixture, whose keys are names of data."""
        entries: dict[str, Node] = {}
        keys: dict[str, Span] = {}
        for key, value in node.entries.items():
            name = self._one("data", key, node.keys[key], reader) or key
            if name in entries:
                self.diagnostics.error("duplicate-key", f"`{name}` is given twice", node.keys[key])
            entries.setdefault(name, value)
            keys.setdefault(name, node.keys[key])
        return Mapping(entries, keys, node.span)

    def _list(self, section: str, node: Sequence) -> Sequence:
        items: list[Node] = []
        for item in node.items:
            found = self._named(section, item)[0]
            items += [_renamed(item, name) for name in found if isinstance(item, Scalar)] or [item]
        return Sequence(items, node.span)

    def _named(self, section: str, node: Node | None) -> tuple[list[str], frozenset[str]]:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return [], frozenset()
        return self.expanded.table.named(section, node.value)

    def _one(self, section: str, text: str, span: Span, reader: _Reader) -> str | None:
        """The one cell that a name means for its reader; None where it names no entry with a matrix."""
        found, pinned = self.expanded.table.named(section, text)
        if not found:
            return None
        cells = self.expanded.table.cells
        own = reader.cell.values if reader.cell is not None else {}
        shared = [axis for axis in cells[section, found[0]].values if axis in own and axis not in pinned]
        if reader.cell is not None:
            self.expanded.used.update((reader.section, reader.cell.base, axis) for axis in shared)
        agreeing = [
            name
            for name in found
            if all(same(cells[section, name].values[axis], own[axis]) for axis in shared)
        ]
        if len(agreeing) == 1:
            return agreeing[0]
        self._ambiguous(text, agreeing or found, bool(agreeing), shared, span)
        return (agreeing or found)[0]  # so that nothing more is said of this reference

    def _ambiguous(self, text: str, names: list[str], several: bool, shared: list[str], span: Span) -> None:
        if several:
            message = f"`{text}` means {len(names)} cells here, and one is read"
            hint = "name one, or give this entry a matrix with the same axes"
        else:
            axes = ", ".join(f"`{axis}`" for axis in shared)
            message, hint = f"no cell of `{text}` has the same {axes} as this one", None
        self.diagnostics.error("ambiguous-cell", message, span, expected=one_of(names), hint=hint)

    def _contrasts(self, node: Node) -> list[Node]:
        """The contrast for each choice of cells that agree on the axes that they share."""
        if not isinstance(node, Mapping):
            return [node]
        slots: list[_Slot] = []
        for side in ("a", "b"):
            reference = node.entries.get(side)
            for key in ("recipe", "trunk"):
                named = reference.entries.get(key) if isinstance(reference, Mapping) else None
                names, pinned = self._named(SINGLE[key], named)
                if names:
                    cells = [(name, self.expanded.table.cells[SINGLE[key], name]) for name in names]
                    slots.append(_Slot(side, key, cells, pinned))
        if not slots:
            return [node]
        chosen = [row for row in product(*(slot.cells for slot in slots)) if _agree(slots, row)]
        made = [_with_cells(node, slots, row) for row in chosen]
        unlike = [each for each in made if not _is_of_one(each)]
        if not made:
            at = node.keys["a" if "a" in {slot.side for slot in slots} else "b"]
            names = [name for slot in slots for name, _ in slot.cells]
            self.diagnostics.error(
                "ambiguous-cell",
                "no cells of the two sides agree on the axes that both have",
                at,
                expected=one_of(names),
            )
            return []
        return list(unlike or made[:1])


@dataclass(frozen=True)
class _Slot:
    """A name in a contrast that stands for cells."""

    side: str
    key: str
    cells: list[tuple[str, Cell]]
    pinned: frozenset[str]


def _agree(slots: list[_Slot], row: Iterable[tuple[str, Cell]]) -> bool:
    """Whether the cells chosen for the slots have the same value of every axis that no name says."""
    values: dict[str, Plain] = {}
    for slot, (_, cell) in zip(slots, row, strict=True):
        for axis, value in cell.values.items():
            if axis not in slot.pinned and not same(values.setdefault(axis, value), value):
                return False
    return True


def _with_cells(node: Mapping, slots: list[_Slot], row: Iterable[tuple[str, Cell]]) -> Mapping:
    entries = dict(node.entries)
    for slot, (name, _) in zip(slots, row, strict=True):
        side = entries[slot.side]
        assert isinstance(side, Mapping)
        named = side.entries[slot.key]
        assert isinstance(named, Scalar)
        entries[slot.side] = Mapping({**side.entries, slot.key: _renamed(named, name)}, side.keys, side.span)
    return Mapping(entries, node.keys, node.span)


def _is_of_one(node: Mapping) -> bool:
    """Whether both sides name the same model."""
    return plain(node.entries["a"]) == plain(node.entries["b"]) if {"a", "b"} <= set(node.entries) else False


def _renamed(node: Scalar, name: str) -> Scalar:
    return Scalar(name, node.span, name, node.quoted)
