"""`matrix: {AXIS: [values], zip: {...}, include: [...], exclude: [...]}` -> axes, and the cells over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, product
from math import prod

from exc.spec.base import NAME
from exc.spec.cells import labels, same
from exc.spec.diagnostics import Diagnostics, Label, Span
from exc.spec.expected import found
from exc.spec.model_errors import name_fault, unknown_key
from exc.spec.nodes import Mapping, Node, Scalar, Sequence, small_span

ZIP, INCLUDE, EXCLUDE = "zip", "include", "exclude"
MAX_CELLS = 10_000  # far above any study, far below what a plan could hold
_LISTS = "a mapping from axes to lists of values"
_SCALARS = "text, a number, a truth value or `null`"

Row = tuple[int, ...]  # the places of values in their axes


@dataclass
class Axis:
    """One axis: where its name stands, its values where they stand, and what they are called in names."""

    name: str
    span: Span
    values: list[Scalar] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def index(self, value: Scalar) -> int | None:
        """The place of an equal value."""
        return next((at for at, own in enumerate(self.values) if same(own.value, value.value)), None)

    def place(self, value: Scalar) -> int:
        """The place of an equal value, which is added where there is none."""
        at = self.index(value)
        if at is None:
            self.values.append(value)
        return len(self.values) - 1 if at is None else at


@dataclass(frozen=True)
class Grid:
    """Cells, each as the places of its values in the axes."""

    axes: tuple[Axis, ...]
    cells: tuple[Row, ...]


@dataclass
class _Group:
    """Axes that go together: one, or those of `zip`; `rows` has a place for each of them."""

    axes: list[Axis]
    rows: list[Row]


def read_grid(node: Node, key: Span, diagnostics: Diagnostics) -> Grid | None:
    """The cells of a matrix, or None with findings. `key` is where the word `matrix` stands."""
    reader = _Reader(key, diagnostics)
    if not isinstance(node, Mapping):
        reader.error("wrong-type", f"`matrix` is {found(node)}", key, _LISTS)
        return None
    grid = reader.grid(node)
    return None if reader.is_broken else grid


@dataclass
class _Reader:
    key: Span
    diagnostics: Diagnostics
    is_broken: bool = False

    def error(
        self, code: str, message: str, span: Span, expected: str | None = None, hint: str | None = None
    ) -> None:
        self.is_broken = True
        self.diagnostics.error(code, message, span, expected=expected, hint=hint)

    def grid(self, node: Mapping) -> Grid | None:
        groups = [
            self._zip(value, node.keys[name]) if name == ZIP else self._single(name, value, node.keys[name])
            for name, value in node.entries.items()
            if name not in (INCLUDE, EXCLUDE)
        ]
        included, excluded = self._items(node, INCLUDE), self._items(node, EXCLUDE)
        axes = tuple(axis for group in groups for axis in group.axes)
        if not groups and included:
            axes = tuple(Axis(name, included[0].keys[name]) for name in included[0].entries)
        self._check_names(axes)
        for item in (*included, *excluded):
            self._check_keys(axes, item)
        if self.is_broken:
            return None
        num = prod(len(group.rows) for group in groups) + len(included)
        if num > MAX_CELLS:
            self.error("bad-value", f"this matrix has {num:,} cells", self.key, f"at most {MAX_CELLS:,}")
            return None
        rows = product(*(group.rows for group in groups)) if groups else ()
        cells = [tuple(chain(*row)) for row in rows]
        for item in excluded:
            cells = self._without(cells, axes, item)
        for item in included:
            self._add(cells, axes, item)
        if not cells and not self.is_broken:
            self.error("no-cells", "this matrix has no cells", self.key, "at least one, `AXIS: [VALUE]`")
        for axis in axes:
            axis.labels = labels(value.value for value in axis.values)
        return Grid(axes, tuple(cells))

    def _single(self, name: str, node: Node, key: Span) -> _Group:
        axis = Axis(name, key)
        for item in self._values(name, node, key):
            if axis.index(item) is not None:
                self.error("bad-value", f"`{item.raw}` is given twice", item.span)
            axis.place(item)
        return _Group([axis], [(at,) for at in range(len(axis.values))])

    def _zip(self, node: Node, key: Span) -> _Group:
        """The axes that go together, which are equally long."""
        if not isinstance(node, Mapping) or not node.entries:
            what = "empty" if isinstance(node, Mapping) else found(node)
            self.error("wrong-type", f"`{ZIP}` is {what}", key, _LISTS)
            return _Group([], [])
        columns = {name: self._values(name, value, node.keys[name]) for name, value in node.entries.items()}
        first, *others = columns
        for name in others:
            if columns[name] and columns[first] and len(columns[name]) != len(columns[first]):
                self.is_broken = True
                self.diagnostics.error(
                    "unequal-zip",
                    f"`{name}` has {len(columns[name])} values, and `{first}` has {len(columns[first])}",
                    node.keys[name],
                    expected=f"{len(columns[first])} values",
                    labels=[Label(node.keys[first], "which it goes together with")],
                )
        axes = [Axis(name, node.keys[name]) for name in columns]
        rows: list[Row] = []
        for items in zip(*columns.values(), strict=False):
            row = tuple(axis.place(item) for axis, item in zip(axes, items, strict=True))
            if row in rows:
                self.error("bad-value", "these values go together twice", items[0].span)
            rows.append(row)
        return _Group(axes, rows)

    def _values(self, name: str, node: Node, key: Span) -> list[Scalar]:
        if not isinstance(node, Sequence):
            hint = f"write `[{node.raw}]`" if isinstance(node, Scalar) and node.value is not None else None
            self.error("wrong-type", f"`{name}` is {found(node)}", key, "a list of values", hint)
            return []
        if not node.items:
            self.error("bad-value", f"the axis `{name}` has no values", key, "at least one")
        for item in node.items:
            if not isinstance(item, Scalar):
                self.error("wrong-type", f"a value of `{name}` is {found(item)}", small_span(item), _SCALARS)
        return [item for item in node.items if isinstance(item, Scalar)]

    def _check_names(self, axes: tuple[Axis, ...]) -> None:
        first: dict[str, Axis] = {}
        for axis in axes:
            if not NAME.match(axis.name):
                self.is_broken = True
                self.diagnostics.add(name_fault(axis.name, axis.span))
            elif axis.name in first:
                self.error("duplicate-key", f"the axis `{axis.name}` is given twice", axis.span)
            first.setdefault(axis.name, axis)

    def _items(self, node: Mapping, key: str) -> list[Mapping]:
        """The cells that are listed under `include` or `exclude`."""
        listed = node.entries.get(key)
        if listed is None or (isinstance(listed, Scalar) and listed.value is None):
            return []
        expected = "a list of mappings from axes to values"
        if not isinstance(listed, Sequence):
            self.error("wrong-type", f"`{key}` is {found(listed)}", node.keys[key], expected)
            return []
        items = []
        for item in listed.items:
            if not isinstance(item, Mapping) or not item.entries:
                self.error("wrong-type", f"an item of `{key}` is no cell", small_span(item), expected)
                continue
            for name, value in item.entries.items():
                if not isinstance(value, Scalar):
                    self.error("wrong-type", f"`{name}` is {found(value)}", item.keys[name], _SCALARS)
            items.append(item)
        return items

    def _check_keys(self, axes: tuple[Axis, ...], item: Mapping) -> None:
        names = [axis.name for axis in axes]
        for name in item.entries:
            if name not in names:
                self.is_broken = True
                self.diagnostics.add(unknown_key(name, names, item.keys[name]))

    def _without(self, cells: list[Row], axes: tuple[Axis, ...], item: Mapping) -> list[Row]:
        """The cells that do not have all the values of `item`."""
        wanted = {
            place: axis.index(value)
            for place, axis in enumerate(axes)
            if isinstance(value := item.entries.get(axis.name), Scalar)
        }
        left = [cell for cell in cells if any(cell[place] != at for place, at in wanted.items())]
        if len(left) == len(cells):
            self.error("bad-value", "this excludes no cell", small_span(item), "values that a cell has")
        return left

    def _add(self, cells: list[Row], axes: tuple[Axis, ...], item: Mapping) -> None:
        """Add a whole cell."""
        missing = [axis.name for axis in axes if axis.name not in item.entries]
        if missing:
            message = f"this cell lacks {', '.join(f'`{name}`' for name in missing)}"
            self.error("missing-key", message, small_span(item), "a value for every axis")
            return
        values = [(axis, item.entries[axis.name]) for axis in axes]
        cell = tuple(axis.place(value) for axis, value in values if isinstance(value, Scalar))
        if cell in cells:
            self.error("bad-value", "this cell is there already", small_span(item), "another cell")
        cells.append(cell)
