"""Schedules: from what was asked (steps, tokens, fractions of a run) to the steps it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from exc.spec.schedule import FactorRange, FractionRange, Schedule, StepRange, TokenRange
from exc.spec.units import format_tokens

Range = StepRange | TokenRange | FractionRange | FactorRange

TOKENS_PER_PARAMETER = 20  # of a compute-optimal run (arXiv 2203.15556)

# More checkpoints than any study branches; far fewer than would fill the memory.
MAX_POINTS = 100_000
# Decimal arithmetic, because a platform's `pow` may differ in the last bit.
_CONTEXT = Context(prec=40)
_WHOLE = Fraction(1, 10**15)  # points of a logarithmic range this near to a whole step are meant to lie on it


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a schedule. `path` leads from the schedule to the value at fault."""

    code: str
    message: str
    path: tuple[str | int, ...]
    hint: str | None = None


EMPTY = Problem("missing-key", "the schedule asks for no step", (), "for example `[1000, 2000]`")


class ScheduleError(Exception):
    """A schedule that does not fit its run; carries every problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was asked, as text, and the step it became: ascending, each step once."""

    steps: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing asked for: where on the run, in steps that need not be whole."""

    asked: str
    step: Fraction
    path: tuple[str | int, ...]


def resolve(
    schedule: Schedule, total_steps: int, tokens_per_step: int | Fraction, parameters: int | None = None
) -> Resolution:
    """The steps of a run of `total_steps` that a schedule means. Raises ScheduleError with all problems.

    `parameters` are those of the model, which multiples of a compute-optimal run need.
    """
    problems: list[Problem] = []
    if schedule == Schedule(snap=schedule.snap):
        raise ScheduleError([EMPTY])
    found: dict[int, list[str]] = {}
    optimal = Fraction(TOKENS_PER_PARAMETER * parameters, tokens_per_step) if parameters is not None else None
    for point in asked_points(
        schedule, total_steps, lambda tokens: tokens / tokens_per_step, problems, optimal=optimal
    ):
        step = _snap(point, schedule.snap, total_steps, problems)
        if step is not None:
            asked = found.setdefault(step, [])
            if point.asked not in asked:
                asked.append(point.asked)
    if problems:
        raise ScheduleError(problems)
    return Resolution(tuple((", ".join(found[step]), step) for step in sorted(found)))


def asked_points(
    schedule: Schedule,
    total: int,
    step_of: Callable[[Fraction], Fraction],
    problems: list[Problem],
    *,
    first: int = 1,
    optimal: Fraction | None = None,
) -> Iterator[Asked]:
    """Everything that a schedule asks for, in its order; what is wrong with it goes to `problems`.

    `step_of` says where on the run so many tokens are, `optimal` how many steps a compute-optimal run has.
    """
    for step, path in _values("steps", schedule.steps, problems):
        yield Asked(_number(step), step, path)
    for tokens, path in _values("tokens", schedule.tokens, problems):
        yield Asked(_tokens_text(tokens), step_of(tokens), path)
    for fraction, path in _values("fraction", schedule.fraction, problems):
        yield Asked(f"fraction {_number(fraction)}", fraction * total, path)
    if optimal is not None:
        for factor, path in _values("chinchilla", schedule.chinchilla, problems):
            yield Asked(f"{_number(factor)}x chinchilla", factor * optimal, path)
    yield from _every(schedule, total, problems)
    for index, item in enumerate(schedule.include):
        at = {"first": first, "last": total}.get(item, 0) if isinstance(item, str) else item
        yield Asked(str(item), Fraction(at), ("include", index))


def _every(schedule: Schedule, total: int, problems: list[Problem]) -> Iterator[Asked]:
    every = schedule.every
    if every is None:
        return
    if every > total:
        problems.append(
            Problem("past-end", f"`every: {every}` is longer than the run of {total} steps", ("every",))
        )
    elif total // every > MAX_POINTS:
        problems.append(_too_many(total // every, ("every",)))
    else:
        for step in range(every, total + 1, every):
            yield Asked(f"every {every}", Fraction(step), ("every",))


def _values(
    name: str, parts: tuple[int, ...] | tuple[float, ...] | Range | None, problems: list[Problem]
) -> Iterator[tuple[Fraction, tuple[str | int, ...]]]:
    if parts is None:
        return
    if isinstance(parts, tuple):
        for index, value in enumerate(parts):
            yield _exact(value), (name, index)
        return
    problem = range_problem(parts, name)
    if problem is not None:
        problems.append(problem)
        return
    for point in _range(parts):
        yield point, (name,)


def _exact(value: int | float) -> Fraction:
    """The number that was written: 0.1 is a tenth."""
    return Fraction(str(value))


def range_problem(parts: Range, name: str) -> Problem | None:
    """What is wrong with a range by itself, whatever run it is of."""
    start, stop = _exact(parts.start), _exact(parts.stop)
    if start > stop:
        return Problem("bad-value", "the range starts after its stop", (name, "start"))
    if (parts.num is None) == (parts.every is None):
        code, many = ("missing-key", "either") if parts.num is None else ("bad-value", "only one")
        return Problem(code, f"a range takes {many} of `num` (how many) and `every` (how far apart)", (name,))
    if parts.every is not None:
        if parts.spacing == "log":
            return Problem("bad-value", "logarithmic spacing takes `num`, not `every`", (name, "every"))
        if parts.every <= 0:
            return Problem("bad-value", "`every` must be above 0", (name, "every"))
        num = int((stop - start) / _exact(parts.every)) + 1
        return _too_many(num, (name, "every")) if num > MAX_POINTS else None
    assert parts.num is not None
    if parts.num > MAX_POINTS:
        return _too_many(parts.num, (name, "num"))
    if parts.num == 1 and start != stop:
        return Problem("bad-value", "a range with two ends has at least 2 points", (name, "num"))
    if parts.spacing == "log" and start == 0:
        return Problem("bad-value", "a logarithmic range cannot start at 0", (name, "start"))
    return None


def _too_many(num: int, path: tuple[str | int, ...]) -> Problem:
    return Problem(
        "bad-value", f"these are {num} points; {MAX_POINTS} are the most a schedule may have", path
    )


def _range(parts: Range) -> Iterator[Fraction]:
    start, stop = _exact(parts.start), _exact(parts.stop)
    if parts.every is not None:
        step = _exact(parts.every)
        for index in range(int((stop - start) / step) + 1):
            yield start + index * step
        return
    assert parts.num is not None
    if parts.num == 1 or start == stop:
        yield start
        return
    at = _log(start, stop) if parts.spacing == "log" else lambda share: start + (stop - start) * share
    for index in range(parts.num):
        yield stop if index == parts.num - 1 else at(Fraction(index, parts.num - 1))


def _log(start: Fraction, stop: Fraction) -> Callable[[Fraction], Fraction]:
    """Points of equal ratio between `start` and `stop`, by the share of the way."""
    ratio = stop / start
    rate = _CONTEXT.ln(_CONTEXT.divide(Decimal(ratio.numerator), Decimal(ratio.denominator)))

    def at(share: Fraction) -> Fraction:
        exponent = _CONTEXT.multiply(
            rate, _CONTEXT.divide(Decimal(share.numerator), Decimal(share.denominator))
        )
        return start * Fraction(_CONTEXT.exp(exponent))

    return at


def whole(step: Fraction) -> int | None:
    """The whole step that a point lies on; None between two."""
    nearest = int(step + Fraction(1, 2))
    return nearest if abs(step - nearest) <= _WHOLE * max(1, nearest) else None


def _snap(point: Asked, snap: str, total: int, problems: list[Problem]) -> int | None:
    """The whole step that a point becomes, or None with a problem."""
    if (exact := whole(point.step)) is not None:
        step = exact
    elif snap == "exact":
        problems.append(_between(point, total))
        return None
    else:
        step = int(point.step + Fraction(0 if snap == "floor" else 1, 2))
    if step > total:
        problems.append(
            Problem(
                "past-end",
                f"{point.asked} lies past the end of the run: its last step is {total}",
                point.path,
            )
        )
    elif step < 1:
        message = f"{point.asked} lies before the first step; the untrained model is not a checkpoint"
        problems.append(Problem("off-schedule", message, point.path))
    else:
        return step
    return None


def _between(point: Asked, total: int) -> Problem:
    below = int(point.step)
    if below >= total:
        message = f"{point.asked} lies past the end of the run: its last step is {total}"
        return Problem("past-end", message, point.path)
    near = f"steps {below} and {below + 1}" if below else "the start and step 1"
    return Problem(
        "off-schedule",
        f"{point.asked} is step {_number(point.step)}, between {near}",
        point.path,
        "`snap: nearest` or `snap: floor` takes a whole step",
    )


def _tokens_text(tokens: Fraction) -> str:
    whole = int(tokens + Fraction(1, 2))
    digits = None if tokens == whole else 4
    return f"{format_tokens(whole, digits)} tokens"


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
