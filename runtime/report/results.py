"""Everything a report says, computed once: the page, the figures and the tables only show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.report.cells import Cell, gather
from exc.runtime.report.contrasts import Contrast, Point, contrasts_of, points_of, unmatched
from exc.runtime.report.costs import Cost, costs_of
from exc.runtime.report.logs import FIGURE, Log, logs_of
from exc.runtime.report.record import Record, read_record
from exc.runtime.report.statistics import LEVEL, Bootstrap, Sample
from exc.runtime.store import Store
from exc.spec.references import BASE


@dataclass(frozen=True, slots=True)
class Results:
    plan: Plan
    cells: tuple[Cell, ...]
    points: tuple[Point, ...]
    contrasts: tuple[Contrast, ...]
    record: Record
    notes: tuple[str, ...]  # what the report found odd about its own inputs
    evaluations: Mapping[str, Any]  # the plan's, with the metrics that figures ask for
    costs: Mapping[str, Cost]  # of each model measured: what its branch consumed
    logs: Mapping[str, Log]  # of last stages, by their job's identity; read only for a figure of it

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
    evaluations = asked_evaluations(plan.report)
    cells = gather(plan, store, evaluations)
    bootstrap = Bootstrap(plan.seed, level=float(plan.report.get("confidence", LEVEL)))
    points = points_of(cells, evaluations, bootstrap)
    contrasts = contrasts_of(plan, points, bootstrap, evaluations)
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
    costs = costs_of(plan, store, cells)
    logs = logs_of(plan, store, cells) if _draws_logs(plan.report) else {}
    return Results(
        plan, tuple(cells), tuple(points), tuple(contrasts), record, tuple(notes), evaluations, costs, logs
    )


def _draws_logs(report: Mapping[str, Any]) -> bool:
    figures = report.get("figures", ())
    return any(FIGURE in (entry, isinstance(entry, Mapping) and entry.get("figure")) for entry in figures)


def asked_evaluations(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The plan's evaluations, those of samples with what figures ask for: majority, entropy and the like."""
    asked = [
        str(metric)
        for entry in report.get("figures", ())
        if isinstance(entry, Mapping) and entry.get("figure") != FIGURE
        for metric in (*entry.get("metrics", ()), *(entry[key] for key in ("x", "y", "best") if key in entry))
    ]
    found: dict[str, Mapping[str, Any]] = {}
    for name, settings in report["evaluations"].items():
        more = (
            [metric.removeprefix(f"{name}/") for metric in asked] if settings["kind"] == "pass_at_k" else []
        )
        own = list(settings.get("metrics", ()))
        own += [metric for metric in more if "/" not in metric and not metric.startswith("pass@")]
        found[name] = {**settings, "metrics": list(dict.fromkeys(own))}
    return found


def _unlike_units(contrasts: list[Contrast]) -> list[str]:
    """Contrasts whose sides were not measured on the same problems."""
    notes = []
    for contrast in contrasts:
        for metric, delta in list(contrast.deltas.items())[:1]:
            samples = [point.samples[metric] for point in (contrast.a, contrast.b)]
            sizes = {int(sample.ids.size) for sample in samples if isinstance(sample, Sample)}
            if sizes and sizes != {delta.num_units}:
                notes.append(
                    f"{contrast.a.head.evaluation}, {contrast.a.name} and {contrast.b.name}: "
                    f"compared on the {delta.num_units} units that both have, of {sorted(sizes)}"
                )
    return notes
