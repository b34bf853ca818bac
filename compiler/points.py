"""Models before there are jobs: which one a reference means, and what it was trained on before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exc.compiler.origins import PREVIOUS
from exc.compiler.seeds import replicate_seed, round_seed
from exc.compiler.selection import Branch, num_replicates, seed_of
from exc.compiler.trunks import checkpoint_at, tokens_at
from exc.compiler.world import World
from exc.spec.published import FolderModel, HubModel
from exc.spec.recipes import Merge, PretrainStage, Trained
from exc.spec.references import BASE, Best, BestStep, ModelRef
from exc.spec.trunks import Pretrain


@dataclass(frozen=True, slots=True)
class Point:
    """The checkpoint of a branch, whose recipe is then `base`; or what a stage of the branch leaves."""

    branch: Branch
    index: int = 0  # of the stage in its recipe
    step: int | Best | None = None  # of the stage; None is its last


def at_checkpoint(trunk: str, at: int) -> Point:
    return Point(Branch(trunk, at, BASE, 0))


def point_of(world: World, ref: ModelRef, branch: Branch | None, index: int = 0) -> Point:
    """The model a reference means where it is read: what it leaves out is the reader's own.

    `branch` and `index` are those of the stage that reads; None: a trunk reads, and leaves nothing out.
    """
    if branch is None:
        assert ref.trunk is not None
        assert ref.at is not None
        branch = Branch(ref.trunk, checkpoint_at(world, ref.trunk, ref.at), BASE, 0)
    recipe = branch.recipe if ref.recipe is None and ref.stage is not None else ref.recipe
    if recipe == "prev" or (recipe is None and ref.trunk is None and ref.at is None):
        if index:
            return Point(branch, index - 1, _step(ref))
        return at_checkpoint(branch.trunk, branch.at)
    trunk = ref.trunk or branch.trunk
    at = branch.at if ref.at is None else checkpoint_at(world, trunk, ref.at)
    if recipe in (None, BASE):
        return at_checkpoint(trunk, at)
    assert recipe is not None
    num = num_replicates(world, trunk, at, recipe)
    replicate = ref.replicate if ref.replicate is not None else min(branch.replicate, num - 1)
    names = [stage.name for stage in world.spec.recipes[recipe]]
    target = names.index(ref.stage) if ref.stage else len(names) - 1
    return Point(Branch(trunk, at, recipe, replicate), target, _step(ref))


def _step(ref: ModelRef) -> int | Best | None:
    if isinstance(ref.step, BestStep):
        return ref.step.best
    return ref.step if isinstance(ref.step, int) else None


def starts(world: World, point: Point) -> list[Point]:
    """What the jobs of a model start from: nothing, a model, or the parents of a merge."""
    branch = point.branch
    if branch.recipe == BASE:
        start = world.spec.trunks[branch.trunk].from_
        return [] if start is None else [point_of(world, start, None)]
    stage = world.spec.recipes[branch.recipe][point.index]
    if isinstance(stage.body, HubModel | FolderModel):
        return []
    if isinstance(stage.body, Merge):
        return [point_of(world, ref, branch, point.index) for _, ref in stage.body.parents]
    return [point_of(world, stage.from_ or PREVIOUS, branch, point.index)]


def root(world: World, point: Point) -> Point:
    """The model at the root of a model's ancestry: of a trunk from scratch, or made elsewhere."""
    while before := starts(world, point):
        point = before[0]
    return point


def pretraining(world: World, point: Point) -> Pretrain | None:
    """The pre-training that made a model; None where something else did."""
    if point.branch.recipe == BASE:
        return world.spec.trunks[point.branch.trunk].pretrain
    body = world.spec.recipes[point.branch.recipe][point.index].body
    return body if isinstance(body, PretrainStage) else None


def last_step(world: World, point: Point) -> int | None:
    """How many steps of its own training a model has seen; None where that is chosen, or there are none."""
    if point.branch.recipe == BASE:
        return point.branch.at
    body = world.spec.recipes[point.branch.recipe][point.index].body
    if isinstance(point.step, Best) or not isinstance(body, Trained):
        return None
    return body.horizon if point.step is None else point.step


def pretraining_seed(world: World, point: Point) -> int:
    """The seed of the pre-training that made a model."""
    is_trunk = point.branch.recipe == BASE
    run = world.spec.trunks[point.branch.trunk].run if is_trunk else pretraining(world, point)
    assert run is not None
    if run.seed is not None:
        return run.seed
    if point.branch.recipe == BASE:
        return replicate_seed(world.spec.seed, 0)
    stage = world.spec.recipes[point.branch.recipe][point.index]
    return round_seed(seed_of(world, point.branch), stage.round)


def last_pretrainings(world: World, point: Point) -> list[Point]:
    """The last pre-training in the ancestry of a model, itself included; of a merge, that of each parent."""
    found: dict[Point, None] = {}
    waiting, seen = [point], {point}
    while waiting:
        each = waiting.pop()
        if pretraining(world, each) is not None:
            found[each] = None
            continue
        for start in reversed(starts(world, each)):
            if start not in seen:
                seen.add(start)
                waiting.append(start)
    return list(found)


def tokens_seen(world: World, point: Point, seen: frozenset[Point] = frozenset()) -> int:
    """The tokens of all pre-training in the ancestry of a model, itself included; of a merge, the most."""
    if point in seen:
        return 0
    run = pretraining(world, point)
    if run is None and point.branch.recipe == BASE:
        return tokens_at(world, point.branch.trunk, point.branch.at)
    own = (last_step(world, point) or 0) * run.tokens_per_step if run is not None else 0
    return own + _most(tokens_seen(world, start, seen | {point}) for start in starts(world, point))


def tokens_before(world: World, trunk: str) -> int:
    """The tokens of all pre-training before a trunk's own."""
    start = world.spec.trunks[trunk].from_
    if start is None:
        return 0
    tokens: int = world.once(("before", trunk), lambda: (tokens_seen(world, point_of(world, start, None)),))[
        0
    ]
    return tokens


def _most(numbers: Iterable[int]) -> int:
    return max(numbers, default=0)
