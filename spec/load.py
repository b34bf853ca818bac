"""A spec file -> an Experiment, with everything that is wrong with it found in one run.

The order, all of it on the tree of nodes, so that every value keeps the place where it was written:

1. `extends`: the files below the spec are merged under it.
2. `matrix`: cells become entries. Before the short forms, because `$axis` may stand where one is short.
3. `shape`: short forms are written out.
4. Names of entries with a matrix become names of their cells, which needs references in one shape.
5. `like`: copies, which may be of cells; what a cell copies is therefore already of one cell.
6. Validation and checks, which see plain entries only.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path

from exc.spec.cell_references import resolve_cells
from exc.spec.check import check_spec
from exc.spec.copying import Override
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment
from exc.spec.extends import extend
from exc.spec.files import read_text
from exc.spec.like import copy_likes
from exc.spec.matrix import check_unused, expand
from exc.spec.nodes import Mapping
from exc.spec.shape import shape
from exc.spec.source import parse
from exc.spec.validate import validate


@dataclass(frozen=True)
class LoadResult:
    """What a file gave. `draft` holds what of the spec is valid, so that more can be checked.

    `experiment` is there only without errors; `overrides` are the copied values that their owners changed.
    """

    experiment: Experiment | None
    draft: Experiment | None
    diagnostics: Diagnostics
    sources: Map[str, str] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()


def load_experiment(path: Path) -> LoadResult:
    """Read and check a spec file. Raises nothing: what is wrong is in the result."""
    diagnostics = Diagnostics()
    text = read_text(path, diagnostics, "a spec file")
    return LoadResult(None, None, diagnostics) if text is None else load_text(text, str(path), diagnostics)


def load_text(text: str, file: str, diagnostics: Diagnostics | None = None) -> LoadResult:
    """Check the text of a spec; `file` names it in diagnostics, and what it extends lies beside that."""
    diagnostics = Diagnostics() if diagnostics is None else diagnostics
    sources = {file: text}
    root = parse(text, file, diagnostics)
    if root is None:
        return LoadResult(None, None, diagnostics, sources)
    if not isinstance(root, Mapping):
        diagnostics.error(
            "wrong-type", "this is not a spec", root.span, expected="a mapping that starts with `version: 1`"
        )
        return LoadResult(None, None, diagnostics, sources)
    extended = extend(root, file, text, diagnostics)
    if not extended.is_whole:
        return LoadResult(None, None, diagnostics, extended.sources)
    expanded = expand(extended.root, diagnostics)
    shaped = resolve_cells(shape(expanded.root, diagnostics), expanded, diagnostics)
    check_unused(expanded, diagnostics)
    copied = copy_likes(shaped, diagnostics)
    cells = expanded.table.cells
    validated = validate(copied.root, copied.failed | expanded.failed, copied.sources, diagnostics, cells)
    unused = check_spec(validated, diagnostics)
    draft = Experiment(validated.draft, validated.root, file, extended.sources, cells, unused)
    experiment = None if diagnostics.has_errors else draft
    return LoadResult(experiment, draft, diagnostics, extended.sources, copied.overrides)
