"""Puts replicates together into points, and points side by side: what changed, and what that is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exc.compiler.plan import Plan
from exc.runtime.report.cells import Cell, is_counted, job_of, metric_names, ratio
from exc.runtime.report.formats import is_share
from exc.runtime.report.statistics import (
    FLAT_SHARE,
    Bootstrap,
    Estimate,
    Ints,
    Measured,
    Recorded,
    Sample,
    Verdict,
    verdict,
)
from exc.spec.references import BASE

STDERR = "_stderr"  # what follows a metric's name, where an artifact records its standard error


@dataclass(frozen=True, slots=True)
class Point:
    """An arm at a checkpoint under an evaluation: its replicates, and their mean."""

    cells: tuple[Cell, ...]  # planned, measured or not
    measured: tuple[Cell, ...]  # of distinct identity
    samples: Mapping[str, Measured]  # by metric; empty where nothing is measured
    estimates: Mapping[str, Estimate]

    @property
    def head(self) -> Cell:
        return self.cells[0]

    @property
    def name(self) -> str:
        head = self.head
        return f"{head.trunk}/{head.at}/{head.arm}"


@dataclass(frozen=True, slots=True)
class Contrast:
    """a minus b under one evaluation; at one checkpoint, unless the spec names another for b."""

    a: Point
    b: Point
    against: tuple[str, ...]  # why it is drawn: "base", "input", "asked"
    deltas: Mapping[str, Estimate]  # by metric; empty where a side is missing
    verdict: Verdict | None

    @property
    def label(self) -> str:
        return f"{self.a.head.arm} \u2212 {self.b_arm}"

    @property
    def b_arm(self) -> str:
        """The arm of b, with its checkpoint where that is not a's."""
        return self.b.head.arm + self.b_place

    @property
    def b_place(self) -> str:
        """Where b stands, if not where a does."""
        a, b = self.a.head, self.b.head
        return "" if (a.trunk, a.at) == (b.trunk, b.at) else f" on {b.trunk} at {b.at}"


def points_of(cells: Sequence[Cell], evaluations: Mapping[str, Any], bootstrap: Bootstrap) -> list[Point]:
    """Cells grouped by all but their replicate, in the plan's order."""
    groups: dict[tuple[str, str, int, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.point, []).append(cell)
    return [
        _point(group, metric_names(evaluations[group[0].evaluation]), bootstrap) for group in groups.values()
    ]


def _point(cells: list[Cell], metrics: tuple[str, ...], bootstrap: Bootstrap) -> Point:
    distinct = {cell.artifact: cell for cell in reversed(cells) if cell.missing is None}
    measured = tuple(sorted(distinct.values(), key=lambda cell: cell.number))
    head = cells[0]
    name = f"{head.trunk}/{head.at}/{head.arm}"
    samples = {metric: sample_of(measured, metric, name) for metric in metrics if _has(measured, metric)}
    estimates = {metric: bootstrap.mean(sample, head.evaluation) for metric, sample in samples.items()}
    return Point(tuple(cells), measured, samples, estimates)


def _has(cells: Sequence[Cell], metric: str) -> bool:
    """Whether every replicate has a number for it."""
    return bool(cells) and all(is_counted(cell.units, metric) or metric in cell.metrics for cell in cells)


def sample_of(cells: Sequence[Cell], metric: str, name: str) -> Measured:
    """Replicates of one arm as one sample, on the units that all of them have."""
    if not all(is_counted(cell.units, metric) for cell in cells):
        values = np.array([cell.metrics[metric] for cell in cells])
        errors = np.array([cell.metrics.get(f"{metric}{STDERR}", 0.0) for cell in cells])
        return Recorded(f"{name}:{metric}", values, errors)
    parts = []
    for cell in cells:
        assert cell.units is not None
        above, below = ratio(cell.units, metric)
        has = below > 0  # of several tasks, those that the metric is of
        parts.append((cell.units.ids[has], above[has], below[has]))
    ids = parts[0][0]
    for other, _, _ in parts[1:]:
        ids = np.intersect1d(ids, other)
    rows = [
        (above[np.searchsorted(own, ids)], below[np.searchsorted(own, ids)]) for own, above, below in parts
    ]
    above, below = (np.stack([row[part] for row in rows]) for part in (0, 1))
    counted = below.any(axis=0)  # of several tasks under one evaluation, the units of those that are meant
    found = Sample(name, ids, above, below, _groups(cells[0], ids), is_share(metric))
    return found.at(ids[counted])


def _groups(cell: Cell, ids: Ints) -> Ints | None:
    """The tasks of some units, where an evaluation has several."""
    assert cell.units is not None
    groups = cell.units.groups
    return None if groups is None else groups[np.searchsorted(cell.units.ids, ids)]


def contrasts_of(
    plan: Plan, points: Sequence[Point], bootstrap: Bootstrap, evaluations: Mapping[str, Any] | None = None
) -> list[Contrast]:
    """Every arm against base and against its stage's input, and what the spec asked for."""
    told = plan.report["evaluations"] if evaluations is None else evaluations
    found: list[Contrast] = []
    by_place: dict[tuple[str, str, int], list[Point]] = {}
    for point in points:
        by_place.setdefault(point.head.point[:3], []).append(point)
    for (evaluation, _, _), here in by_place.items():
        names = metric_names(told[evaluation])
        for (a, b), against in _pairs(plan, here).items():
            found.append(_compare(here[a], here[b], tuple(against), names, bootstrap))
    for a_point, b_point in _apart(plan, points):
        names = metric_names(told[a_point.head.evaluation])
        found.append(_compare(a_point, b_point, ("asked",), names, bootstrap))
    return found


def _apart(plan: Plan, points: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """The pairs that the spec asks for whose b stands at another checkpoint, or on another trunk, than a."""
    for spec in plan.report.get("contrasts", ()):
        said = set() if isinstance(spec["b"], str) else {"trunk", "at"} & set(spec["b"])
        for b in [point for point in points if said and _matches(plan, spec["b"], point)]:
            for a in points:
                left_out = [key for key in ("trunk", "at") if key not in said]
                if (
                    a.head.evaluation == b.head.evaluation
                    and (a.head.trunk, a.head.at) != (b.head.trunk, b.head.at)
                    and all(getattr(a.head, key) == getattr(b.head, key) for key in left_out)
                    and _matches(plan, spec["a"], a)
                ):
                    yield a, b


def unmatched(plan: Plan, contrasts: Sequence[Contrast]) -> list[str]:
    """Contrasts the spec asks for of which no cell exists."""
    asked = [(spec["a"], spec["b"]) for spec in plan.report.get("contrasts", ())]
    return [
        f"{reference_text(a)} \u2212 {reference_text(b)}"
        for a, b in asked
        if not any(_matches(plan, a, found.a) and _matches(plan, b, found.b) for found in contrasts)
    ]


def _pairs(plan: Plan, here: Sequence[Point]) -> dict[tuple[int, int], list[str]]:
    """Which points at one place are compared, by their index, and for what reasons."""
    pairs: dict[tuple[int, int], list[str]] = {}

    def add(a: int, b: int | None, why: str) -> None:
        if b is not None and a != b and why not in pairs.setdefault((a, b), []):
            pairs[a, b].append(why)

    base = next((i for i, point in enumerate(here) if point.head.recipe == BASE), None)
    for a, point in enumerate(here):
        if a != base:
            add(a, base, "base")
            add(a, input_of(plan, point, here), "input")
    for spec in plan.report.get("contrasts", ()):
        for a, point in enumerate(here):
            if _matches(plan, spec["a"], point):
                for b, other in enumerate(here):
                    if _matches(plan, spec["b"], other):
                        add(a, b, "asked")
    return pairs


def input_of(plan: Plan, point: Point, here: Sequence[Point]) -> int | None:
    """The place of the point whose model the last stage of this one started from."""
    jobs = filter(None, (job_of(plan, cell.model_job) for cell in point.cells))
    inputs = {need.artifact for job in jobs for need in job.needs if need.role == "model"}
    holds = [i for i, other in enumerate(here) if any(cell.model_artifact in inputs for cell in other.cells)]
    return next((i for i in holds if here[i].head.recipe == BASE), next(iter(holds), None))


def _matches(plan: Plan, reference: Any, point: Point) -> bool:
    """Whether a model reference of the spec names this point."""
    head = point.head
    if isinstance(reference, str):
        return head.final and reference in (head.recipe, head.recipe.partition("[")[0], head.arm)
    step = reference.get("step", "final")
    right_step = head.final if step in (None, "final") else head.step == step
    return (
        right_step
        and reference.get("recipe", BASE) in (head.recipe, head.recipe.partition("[")[0], head.arm)
        and reference.get("trunk") in (None, head.trunk)
        and reference.get("at") in (None, head.at, *_ends_at(plan, head))
    )


def _ends_at(plan: Plan, head: Cell) -> Iterator[str]:
    """`first` or `last`, where the cell's checkpoint is that of its trunk."""
    trunk = plan.report.get("trunks", {}).get(head.trunk, {})
    steps = sorted(step for _, step in trunk.get("checkpoints", ()))
    yield from (name for name, end in (("first", steps[:1]), ("last", steps[-1:])) if head.at in end)


def reference_text(reference: Any) -> str:
    """A model reference of the spec in words: `rl@200, trunk tiny`."""
    if isinstance(reference, str):
        return reference
    rest = dict(reference)
    recipe, step = rest.pop("recipe", BASE), rest.pop("step", "final")
    first = recipe if step == "final" else f"{recipe}@{step}"
    return ", ".join([first, *(f"{key} {value}" for key, value in rest.items())])


def _compare(
    a: Point, b: Point, against: tuple[str, ...], metrics: Iterable[str], bootstrap: Bootstrap
) -> Contrast:
    if not a.samples or not b.samples:
        return Contrast(a, b, against, {}, None)
    family = a.head.evaluation
    try:
        deltas = {
            metric: bootstrap.difference(a.samples[metric], b.samples[metric], family)
            for metric in metrics
            if metric in a.samples and metric in b.samples
        }
    except ValueError:  # no problem in common
        return Contrast(a, b, against, {}, None)
    return Contrast(a, b, against, deltas, _verdict(a, b, deltas, bootstrap))


def _verdict(a: Point, b: Point, deltas: Mapping[str, Estimate], bootstrap: Bootstrap) -> Verdict | None:
    """None where there is no pass@1 to set beside a pass@K."""
    last = largest_k(deltas)
    if last is None or "pass@1" not in deltas:
        return None
    metric = f"pass@{last}"
    terms = [
        (1.0, a.samples[metric]),
        (-1.0, b.samples[metric]),
        (-FLAT_SHARE, a.samples["pass@1"]),
        (FLAT_SHARE, b.samples["pass@1"]),
    ]
    excess = bootstrap.combine(terms, a.head.evaluation)
    return verdict(deltas["pass@1"], deltas[metric], excess, last)


def largest_k(metrics: Iterable[str]) -> int | None:
    """The largest k above one among pass@k metrics, or None."""
    ks = [int(name.removeprefix("pass@")) for name in metrics if name.startswith("pass@")]
    return max((k for k in ks if k > 1), default=None)
