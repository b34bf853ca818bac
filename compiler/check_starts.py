"""Checks of pre-training that starts from a model: whether what it continues is there, and fits."""

from __future__ import annotations

from exc.compiler.continuing import ContinuesError, continuation
from exc.compiler.origins import stage_origin, trunk_origin
from exc.compiler.points import Point, point_of, starts
from exc.compiler.scope import Scope
from exc.compiler.selection import Branch, num_replicates
from exc.compiler.trunks import checkpoint_at
from exc.compiler.world import World
from exc.spec.architectures import check_model
from exc.spec.experiment import Path
from exc.spec.recipes import PretrainStage
from exc.spec.references import BASE, ModelRef
from exc.spec.trunks import Pretrain


def check_starts(scope: Scope) -> None:
    """Nothing is said while there are errors: a model that is missing may be the one that was meant."""
    if scope.diagnostics.has_errors:
        return
    world = scope.world()
    for name, trunk in scope.spec.trunks.items():
        if trunk.from_ is None or trunk.pretrain is None:
            continue
        path: Path = ("trunks", name)
        if not _reports_replicate(scope, world, (*path, "from"), trunk.from_):
            _check_run(scope, world, (*path, "pretrain"), trunk.pretrain, point_of(world, trunk.from_, None))
            _check_length(scope, (*path, "pretrain"), trunk.pretrain, trunk_origin(scope.spec, name))
    for place, stage in scope.stages():
        if isinstance(stage.body, PretrainStage):
            _check_stage(scope, world, place, stage.body)


def _check_stage(scope: Scope, world: World, place: tuple[str, int], run: PretrainStage) -> None:
    """A stage on each checkpoint; what is wrong on one is said once."""
    path: Path = ("recipes", *place, "pretrain")
    checked: set[str | None] = set()
    for trunk, at, recipe in scope.planned:
        if recipe != place[0]:
            continue
        origin = stage_origin(scope.spec, trunk, *place)
        if origin not in checked:
            checked.add(origin)
            _check_length(scope, path, run, origin)
        branch = Branch(trunk, at, recipe, 0)
        where = f"on `{trunk}` at {at}: "
        if _check_run(scope, world, path, run, starts(world, Point(branch, place[1]))[0], where):
            return


def _check_run(scope: Scope, world: World, path: Path, run: Pretrain, start: Point, where: str = "") -> bool:
    """Whether something was found that cannot be continued."""
    try:
        continuation(world, run, start)
    except ContinuesError as error:
        at = (*path, "continues", error.part)
        span = scope.draft.span(*at)
        if all(found.span != span for found in scope.diagnostics):  # an earlier round of a repeated block
            scope.error(error.code, f"{where}{error.message}", at, hint=error.hint)
        return True
    return False


def _check_length(scope: Scope, path: Path, run: Pretrain, origin: str | None) -> None:
    """Whether the shape, which is that of the trunk the model descends from, holds such sequences."""
    shape = scope.spec.trunks[origin].pretrain if origin is not None else None
    model = shape.model if shape is not None else None
    if model is None:
        return
    for problem in check_model(model, run.sequence_length):
        message = f"{problem.message} of `{origin}`, whose shape the model has"
        scope.error(problem.code, message, (*path, "sequence_length"), hint=problem.hint)


def _reports_replicate(scope: Scope, world: World, path: Path, ref: ModelRef) -> bool:
    """Whether it is not clear which replicate a trunk starts from."""
    if ref.recipe in (None, BASE) or ref.trunk is None or ref.at is None:
        return False
    at = checkpoint_at(world, ref.trunk, ref.at)
    num = num_replicates(world, ref.trunk, at, ref.recipe or "")
    if ref.replicate is not None and ref.replicate >= num:
        message = f"`{ref.recipe}` has {num} replicates there, so there is no replicate {ref.replicate}"
        scope.error("bad-value", message, (*path, "replicate"), f"a number from 0 to {num - 1}")
        return True
    if ref.replicate is None and num > 1:
        message = f"`{ref.recipe}` has {num} replicates at `{ref.trunk}`, {at}, and a trunk starts from one"
        scope.error(
            "missing-key", message, path, f"`replicate: N` with a number from 0 to {num - 1}", key=True
        )
        return True
    return False
