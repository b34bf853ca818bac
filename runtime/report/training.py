"""What training logged, by step of the last stage: the reward of RL, a loss, or what else is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from exc.compiler.plan import Job
from exc.runtime.report.cells import LOGGED, Cell, job_of
from exc.runtime.report.formats import count, listing, words
from exc.runtime.report.lines import Asked, level_panel
from exc.runtime.report.logs import Log
from exc.runtime.report.panels import Across, Drawing, Series, Spot
from exc.runtime.report.statistics import Estimate
from exc.spec.diagnostics import did_you_mean, one_of
from exc.spec.references import BASE

_MOST_PLACES = 50  # of a line
_FEW_PLACES = 10  # to which a line comes down where its replicates did not log the same steps
_STEPS = Across("steps of the last stage", "numbers", logarithmic=False)


@dataclass(frozen=True, slots=True)
class _Branch:
    """A recipe at a checkpoint: its replicates of distinct identity, each with the log of its last stage."""

    arm: str
    trunk: str
    at: int
    tokens: int
    runs: tuple[tuple[Cell, Log], ...]

    @property
    def name(self) -> str:
        return f"{self.arm} at {count(self.tokens)} tokens"

    def logged(self, metric: str) -> list[tuple[Cell, dict[int, float]]]:
        """Replicates that logged a metric, with its values by step."""
        return [(cell, values) for cell, log in self.runs if (values := log.of(metric))]


def training(asked: Asked) -> list[Drawing]:
    """A metric by step: a drawing for each trunk and metric, a panel for each checkpoint."""
    branches = list(_branches(asked))
    every = sorted({metric for branch in branches for _, log in branch.runs for metric in log.metrics})
    if branches and not every:
        return [_nothing(asked, ": no attempt that is left in the store logged anything of its training")]
    out = []
    for metric in asked.request.texts("metrics") or _default(every):
        if metric not in every:
            near = did_you_mean(metric, every) or f"there is {one_of(every)}"
            out.append(_nothing(asked, f" of `{metric}`, which no job logged: {near}"))
            continue
        for trunk in dict.fromkeys(branch.trunk for branch in branches):
            out.append(_drawing(asked, metric, trunk, [b for b in branches if b.trunk == trunk]))
    return out


def _default(every: Sequence[str]) -> tuple[str, ...]:
    if not every:
        return ()
    return ("reward",) if "reward" in every else ("loss",)


def _nothing(asked: Asked, why: str) -> Drawing:
    return replace(asked.drawing("", "", "", ()), lacks=why)


def _branches(asked: Asked) -> Iterator[_Branch]:
    """In the order of trunks, then of checkpoints; recipes as the plan has them."""
    results = asked.results
    runs: dict[tuple[str, int, str], dict[str, tuple[Cell, Log]]] = {}
    for cell in results.cells:
        job = job_of(results.plan, cell.model_job)
        # A choice by result is a model of a run that stands here itself.
        if cell.recipe != BASE and job is not None and not isinstance(cell.step, str):
            arm = cell.arm if cell.final else cell.arm.removesuffix(f"@{cell.step}")
            own = runs.setdefault((cell.trunk, cell.at, arm), {})
            own.setdefault(job.identity, (_logging(cell, arm, job), results.logs[job.identity]))
    trunks = list(results.trunks)
    for trunk, at, arm in sorted(runs, key=lambda place: (trunks.index(place[0]), place[1])):
        found = tuple(runs[trunk, at, arm].values())
        yield _Branch(arm, trunk, at, found[0][0].tokens, found)


def _logging(cell: Cell, arm: str, job: Job) -> Cell:
    """A cell as the place where its model's last stage logged, to which its numbers lead back."""
    return replace(cell, arm=arm, kind=LOGGED, evaluation="", job=job.id, artifact=job.artifact, final=False)


def _drawing(asked: Asked, metric: str, trunk: str, branches: Sequence[_Branch]) -> Drawing:
    drawn = [branch for branch in branches if branch.logged(metric)]
    if not drawn:
        return _nothing(asked, f" of `{metric}` on {trunk}: no attempt that is left in the store logged it")
    windows = {arm: _window([b for b in drawn if b.arm == arm], metric) for arm in _arms(drawn)}
    panels = []
    for tokens, here in groupby(drawn, key=lambda branch: (branch.at, branch.tokens)):
        series = tuple(
            Series(branch.arm, branch.arm, _spots(branch, metric, windows[branch.arm]), ()) for branch in here
        )
        title = f"{count(tokens[1])} tokens"
        panels.append(level_panel(metric, series, _STEPS, title=title, column=words(metric)))
    title = f"Training: {words(metric)} by step on {trunk}"
    caption = _caption(metric, branches, windows)
    columns = 2 if len(panels) == 4 else 0
    return asked.drawing(f"training-{metric}-{trunk}", title, caption, panels, columns)


def _arms(branches: Sequence[_Branch]) -> list[str]:
    return list(dict.fromkeys(branch.arm for branch in branches))


def _window(branches: Sequence[_Branch], metric: str) -> int:
    """How many neighbouring steps of a recipe are averaged, the same at all checkpoints.

    As few as leave a line at most its places, and such that at each of them all replicates logged something:
    of a mean over now these and now those the line would show how they differ, and not the training. Where
    that needs too long a window, their numbers are in the table.
    """
    logged = [[values for _, values in branch.logged(metric)] for branch in branches]
    last = max(max(values) for runs in logged for values in runs)
    least = -(-last // _MOST_PLACES) or 1
    windows = range(least, max(least, last // _FEW_PLACES) + 1, least)
    return next((w for w in windows if all(_is_even(runs, w) for runs in logged)), windows[-1])


def _is_even(runs: Sequence[Mapping[int, float]], window: int) -> bool:
    """Whether each replicate has a value at all places between its first and its last."""
    places = [{_place(step, window) for step in run} for run in runs]
    every = set[int]().union(*places)
    return all(own == {place for place in every if min(own) <= place <= max(own)} for own in places)


def _place(step: int, window: int) -> int:
    """Steps are counted from 1; one that was logged before the first stands with it."""
    return max(0, step - 1) // window


def _spots(branch: _Branch, metric: str, window: int) -> tuple[Spot, ...]:
    """The means of neighbouring steps: of each replicate, then over replicates."""
    runs = branch.logged(metric)
    end = max(max(values) for _, values in runs)
    found: dict[int, dict[int, list[float]]] = {}  # place -> replicate's number among the runs -> values
    steps: dict[int, set[int]] = {}
    for number, (_, values) in enumerate(runs):
        for step, value in values.items():
            place = _place(step, window)
            found.setdefault(place, {}).setdefault(number, []).append(value)
            steps.setdefault(place, set()).add(step)
    return tuple(
        _spot(
            [(runs[number][0], _mean(values)) for number, values in sorted(found[place].items())],
            (place * window + 1, min((place + 1) * window, max(end, 1))),
            len(steps[place]),
        )
        for place in sorted(found)
    )


def _spot(replicates: Sequence[tuple[Cell, float]], span: tuple[int, int], num_steps: int) -> Spot:
    """One place of a line, whose model is named by its step, or by the first and the last of its steps."""
    first, last = span
    name = f"{first}" if first == last else f"{first}-{last}"
    cells = tuple(replace(cell, arm=f"{cell.arm}@{name}") for cell, _ in replicates)
    value = _mean([value for _, value in replicates])
    return Spot(Estimate(value, None, None, num_steps, (len(cells),)), cells, x=(first + last) / 2)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _caption(metric: str, branches: Sequence[_Branch], windows: Mapping[str, int]) -> str:
    text = (
        f"What last stages logged as {words(metric)}, by their steps (of RL: rollouts), a line for each "
        "recipe. Each panel has its own scale."
    )
    text += _averaged(windows)
    text += " A step logs one number for its batch, so there is no interval."
    most = max(len(branch.logged(metric)) for branch in branches)
    text += f" Up to {most} replicates: lines are their mean." if most > 1 else " One replicate of each."
    return text + _absent(metric, branches)


def _absent(metric: str, branches: Sequence[_Branch]) -> str:
    """What is not drawn: branches, or replicates of one, without attempts, and those that did not log it."""
    gone = [b for b in branches if not any(log.num_attempts for _, log in b.runs)]
    silent = [b for b in branches if b not in gone and not b.logged(metric)]
    partly = [
        f"replicate {cell.replicate} of {branch.name}"
        for branch in branches
        for cell, log in branch.runs
        if branch not in gone and not log.num_attempts
    ]
    text = ""
    if gone or partly:
        names = listing([*_names(gone, branches), *partly])
        text += f" Not drawn, because the store has no attempts at them: {names}."
    if silent:
        names = listing(_names(silent, branches))
        text += f" Not drawn, because they logged no {words(metric)}: {names}."
    return text


def _names(some: Sequence[_Branch], every: Sequence[_Branch]) -> list[str]:
    """Branches by name; where they are all of a recipe, the recipe."""
    rest = {branch.arm for branch in every if branch not in some}
    return list(dict.fromkeys(branch.name if branch.arm in rest else branch.arm for branch in some))


def _averaged(windows: Mapping[str, int]) -> str:
    """Over how many steps a place is averaged, by recipe where that differs."""
    sizes = list(dict.fromkeys(windows.values()))
    if sizes == [1]:
        return ""
    if len(sizes) == 1:
        return f" Each point is the mean of {sizes[0]} neighbouring steps, of those that were logged."
    each = [f"{size} of {listing([arm for arm in windows if windows[arm] == size])}" for size in sizes]
    return f" Each point is the mean of neighbouring steps, of those that were logged: {listing(each)}."
