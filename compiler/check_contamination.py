"""Whether an evaluation asks what a stage was trained on, as far as the sources of the rows tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from exc.compiler.data_graph import samples_under, splits_of
from exc.compiler.data_readers import Reading, evaluation_readings, readings
from exc.compiler.scope import Scope
from exc.spec.data import Condition, Data, JsonScalar
from exc.spec.experiment import Spec
from exc.spec.recipes import Dpo, Grpo, Sft

TRAIN = "train"  # a split whose evaluation is plainly one of what was trained on


@dataclass(frozen=True, slots=True)
class Root:
    """Rows of a source as it is written down: from `start` to `stop` (None: the end), under `conditions`."""

    name: str
    origin: frozenset[str]  # files, or a callable with its arguments
    start: int = 0
    stop: int | None = None
    conditions: tuple[tuple[str, Condition], ...] = ()
    is_counted: bool = field(default=True, compare=False)  # whether rows are still counted as in the source
    is_named: bool = field(default=True, compare=False)  # whether columns are still those of the source


def check_contamination(scope: Scope) -> None:
    spec = scope.spec
    trained = [(reading, _roots_of(spec, reading)) for reading in readings(spec) if _trains(spec, reading)]
    plain = _trained_splits(spec)
    for name, evaluation in spec.evaluations.items():
        asked = evaluation.pass_at_k
        if asked is None or asked.split == TRAIN or (asked.task, asked.split) in plain:
            continue
        problems = next(evaluation_readings(spec, name, evaluation), None)
        if problems is None:
            continue
        measured = _roots_of(spec, problems)
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


def _trains(spec: Spec, reading: Reading) -> bool:
    """Of trunks, what was sampled for their mixture: texts about a task are not the task."""
    if reading.place is not None:
        return True
    return reading.path[0] == "trunks" and any(samples_under(spec, reading.name))


def _trained_splits(spec: Spec) -> set[tuple[str, str]]:
    bodies = [stage.body for stages in spec.recipes.values() for stage in stages]
    return {(body.task, body.split) for body in bodies if isinstance(body, Sft | Grpo | Dpo)}


def _roots_of(spec: Spec, reading: Reading) -> list[Root]:
    limit = reading.split.limit if reading.split is not None else None
    return [_cut(root, 0, limit) for root in _roots(spec, reading.name, ())]


def _roots(spec: Spec, name: str, above: tuple[str, ...]) -> Iterator[Root]:
    """The sources that rows of a source come from, and which of their rows."""
    data = spec.data.get(name)
    if data is None or name in above:
        return
    for root in _read(spec, name, data, (*above, name)):
        found = root
        if data.where:
            conditions = (*found.conditions, *(data.where.items() if found.is_named else ()))
            found = replace(found, conditions=conditions, is_counted=False)
        if data.group_by is not None:
            found = replace(found, is_counted=False, is_named=False)
        found = _cut(found, data.drop, data.take)
        yield replace(found, is_named=False, is_counted=False) if data.pairs is not None else found


def _read(spec: Spec, name: str, data: Data, above: tuple[str, ...]) -> Iterator[Root]:
    if data.data is not None:
        yield from _roots(spec, data.data, above)
    elif data.samples is not None:
        for split, key in splits_of(spec, data.samples):
            for root in _roots(spec, split.data, above) if key == "task" else ():
                asked = _cut(_cut(root, 0, split.limit), 0, data.samples.limit)
                yield replace(asked, is_named=False)
    elif data.python is not None:
        yield Root(name, frozenset([f"{data.python} {sorted(data.args.items())}"]))
    else:
        written = getattr(data, data.kind)
        yield Root(name, frozenset(written if isinstance(written, tuple) else [f"{data.kind} {written}"]))


def _cut(root: Root, drop: int, take: int | None) -> Root:
    """The root behind `drop` rows and `take` rows long, where rows are still counted as in the source."""
    if not root.is_counted:
        return root
    start = root.start + drop
    stops = [stop for stop in (root.stop, None if take is None else start + take) if stop is not None]
    return replace(root, start=start, stop=min(stops, default=None))


def _overlap(some: list[Root], others: list[Root]) -> bool:
    return any(_share(a, b) for a in some for b in others)


def _share(a: Root, b: Root) -> bool:
    if not a.origin & b.origin:
        return False
    if a.origin == b.origin and not (_begins_before_end(a, b) and _begins_before_end(b, a)):
        return False
    return not any(
        name == other and _exclude(one, two) for name, one in a.conditions for other, two in b.conditions
    )


def _begins_before_end(a: Root, b: Root) -> bool:
    return b.stop is None or a.start < b.stop


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
    if condition.is_ is not None and not _among(value, condition.is_):
        return False
    if condition.not_ is not None and _among(value, condition.not_):
        return False
    if condition.min is None and condition.max is None:
        return True
    if isinstance(value, str | bool):
        return False
    return (condition.min is None or value >= condition.min) and (
        condition.max is None or value <= condition.max
    )


def _among(value: JsonScalar, values: tuple[JsonScalar, ...]) -> bool:
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)
