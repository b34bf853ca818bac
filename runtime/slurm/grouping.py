"""From jobs to sbatch calls: elements, arrays of them, and what each waits for. Pure: it starts nothing.

An *element* is what SLURM runs at once: one job, or several small ones of a class packed into one allocation.
A *call* is one sbatch: an element, or an array of elements of one class and level whose dependencies can be
said in one line, because all wait for the same ones, or each for the one of its own index in other arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from exc.compiler.plan import Job

ALONE = -1  # the index of an element that is no member of an array: SLURM calls it 42, and not 42_0


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """An element, by its call and its index there."""

    call: str
    index: int = ALONE


@dataclass(frozen=True, slots=True)
class Call:
    """One sbatch. `key` is its own; calls that were made before have keys of theirs."""

    key: str
    cls: str
    level: int
    elements: Mapping[int, tuple[Job, ...]]  # index -> its jobs
    every: frozenset[Spot] = frozenset()  # what all elements wait for
    twins: frozenset[str] = frozenset()  # arrays of which element i waits for element i

    def waits_for(self, index: int) -> frozenset[Spot]:
        """What one element waits for."""
        return self.every | {Spot(call, index) for call in self.twins}

    def without(self, indices: Collection[int]) -> Call:
        """The same call without some of its elements."""
        left = {index: jobs for index, jobs in self.elements.items() if index not in indices}
        return replace(self, elements=left)

    @property
    def spots(self) -> list[Spot]:
        return [Spot(self.key, index) for index in self.elements]

    @property
    def jobs(self) -> list[Job]:
        return [job for jobs in self.elements.values() for job in jobs]


@dataclass(frozen=True, slots=True)
class _Element:
    jobs: tuple[Job, ...]
    waits_for: frozenset[Spot]


@dataclass(frozen=True, slots=True)
class _Part:
    """Elements whose dependencies fit one line. `indices` is empty where any will do."""

    elements: Sequence[_Element]
    twins: frozenset[str] = frozenset()
    indices: tuple[int, ...] = ()


def group(
    jobs: Sequence[Job],
    upstream: Mapping[str, Iterable[str]],
    queued: Mapping[str, Spot],
    new_key: Callable[[], str],
    *,
    max_array: int,
) -> list[Call]:
    """The calls that queue these jobs, given in topological order, so that no call waits for a later one.

    `upstream`: job id -> the ids of those that it waits for, which are among `jobs` or `queued`. An array has
    at most `max_array` elements, and all its indices are below that.
    """
    spots = dict(queued)
    calls: list[Call] = []
    for level, (cls, members) in _levels(jobs, upstream):
        waits = {job.id: frozenset(spots[other] for other in upstream.get(job.id, ())) for job in members}
        for part in _split(_elements(members, waits)):
            for piece in _chunks(part, max_array):
                call = _call(new_key(), cls, level, piece)
                calls.append(call)
                spots.update(
                    (job.id, Spot(call.key, index))
                    for index, inside in call.elements.items()
                    for job in inside
                )
    return calls


def _levels(
    jobs: Sequence[Job], upstream: Mapping[str, Iterable[str]]
) -> list[tuple[int, tuple[str, list[Job]]]]:
    """Jobs by the longest path that leads to them, and by class there."""
    level: dict[str, int] = {}
    found: dict[int, dict[str, list[Job]]] = {}
    for job in jobs:
        level[job.id] = max(
            (level[other] + 1 for other in upstream.get(job.id, ()) if other in level), default=0
        )
        found.setdefault(level[job.id], {}).setdefault(job.cls, []).append(job)
    return [(depth, entry) for depth in sorted(found) for entry in found[depth].items()]


def _elements(jobs: Sequence[Job], waits: Mapping[str, frozenset[Spot]]) -> list[_Element]:
    """Jobs of one class and level, those that wait for the same packed together."""
    size = max(1, int(jobs[0].resources.get("pack") or 1))
    if size == 1:
        return [_Element((job,), waits[job.id]) for job in jobs]
    ordered = sorted(jobs, key=lambda job: sorted(waits[job.id]))
    packs = [tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)]
    return [_Element(pack, frozenset().union(*(waits[job.id] for job in pack))) for pack in packs]


def _split(elements: Sequence[_Element]) -> list[_Part]:
    """As few parts as are found, each with dependencies that one line says."""
    common = frozenset.intersection(*(element.waits_for for element in elements))
    rest = [element.waits_for - common for element in elements]
    if not any(rest):
        return [_Part(elements)]
    by_calls: dict[frozenset[str], list[_Element]] = {}
    for element, spots in zip(elements, rest, strict=True):
        by_calls.setdefault(frozenset(spot.call for spot in spots), []).append(element)
    if len(by_calls) > 1:
        return [part for members in by_calls.values() for part in _split(members)]
    calls = next(iter(by_calls))
    ways = [_by_equal(elements)]
    if layers := _by_index(elements, rest, calls):
        ways.append(layers)
    if len(calls) > 1 and len(layers) != 1:
        ways.append(_by_one_call(elements, rest, calls))
    return min(ways, key=len)


def _by_equal(elements: Sequence[_Element]) -> list[_Part]:
    """One part for each set of dependencies."""
    found: dict[frozenset[Spot], list[_Element]] = {}
    for element in elements:
        found.setdefault(element.waits_for, []).append(element)
    return [_Part(members) for members in found.values()]


def _by_index(
    elements: Sequence[_Element], rest: Sequence[frozenset[Spot]], calls: frozenset[str]
) -> list[_Part]:
    """Where each waits for one element of every array, all of one index: in layers of different indices."""
    layers: list[dict[int, _Element]] = []
    depth: dict[int, int] = {}
    for element, spots in zip(elements, rest, strict=True):
        indices = {spot.index for spot in spots}
        if len(spots) != len(calls) or len(indices) != 1 or ALONE in indices:
            return []
        index = indices.pop()
        layer = depth[index] = depth.get(index, -1) + 1
        if layer == len(layers):
            layers.append({})
        layers[layer][index] = element
    return [_Part([layer[index] for index in sorted(layer)], calls, tuple(sorted(layer))) for layer in layers]


def _by_one_call(
    elements: Sequence[_Element], rest: Sequence[frozenset[Spot]], calls: frozenset[str]
) -> list[_Part]:
    """Apart by what they wait for in the one call where that differs least, then each on its own."""
    parts: list[dict[frozenset[Spot], list[_Element]]] = []
    for call in sorted(calls):
        found: dict[frozenset[Spot], list[_Element]] = {}
        for element, spots in zip(elements, rest, strict=True):
            found.setdefault(frozenset(spot for spot in spots if spot.call == call), []).append(element)
        if len(found) > 1:
            parts.append(found)
    fewest = min(parts, key=len)
    return [part for members in fewest.values() for part in _split(members)]


def _chunks(part: _Part, max_array: int) -> list[_Part]:
    if part.indices or len(part.elements) <= max_array:
        return [part]
    starts = range(0, len(part.elements), max_array)
    return [_Part(part.elements[start : start + max_array]) for start in starts]


def _call(key: str, cls: str, level: int, part: _Part) -> Call:
    elements = part.elements
    if len(elements) == 1:
        return Call(key, cls, level, {ALONE: elements[0].jobs}, elements[0].waits_for)
    every = frozenset.intersection(*(element.waits_for for element in elements))
    indices = part.indices or tuple(range(len(elements)))
    return Call(
        key,
        cls,
        level,
        {index: element.jobs for index, element in zip(indices, elements, strict=True)},
        every,
        part.twins,
    )
