"""Two runs of one spec beside each other: `python -m tests.slurm.same_results FOLDER FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.results import result_rows
from exc.runtime.store import Store
from tests.end_to_end.project import Project


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared, and what is not equal to the last bit."""

    cells: int  # one evaluation of one model each
    metrics: int
    artifacts: int
    files: int
    differ: tuple[str, ...]

    def text(self) -> str:
        counted = (
            f"{self.cells} cells, {self.metrics} metrics, {self.artifacts} artifacts, {self.files} files"
        )
        return "\n".join([f"{counted}: {len(self.differ)} differences", *self.differ])


def compare(one: Project, other: Project) -> Compared:
    """Every metric of every cell, and the digest of every file of every artifact."""
    cells, others = _cells(one), _cells(other)
    made, made_there = one.contents(), other.contents()
    differ = [f"cell {job}" for job in _differing(cells, others)]
    differ += [f"cell {job}: {row['missing']}" for job, row in cells.items() if row["missing"]]
    differ += [f"artifact {ref}" for ref in _differing(made, made_there)]
    return Compared(
        len(cells),
        sum(len(row["metrics"]) for row in cells.values()),
        len(made),
        sum(len(content["files"]) for content in made.values()),
        tuple(differ),
    )


def _cells(project: Project) -> dict[str, dict[str, Any]]:
    """Each evaluation of each model, by its job: all that `exc results` says of it, metrics and artifact."""
    rows = [row.to_json() for row in result_rows(project.plan, Store(project.store))]
    cells = {f"{row['job']}, {row['recipe']} at {row['at']}": row for row in rows}
    assert len(cells) == len(rows), "a cell is there twice"
    return cells


def _differing(one: Mapping[Any, object], other: Mapping[Any, object]) -> list[Any]:
    missing = object()
    return sorted(key for key in {*one, *other} if one.get(key, missing) != other.get(key, missing))


def main() -> int:
    compared = compare(*(Project(Path(name).resolve()) for name in sys.argv[1:3]))
    print(compared.text())
    return 1 if compared.differ or not compared.metrics else 0


if __name__ == "__main__":
    sys.exit(main())
