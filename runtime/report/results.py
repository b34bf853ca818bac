"""Everything a report says, computed once: the page, the figures and the tables only show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.report.cells import BASE, Cell, gather
from exc.runtime.report.contrasts import Contrast, Point, contrasts_of, points_of, unmatched
from exc.runtime.report.record import Record, read_record
from exc.runtime.report.statistics import LEVEL, Bootstrap
from exc.runtime.store import Store


@dataclass(frozen=True, slots=True)
class Results:
    plan: Plan
    cells: tuple[Cell, ...]
    points: tuple[Point, ...]
    contrasts: tuple[Contrast, ...]
    record: Record
    notes: tuple[str, ...]  # what the report found odd about its own inputs

    @property
    def evaluations(self) -> Mapping[str, Any]:
        evaluations: Mapping[str, Any] = self.plan.report["evaluations"]
        return evaluations

    @property
    def level(self) -> float:
        """The share of cases in which an interval is to hold the truth."""
        return float(self.plan.report.get("confidence", LEVEL))

    @property
    def percent(self) -> str:
        return f"{100 * self.level:.4g}%"

    @property
    def title(self) -> str:
        return self.plan.report.get("title") or self.plan.experiment

    @property
    def arms(self) -> tuple[str, ...]:
        """Recipes at their last snapshot, base aside, in the plan's order: each has one colour everywhere."""
        return tuple(dict.fromkeys(cell.arm for cell in self.cells if cell.final and cell.recipe != BASE))

    @property
    def trunks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.trunk for cell in self.cells))

    @property
    def missing(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.missing is not None)


def analyse(plan: Plan, store: Store) -> Results:
    """Gather, group and compare. Random draws come from the plan's seed alone."""
    cells = gather(plan, store)
    bootstrap = Bootstrap(plan.seed, level=float(plan.report.get("confidence", LEVEL)))
    points = points_of(cells, plan.report["evaluations"], bootstrap)
    contrasts = contrasts_of(plan, points, bootstrap)
    record = read_record(plan, store)
    notes = [f"{cell.job}: {cell.note}" for cell in cells if cell.note]
    notes += [
        f"the contrast {text} is asked for, but no cells of it are planned"
        for text in unmatched(plan, contrasts)
    ]
    notes += _unlike_units(contrasts)
    for name in record.drift:
        versions = ", ".join(f"{value} ({number})" for value, number in record.environment[name].items())
        notes.append(f"artifacts were made with several values of {name}: {versions}")
    return Results(plan, tuple(cells), tuple(points), tuple(contrasts), record, tuple(notes))


def _unlike_units(contrasts: list[Contrast]) -> list[str]:
    """Contrasts whose sides were not measured on the same problems."""
    notes = []
    for contrast in contrasts:
        for metric, delta in list(contrast.deltas.items())[:1]:
            sizes = {point.samples[metric].ids.size for point in (contrast.a, contrast.b)}
            if sizes != {delta.num_units}:
                notes.append(
                    f"{contrast.a.head.evaluation}, {contrast.a.name} and {contrast.b.name}: "
                    f"compared on the {delta.num_units} units that both have, of {sorted(sizes)}"
                )
    return notes
