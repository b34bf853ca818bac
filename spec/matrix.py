"""`matrix:` makes one entry several: a grid over axes, whose cells become plain entries of the section.

    parallel:
      matrix: {sft_lr: [1.0e-7, 4.0e-5], zip: {a: [1, 2], b: [3, 4]}, exclude: [{a: 1}], include: [{...}]}
      stages: [...]

becomes `parallel[sft_lr=4e-05,a=2,b=4]` and its siblings, with `$sft_lr` replaced in the body.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from exc.spec.base import NAME, RESERVED
from exc.spec.cells import SECTIONS, Cell, Table
from exc.spec.diagnostics import Diagnostics, Span
from exc.spec.grid import Grid, read_grid
from exc.spec.model_errors import name_fault, says, unknown_key
from exc.spec.nodes import Mapping, Node, Path, Scalar, Sequence
from exc.spec.places import name_of
from exc.spec.substitute import Filler

MATRIX, STAGES = "matrix", "stages"


@dataclass(frozen=True)
class Expanded:
    """The spec without `matrix`, its cells, and the entries of which no cell could be made.

    `axes`: (section, entry) -> its axes with the places of their names. `used`: (section, entry, axis) that a
    body reads.
    """

    root: Mapping
    table: Table = field(default_factory=Table)
    failed: set[Path] = field(default_factory=set)
    axes: dict[tuple[str, str], dict[str, Span]] = field(default_factory=dict)
    used: set[tuple[str, str, str]] = field(default_factory=set)


def expand(root: Mapping, diagnostics: Diagnostics) -> Expanded:
    """Put the cells of every matrix in the place of its entry. Runs before short forms are shaped."""
    expanded = Expanded(Mapping(dict(root.entries), root.keys, root.span))
    for section in SECTIONS:
        node = root.entries.get(section)
        if isinstance(node, Mapping):
            expanded.root.entries[section] = _section(section, node, expanded, diagnostics)
    return expanded


def check_unused(expanded: Expanded, diagnostics: Diagnostics) -> None:
    """Report axes that neither a body nor a reference reads: their cells would all be the same."""
    for (section, base), axes in expanded.axes.items():
        for axis, span in axes.items():
            if (section, base, axis) not in expanded.used and (section, base) not in expanded.failed:
                diagnostics.error(
                    "unused-axis",
                    f"nothing in `{base}` reads the axis `{axis}`",
                    span,
                    expected=f"`${axis}` in its body",
                )


def _section(section: str, node: Mapping, expanded: Expanded, diagnostics: Diagnostics) -> Mapping:
    entries: dict[str, Node] = {}
    keys = dict(node.keys)
    for name, entry in node.entries.items():
        key = node.keys[name]
        if not isinstance(entry, Mapping) or not _is_meant(section, entry):
            entries.setdefault(name, entry)
            continue
        body = _body(section, name, entry, key, diagnostics)
        matrix = entry.entries.get(MATRIX)
        if matrix is None or (isinstance(matrix, Scalar) and matrix.value is None):
            entries[name] = body if body is not None else _lost(section, name, entry, expanded)
            continue
        grid = read_grid(matrix, entry.keys[MATRIX], diagnostics)
        made = None
        if grid is not None and body is not None and _is_named(name, key, diagnostics):
            made = _cells(section, name, key, body, grid, expanded, diagnostics)
        if made is None:
            entries[name] = _lost(section, name, entry, expanded)
            continue
        for cell, filled, span in made:
            if cell in node.entries:
                diagnostics.add(name_fault(cell, node.keys[cell]))
            entries[cell], keys[cell] = filled, span
    return Mapping(entries, keys, node.span)


def _is_meant(section: str, entry: Mapping) -> bool:
    return MATRIX in entry.entries or (section == "recipes" and STAGES in entry.entries)


def _is_named(name: str, key: Span, diagnostics: Diagnostics) -> bool:
    if NAME.match(name) and name not in RESERVED:
        return True
    diagnostics.add(name_fault(name, key))
    return False


def _body(section: str, name: str, entry: Mapping, key: Span, diagnostics: Diagnostics) -> Node | None:
    """What the cells are made of: the entry without `matrix`; of a recipe, its `stages`."""
    rest = {k: value for k, value in entry.entries.items() if k != MATRIX}
    if section != "recipes":
        return Mapping(rest, {k: entry.keys[k] for k in rest}, entry.span)
    surplus = [k for k in rest if k != STAGES]
    for k in surplus:
        diagnostics.add(unknown_key(k, [MATRIX, STAGES], entry.keys[k]))
    if STAGES not in rest:
        if not surplus:
            message = f"`{name}` lacks `{STAGES}`"
            diagnostics.error("missing-key", message, key, expected="a list of stages")
        return None
    stages = rest[STAGES]
    if isinstance(stages, Sequence):
        return stages
    where = stages.span if isinstance(stages, Scalar) and stages.value is not None else entry.keys[STAGES]
    message = says(name_of((STAGES,)), stages)
    diagnostics.error("wrong-type", message, where, expected="a list of stages")
    return None


def _lost(section: str, name: str, entry: Mapping, expanded: Expanded) -> Node:
    """What stands for an entry that is reported: its name is known, and nothing more is said of it."""
    expanded.failed.add((section, name))
    return Mapping({}, {}, entry.span)


def _cells(
    section: str,
    base: str,
    key: Span,
    body: Node,
    grid: Grid,
    expanded: Expanded,
    diagnostics: Diagnostics,
) -> list[tuple[str, Node, Span]] | None:
    """Name, body and place of each cell; None where the body reads an axis that is not there."""
    names = [axis.name for axis in grid.axes]
    filler = Filler(base, tuple(names), len(grid.cells), diagnostics)
    made: list[tuple[str, Node, Span]] = []
    cells: list[tuple[str, Cell]] = []
    for row in grid.cells:
        at = list(zip(grid.axes, row, strict=True))
        cell = f"{base}[{','.join(f'{axis.name}={axis.labels[place]}' for axis, place in at)}]"
        values = {axis.name: axis.values[place] for axis, place in at}
        made.append((cell, filler.filled(body, cell, values), filler.span(key, cell)))
        if filler.is_broken:
            return None
        cells.append((cell, Cell(base, {axis: value.value for axis, value in values.items()})))
    for name, cell_of in cells:
        expanded.table.add(section, name, cell_of)
    expanded.axes[section, base] = {axis.name: axis.span for axis in grid.axes}
    expanded.used.update((section, base, axis) for axis in filler.used)
    return made
