"""Published checkpoints of a trunk: those that are there, and what a schedule makes of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from exc.compiler.schedules import EMPTY, Asked, Problem, Resolution, ScheduleError, asked_points, whole
from exc.compiler.world import World
from exc.spec.ladders import Names, read, written
from exc.spec.published import FolderModel, FolderRun, HubModel, HubRun
from exc.spec.schedule import Schedule
from exc.spec.units import format_tokens
from exc.spec.words import listed, plural

_NEAR = 2  # how many checkpoints on each side are named where one is missing


@dataclass(frozen=True, slots=True)
class Rung:
    """One published checkpoint. `tokens` is 0 where nobody says how many it has seen."""

    step: int
    tokens: int
    place: str  # the repository, or the folder of the run
    name: str


@dataclass(frozen=True)
class Ladder:
    """The checkpoints of a run in ascending order; none of them is the untrained model."""

    names: Names
    rungs: tuple[Rung, ...]
    strays: tuple[str, ...] = ()  # names that do not follow the pattern, `main` aside
    is_listed: bool = (
        True  # False: as who published them lists them, and nobody looked; without rungs any step
    )

    @cached_property
    def steps(self) -> tuple[int, ...]:
        return tuple(rung.step for rung in self.rungs)

    @property
    def last(self) -> int:
        """The last step; 0 while nobody knows."""
        return self.steps[-1] if self.rungs else 0

    @property
    def has_tokens(self) -> bool:
        return self.names.tokens_per_step is not None or any(rung.tokens for rung in self.rungs)

    def at(self, step: int) -> Rung:
        """The checkpoint of a step that the schedule became."""
        index = bisect_left(self.steps, step)
        if index < len(self.steps) and self.steps[index] == step:
            return self.rungs[index]
        return _assumed(self.names, step)

    def step_of(self, tokens: Fraction) -> Fraction:
        """Where on the run so many tokens are, in steps; between two checkpoints in proportion."""
        if self.names.tokens_per_step is not None:
            return tokens / self.names.tokens_per_step
        known = [(0, 0), *((rung.tokens, rung.step) for rung in self.rungs if rung.tokens)]
        index = min(max(bisect_left([seen for seen, _ in known], tokens), 1), len(known) - 1)
        (before, start), (after, stop) = known[index - 1], known[index]
        if before == after:
            return Fraction(stop)
        return start + (tokens - before) * Fraction(stop - start, after - before)

    def resolve(self, schedule: Schedule) -> Resolution:
        """What is asked for, and the checkpoints that it becomes. Raises ScheduleError with all problems."""
        if schedule == Schedule(snap=schedule.snap):
            raise ScheduleError([EMPTY])
        problems = list(self._unknowable(schedule))
        if problems:
            raise ScheduleError(problems)
        found: dict[int, list[str]] = {}
        for point in asked_points(
            schedule, self.last, self.step_of, problems, first=min(self.steps, default=1)
        ):
            step = self._snap(point, schedule.snap, problems)
            if step is not None and point.asked not in found.setdefault(step, []):
                found[step].append(point.asked)
        if problems:
            raise ScheduleError(problems)
        return Resolution(tuple((", ".join(found[step]), step) for step in sorted(found)))

    def _unknowable(self, schedule: Schedule) -> Iterator[Problem]:
        """What is asked for that cannot be told of these checkpoints."""
        if schedule.chinchilla is not None:
            message = "how many parameters a published model has cannot be told"
            yield Problem("unknown-size", message, ("chinchilla",), "`tokens` says the same without it")
        if schedule.tokens is not None and not self.has_tokens:
            message = "how many tokens a step of these checkpoints has is not known"
            yield Problem("missing-key", message, ("tokens",), "write `tokens_per_step` beside `pattern`")
        if self.rungs or self.is_listed:
            return
        hint = "run `exc lock` where the hub can be reached, or ask for steps"
        for key in ("fraction", "every"):
            if getattr(schedule, key) is not None:
                yield Problem(
                    "unlisted", "where this run ends is not known before it is locked", (key,), hint
                )
        for index, item in enumerate(schedule.include):
            if isinstance(item, str):
                message = f"which checkpoint is the {item} is not known before the run is locked"
                yield Problem("unlisted", message, ("include", index), hint)

    def _snap(self, point: Asked, snap: str, problems: list[Problem]) -> int | None:
        """The checkpoint that a point becomes, or None with a problem."""
        exact = whole(point.step)
        if not self.rungs and not self.is_listed:
            step = exact if exact is not None else int(point.step + Fraction(0 if snap == "floor" else 1, 2))
            return max(step, 1)
        if exact is not None and exact in self._known:
            return exact
        below = self.steps[: bisect_right(self.steps, point.step)]
        above = self.steps[len(below) :]
        if self._lies_outside(point, below, above, snap):
            problems.append(self._outside(point, after=bool(below)))
        elif snap == "exact":
            problems.append(self._missing(point, below, above))
        elif snap == "floor":
            return below[-1]
        else:
            return min((*below[-1:], *above[:1]), key=lambda step: (abs(step - point.step), step))
        return None

    @cached_property
    def _known(self) -> frozenset[int]:
        return frozenset(self.steps)

    def _lies_outside(self, point: Asked, below: tuple[int, ...], above: tuple[int, ...], snap: str) -> bool:
        """Whether a point is before the first or behind the last; `nearest` takes half a gap beyond."""
        if below and above:
            return False
        if not self.steps or snap != "nearest":
            return not below or snap == "exact" or point.step > self.last
        edges = (0, *self.steps)
        gap = edges[1] if above else edges[-1] - edges[-2]
        return abs(point.step - (above[0] if above else below[-1])) > Fraction(gap, 2)

    def _outside(self, point: Asked, *, after: bool) -> Problem:
        end = self.rungs[-1 if after else 0] if self.rungs else None
        if end is None:
            example = f", such as `{self.strays[0]}`" if self.strays else ""
            message = f"none of {plural(len(self.strays), 'published name')}{example}, follows the pattern"
            return Problem("off-schedule", message, point.path, f"the pattern is `{self.names.pattern}`")
        side = "past the last checkpoint" if after else "before the first checkpoint"
        message = f"{point.asked} lies {side}, {self.shown(end.step)}"
        return Problem("past-end" if after else "off-schedule", message, point.path)

    def _missing(self, point: Asked, below: tuple[int, ...], above: tuple[int, ...]) -> Problem:
        exact = whole(point.step)
        where = "" if point.asked == str(exact) else f", step {float(point.step):.6g},"
        near = listed([self.shown(step) for step in (*below[-_NEAR:], *above[:_NEAR])], 2 * _NEAR)
        message = f"{point.asked}{where} is not published; around it there are {near}"
        hint = "`snap: nearest` or `snap: floor` takes one of them"
        return Problem("off-schedule", message, point.path, hint)

    def shown(self, step: int) -> str:
        """A step with its tokens, as a person reads it."""
        tokens = self.at(step).tokens
        return f"step {step} ({format_tokens(tokens, digits=4)} tokens)" if tokens else f"step {step}"


def ladder_of(world: World, trunk: str) -> Ladder | None:
    """The published checkpoints of a trunk; None of a run, and of a single model."""
    published = world.spec.trunks[trunk].published
    if published is None or (names := published.names) is None:
        return None
    found: Ladder = world.once(("ladder", trunk), lambda: _ladder(world, published, names))
    return found


def rung_model(world: World, trunk: str, step: int) -> HubModel | FolderModel:
    """A published checkpoint as a model to fetch."""
    published, ladder = world.spec.trunks[trunk].published, ladder_of(world, trunk)
    assert published is not None
    if ladder is None:
        return published.model
    rung = ladder.at(step)
    if isinstance(published, HubRun):
        return HubModel(repo=rung.place, revision=rung.name)
    return FolderModel(path=f"{rung.place}/{rung.name}")


def _ladder(world: World, published: HubRun | FolderRun, names: Names) -> Ladder:
    facts = world.facts
    listings = facts.folders if isinstance(published, FolderRun) else facts.refs
    return make_ladder(names, listings)


def make_ladder(names: Names, listings: Mapping[str, Iterable[str]]) -> Ladder:
    """The checkpoints among the names in each place. Where a place was not looked at, as they are listed."""
    if any(place not in listings for place in names.places):
        return Ladder(names, tuple(_as_known(names)), is_listed=False)
    rungs: dict[int, Rung] = {}
    strays: list[str] = []
    for place in names.places:
        for name in sorted(listings[place]):
            said = read(names.pattern, name)
            if said is None:
                if name != "main":
                    strays.append(f"{place}@{name}" if len(names.places) > 1 else name)
            elif said.step:  # step 0 is the untrained model
                tokens = said.step * names.tokens_per_step if names.tokens_per_step else said.tokens or 0
                rungs.setdefault(said.step, Rung(said.step, tokens, place, name))
    return Ladder(names, tuple(rungs[step] for step in sorted(rungs)), tuple(strays))


def _as_known(names: Names) -> Iterable[Rung]:
    """The checkpoints that exc knows of; those of an earlier place win."""
    found: dict[int, Rung] = {}
    for place, steps in zip(names.places, names.steps, strict=False):
        for step in steps:
            found.setdefault(step, _assumed(names, step, place))
    return (found[step] for step in sorted(found))


def _assumed(names: Names, step: int, place: str | None = None) -> Rung:
    """A checkpoint that nobody looked for: called by what of its name the step tells."""
    tokens = step * (names.tokens_per_step or 0)
    return Rung(step, tokens, place or names.places[0], written(names.pattern, step))
