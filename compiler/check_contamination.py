"""Whether an evaluation asks what a stage was trained on, as far as the sources of the rows tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from posixpath import normpath

from exc.compiler.data_graph import splits_of
from exc.compiler.data_readers import Reading, evaluation_readings, readings
from exc.compiler.facts import Facts
from exc.compiler.scope import Scope
from exc.spec.cells import same
from exc.spec.data import Condition, Data, JsonScalar
from exc.spec.experiment import Spec
from exc.spec.recipes import sides

TRAIN = "train"  # a split whose evaluation is plainly one of what was trained on


# What rows are counted in: those of the files, or what conditions left of a range of those.
View = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Rows of a view from `start` to `stop` (None: the end)."""

    view: View
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """Rows of a source as it is written down: those in all of the ranges, under all of the conditions."""

    name: str
    origin: frozenset[str]  # digests of files, or a callable with its arguments
    ranges: tuple[Range, ...]  # the last is of what is counted now
    conditions: tuple[tuple[str, Condition], ...] = ()
    is_counted: bool = field(default=True, compare=False)  # whether the rows are still those of that view
    is_named: bool = field(default=True, compare=False)  # whether columns are still those of the source


def check_contamination(scope: Scope) -> None:
    spec = scope.spec
    trained = [(each, _roots_of(scope, each)) for each in readings(spec) if _trains(each)]
    plain = _trained_splits(spec)
    for name, evaluation in spec.evaluations.items():
        asked = evaluation.pass_at_k
        if asked is None or asked.split == TRAIN or (asked.task, asked.split) in plain:
            continue
        problems = next(evaluation_readings(spec, name, evaluation), None)
        if problems is None:
            continue
        measured = [_cut(root, 0, asked.limit) for root in _roots_of(scope, problems)]
        found = next((pair for pair in trained if _overlap(pair[1], measured)), None)
        if found is not None:
            source = next(root.name for root in measured if _overlap(found[1], [root]))
            message = f"{problems.what} asks rows of `{source}`, on which {found[0].what} trains"
            if found[0].name != source:
                message += f", by way of the data `{found[0].name}`"
            hint = (
                "measure on other rows (`where`, or `drop` and `take`, can part a source), or say why it is "
                "meant: `accept: {train-on-test: REASON}`"
            )
            scope.warning("train-on-test", message, ("evaluations", name), hint)


def _trains(reading: Reading) -> bool:
    return reading.place is not None or reading.path[0] == "trunks"


def _trained_splits(spec: Spec) -> set[tuple[str, str]]:
    bodies = [stage.body for stages in spec.recipes.values() for stage in stages]
    return {(side.task, side.split) for body in bodies for side in sides(body).values()}


def _roots_of(scope: Scope, reading: Reading) -> list[Root]:
    limit = reading.split.limit if reading.split is not None else None
    return [_cut(root, 0, limit) for root in _roots(scope, reading.name, ())]


def _roots(scope: Scope, name: str, above: tuple[str, ...]) -> Iterator[Root]:
    """The sources that rows of a source come from, and which of their rows."""
    data = scope.spec.data.get(name)
    if data is None or name in above:
        return
    for root in _read(scope, name, data, (*above, name)):
        found = _filtered(root, data.where) if data.where else root
        if data.group_by is not None:
            found = replace(found, is_counted=False, is_named=False)
        found = _cut(found, data.drop, data.take)
        yield replace(found, is_named=False, is_counted=False) if data.pairs is not None else found


def _read(scope: Scope, name: str, data: Data, above: tuple[str, ...]) -> Iterator[Root]:
    if data.data is not None:
        yield from _roots(scope, data.data, above)
    elif data.samples is not None:
        for split, key in splits_of(scope.spec, data.samples):
            for root in _roots(scope, split.data, above) if key == "task" else ():
                asked = _cut(_cut(root, 0, split.limit), 0, data.samples.limit)
                yield replace(asked, is_named=False)
    else:
        origin = _origin(scope.facts, data)
        yield Root(name, frozenset(origin), (Range((data.kind, data.split, *origin)),))


def _origin(facts: Facts, data: Data) -> list[str]:
    """What tells the rows of a source from others: equal files are the same ones, wherever they lie."""
    if data.python is not None:
        return [f"{data.python} {sorted(data.args.items())}"]
    if (made := data.reasoning_gym) is not None:
        return [f"{made.name} seed {made.seed} {sorted(made.config.items())}"]
    if data.hub is not None:
        locked = facts.hub.get(data.hub.key)
        names = [(file.name, file.sha256) for file in locked.files] if locked is not None else [("", "")]
        return [digest or f"{data.hub.key} {name}" for name, digest in names]
    found: dict[str, None] = {}
    for pattern in getattr(data, data.kind):
        files = facts.files.get(pattern)
        found |= dict.fromkeys([normpath(pattern)] if files is None else [file.sha256 for file in files])
    return list(found)


def _filtered(root: Root, where: dict[str, Condition]) -> Root:
    """The rows under conditions, which from here on are counted anew."""
    if not root.is_named:  # a model may have filled these columns, another one for every reader
        return replace(root, is_counted=False)
    conditions = (*root.conditions, *where.items())
    if not root.is_counted:
        return replace(root, conditions=conditions)
    view = (root.ranges[-1], *sorted((column, repr(condition)) for column, condition in where.items()))
    return replace(root, conditions=conditions, ranges=(*root.ranges, Range(view)))


def _cut(root: Root, drop: int, take: int | None) -> Root:
    """The root behind `drop` rows and `take` rows long, where its rows are still counted."""
    if not root.is_counted:
        return root
    *outer, last = root.ranges
    start = last.start + drop
    stops = [stop for stop in (last.stop, None if take is None else start + take) if stop is not None]
    return replace(root, ranges=(*outer, replace(last, start=start, stop=min(stops, default=None))))


def _overlap(some: list[Root], others: list[Root]) -> bool:
    return any(_share(a, b) for a in some for b in others)


def _share(a: Root, b: Root) -> bool:
    if not a.origin & b.origin:
        return False
    if any(one.view == two.view and _are_apart(one, two) for one in a.ranges for two in b.ranges):
        return False
    return not any(
        name == other and _exclude(one, two) for name, one in a.conditions for other, two in b.conditions
    )


def _are_apart(a: Range, b: Range) -> bool:
    return any(one.stop is not None and two.start >= one.stop for one, two in ((a, b), (b, a)))


def _exclude(a: Condition, b: Condition) -> bool:
    """Whether no value can meet both conditions."""
    if a.min is not None and b.max is not None and a.min > b.max:
        return True
    if b.min is not None and a.max is not None and b.min > a.max:
        return True
    return _all_refused(a, b) or _all_refused(b, a)


def _all_refused(a: Condition, b: Condition) -> bool:
    """Whether `a` lists what it takes and `b` takes none of that."""
    return a.is_ is not None and not any(_takes(b, value) for value in a.is_)


def _takes(condition: Condition, value: JsonScalar) -> bool:
    if condition.is_ is not None and not any(same(value, one) for one in condition.is_):
        return False
    if condition.not_ is not None and any(same(value, one) for one in condition.not_):
        return False
    if condition.min is None and condition.max is None:
        return True
    if isinstance(value, str | bool):
        return False
    return (condition.min is None or value >= condition.min) and (
        condition.max is None or value <= condition.max
    )
