"""Figures along a branch: its kept steps, after the stages before them, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exc.compiler.plan import Plan
from exc.runtime.report.captions import bands
from exc.runtime.report.cells import Cell, job_of
from exc.runtime.report.contrasts import Point, input_of
from exc.runtime.report.costs import Cost
from exc.runtime.report.formats import count
from exc.runtime.report.lines import (
    Asked,
    chances,
    dots_of,
    first_and_last,
    level_panel,
    reference_lines,
    spot_of,
)
from exc.runtime.report.panels import Across, Drawing, Panel, Series
from exc.spec.references import BASE

_GAP = 0.2  # of the steps, between two stages that came before
_COSTS = {
    "flops": "FLOPs since the checkpoint",
    "samples": "samples since the checkpoint",
    "tokens": "tokens since the checkpoint",
}


@dataclass(frozen=True, slots=True)
class _Branch:
    """A recipe at a checkpoint: the models before its last stage, base first; its steps with their models."""

    recipe: str
    before: tuple[Point, ...]
    steps: tuple[tuple[int, Point], ...]


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    evaluation: str
    trunk: str
    at: int
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        return f"{self.evaluation}-{self.trunk}-{self.at}"

    @property
    def words(self) -> str:
        return f"{self.evaluation} on {self.trunk} at {count(self.points[0].head.tokens)} tokens"


def _checkpoints(asked: Asked, *kinds: str) -> Iterator[tuple[_Checkpoint, list[_Branch], str]]:
    """Checkpoints with branches of which more than the last step is measured, and what is said of others."""
    for evaluation, trunk in asked.places(*kinds):
        measured = [p for p in asked.results.points if p.estimates]
        here = [p for p in measured if (p.head.evaluation, p.head.trunk) == (evaluation, trunk)]
        for at in sorted({point.head.at for point in here}):
            own = tuple(
                p for p in asked.whole.points if p.estimates and p.head.point[:3] == (evaluation, trunk, at)
            )
            shown = [point for point in here if point.head.at == at]
            branches = [branch for branch in _branches(asked, shown, own) if len(branch.steps) > 1]
            if branches:
                yield _Checkpoint(evaluation, trunk, at, own), branches, _left_out(shown, branches)


def _left_out(shown: Sequence[Point], branches: Sequence[_Branch]) -> str:
    drawn = {BASE, *(branch.recipe for branch in branches)}
    names = dict.fromkeys(point.head.recipe for point in shown if point.head.recipe not in drawn)
    return f" Not drawn, for no step but the last is measured: {', '.join(names)}." if names else ""


def _branches(asked: Asked, shown: Sequence[Point], every: Sequence[Point]) -> Iterator[_Branch]:
    plan = asked.results.plan
    for recipe in dict.fromkeys(p.head.recipe for p in shown if p.head.recipe != BASE):
        own = [p for p in shown if p.head.recipe == recipe]
        steps = {step: p for p in own if (step := step_of(plan, p.head)) is not None}
        if steps:
            before = _before(plan, own[0], every)
            yield _Branch(recipe, tuple(before), tuple(sorted(steps.items(), key=lambda pair: pair[0])))


def _before(plan: Plan, point: Point, every: Sequence[Point]) -> list[Point]:
    """The measured models that a branch's last stage goes back to, base first."""
    chain: list[Point] = []
    place: Point | None = point
    while place is not None and place.head.recipe != BASE:
        index = input_of(plan, place, every)
        place = None if index is None or every[index] in chain else every[index]
        if place is not None:
            chain.insert(0, place)
    if not chain or chain[0].head.recipe != BASE:
        chain[:0] = [p for p in every if p.head.recipe == BASE][:1]
    return chain


def step_of(plan: Plan, cell: Cell) -> int | None:
    """The step of a model within its last stage; None of a choice by result, which is no place on a line."""
    if cell.step is not None:
        return cell.step if isinstance(cell.step, int) else None
    job = job_of(plan, cell.model_job)
    kept = {identity: step for step, identity in job.kept.items()} if job is not None else {}
    return kept.get(cell.model_artifact.rpartition("/")[2])


def dynamics(asked: Asked) -> list[Drawing]:
    """Each branch from its checkpoint through the stages before the last, and along that one's kept steps."""
    out = []
    for here, branches, left_out in _checkpoints(asked, "pass_at_k", "lm_eval", "bits_per_byte"):
        default = first_and_last(asked.results, here.evaluation)
        depth = max(len(branch.before) for branch in branches)
        gap = _GAP * max(step for branch in branches for step, _ in branch.steps)
        across = _stages_axis(branches, depth, gap)
        panels = []
        for metric in asked.metrics(here.evaluation, default):
            lines = [_line(branch, metric, depth, gap) for branch in branches]
            series = tuple(line for line in lines if line.spots)
            if series:
                references = reference_lines(asked, here.points, metric)
                panels.append(level_panel(metric, (*series, *references), across))
        shown = [point for branch in branches for _, point in branch.steps]
        caption = (
            "A line for each branch: the checkpoint, the stages that came before, then the steps of the last "
            "stage (of RL: rollouts)."
            + (
                " Dashed lines: the references, at their last step."
                if asked.request.texts("references")
                else ""
            )
            + left_out
            + bands(shown, asked.results.percent)
        )
        title = f"Dynamics within a branch: {here.words}"
        out.append(asked.drawing(f"dynamics-{here.name}", title, caption, panels))
    return out


def _place(number: int, depth: int, length: int, gap: float) -> float:
    """Of the stages before: those of all branches end at step 0, and all start with the checkpoint."""
    return -gap * (depth - 1) if number == 0 else -gap * (length - 1 - number)


def _stages_axis(branches: Sequence[_Branch], depth: int, gap: float) -> Across:
    names: dict[float, list[str]] = {}
    for branch in branches:
        for number, point in enumerate(branch.before):
            text = "Pretrain" if point.head.recipe == BASE else point.head.arm
            names.setdefault(_place(number, depth, len(branch.before), gap), []).append(text)
    ticks = [(place, " / ".join(dict.fromkeys(found))) for place, found in names.items()]
    steps = sorted({step for branch in branches for step, _ in branch.steps})
    return Across(
        "stage, then step of the last one", "names", names=(*ticks, *((float(s), str(s)) for s in steps))
    )


def _line(branch: _Branch, metric: str, depth: int, gap: float) -> Series:
    length = len(branch.before)
    placed = [(_place(n, depth, length, gap), point) for n, point in enumerate(branch.before)]
    placed += [(float(step), point) for step, point in branch.steps]
    measured = [(x, point) for x, point in placed if metric in point.estimates]
    spots = tuple(spot_of(point, metric, x) for x, point in measured)
    dots = tuple(dot for x, point in measured for dot in dots_of(point, metric, x))
    return Series(branch.recipe, branch.recipe, spots, dots)


def efficiency(asked: Asked) -> list[Drawing]:
    """Each branch against what its steps cost."""
    costs = asked.request.texts("costs") or ("flops", "samples")
    out = []
    for here, branches, left_out in _checkpoints(asked, "pass_at_k", "lm_eval", "bits_per_byte"):
        default = (chances(asked.results, here.evaluation) or first_and_last(asked.results, here.evaluation))[
            :2
        ]
        metrics = asked.metrics(here.evaluation, default)
        base = [point for point in here.points if point.head.recipe == BASE]
        panels = [
            panel
            for cost in costs
            for metric in metrics
            if (panel := _cost_panel(asked, branches, base, metric, cost)) is not None
        ]
        shown = [point for branch in branches for _, point in branch.steps]
        caption = (
            "A line for each branch, along its kept steps, against what all stages since the checkpoint "
            "consumed together, as they counted it. Dashed: the checkpoint itself."
            + left_out
            + bands(shown, asked.results.percent)
        )
        title = f"Efficiency: {here.words}"
        columns = len(metrics) if len(metrics) <= 3 else 0
        out.append(asked.drawing(f"efficiency-{here.name}", title, caption, panels, columns))
    return out


def _cost_panel(
    asked: Asked, branches: Sequence[_Branch], base: Sequence[Point], metric: str, cost: str
) -> Panel | None:
    series = []
    for branch in branches:
        found = [(x, point) for _, point in branch.steps if (x := _mean_cost(asked, point, cost)) > 0]
        spots = tuple(spot_of(point, metric, x) for x, point in found if metric in point.estimates)
        if spots:
            series.append(Series(branch.recipe, branch.recipe, spots, ()))
    if not series:
        return None
    levels = [
        Series(BASE, BASE, (spot_of(point, metric),), (), dashed=True, level=True)
        for point in base
        if metric in point.estimates
    ]
    log = asked.request.told.get("log")
    across = Across(_COSTS[cost], "numbers", logarithmic=cost == "flops" if log is None else log)
    title = f"{metric} against {cost.replace('flops', 'FLOPs')}"
    return level_panel(metric, (*series, *levels), across, title=title, column=metric)


def _mean_cost(asked: Asked, point: Point, cost: str) -> float:
    """Over replicates; 0 where it is not known of all of them."""
    found = [asked.results.costs.get(cell.model_artifact) for cell in point.measured]
    known: list[Cost] = [each for each in found if each is not None]
    return sum(getattr(each, cost) for each in known) / len(known) if len(known) == len(found) else 0.0
