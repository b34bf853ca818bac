"""Branches as jobs: recipes applied to checkpoints, with model references resolved where they stand."""

from __future__ import annotations

from exc.compiler.build import Draft, Output
from exc.compiler.measuring import Measured, evaluate
from exc.compiler.origins import PREVIOUS, stage_origin
from exc.compiler.points import Point, point_of, pretraining_seed
from exc.compiler.pretraining import Run, checkpoint, segment
from exc.compiler.published import FETCH
from exc.compiler.reader import Reader
from exc.compiler.rows import LABELLED, PAIR, rows_output
from exc.compiler.sampling import MODEL
from exc.compiler.schedules import resolve
from exc.compiler.selection import Branch
from exc.compiler.stage_configs import stage_class, stage_config
from exc.compiler.world import World
from exc.spec.paired import SftSide
from exc.spec.published import FolderModel, HubModel
from exc.spec.recipes import Body, Dpo, Kto, Merge, PretrainStage, Sft, Side, Stage, Trained, sides
from exc.spec.references import BASE, Best, ModelRef


def stage_output(world: World, branch: Branch, index: int = -1, step: int | None = None) -> Output:
    """The model that a branch's stage leaves, by default its last stage at its last step."""
    index %= len(world.spec.recipes[branch.recipe])
    body = world.spec.recipes[branch.recipe][index].body
    if isinstance(body, PretrainStage):
        run = world.once(("run", branch, index), lambda: _run(world, branch, index, body))
        return segment(world, run, body.horizon if step is None else step)
    draft, horizon = world.once(("stage", branch, index), lambda: _add_stage(world, branch, index))
    return world.jobs.final(draft, horizon if step is None else step)


def resolve_ref(world: World, ref: ModelRef, branch: Branch, index: int) -> Output:
    """The model a reference means where it is read: what it leaves out is the reader's own."""
    return output_of(world, point_of(world, ref, branch, index))


def output_of(world: World, point: Point) -> Output:
    """The job that leaves a model."""
    branch = point.branch
    if branch.recipe == BASE:
        return checkpoint(world, branch.trunk, branch.at)
    if isinstance(point.step, Best):
        return best_output(world, branch, point.index, point.step)
    return stage_output(world, branch, point.index, point.step)


def _run(world: World, branch: Branch, index: int, body: PretrainStage) -> Run:
    """More pre-training as a stage of a branch."""
    stage = world.spec.recipes[branch.recipe][index]
    return Run(
        key=(branch, index),
        spec=body,
        origin=stage_origin(world.spec, branch.trunk, branch.recipe, index),
        start=point_of(world, stage.from_ or PREVIOUS, branch, index),
        kept=tuple(kept_steps(world, body)),
        seed=pretraining_seed(world, Point(branch, index)),
        name=_stage_id(branch, stage),
        cls=stage_class(branch.recipe, stage),
        source=world.line("recipes", branch.recipe, index),
        selector={"trunk": branch.trunk, "recipe": branch.recipe},
        reader=Reader(branch.trunk, branch.at, branch.recipe, branch.replicate, index, stage.name),
    )


def _stage_id(branch: Branch, stage: Stage) -> str:
    return f"{branch.trunk}/{branch.at}/{branch.recipe}/r{branch.replicate}/{stage.name}"


def best_output(world: World, branch: Branch, index: int, best: Best) -> Output:
    """The job that chooses among a stage's kept steps, each measured by the evaluation that decides."""
    index %= len(world.spec.recipes[branch.recipe])
    return world.once(("best", branch, index, best.name), lambda: _add_choice(world, branch, index, best))


def _add_choice(world: World, branch: Branch, index: int, best: Best) -> Output:
    stage = world.spec.recipes[branch.recipe][index]
    assert isinstance(stage.body, Trained)
    inputs: dict[str, tuple[Output, str]] = {}
    for step in kept_steps(world, stage.body):
        model = stage_output(world, branch, index, step)
        measured = Measured(branch.trunk, branch.at, branch.recipe, branch.replicate, step, True, model)
        score = evaluate(world, best.evaluation, world.spec.evaluations[best.evaluation], measured)
        inputs |= {f"model:{step}": (model, MODEL), f"score:{step}": (score, "")}
    draft = world.jobs.add(
        "select",
        f"{_stage_id(branch, stage)}@{best.name}",
        f"{stage_class(branch.recipe, stage)}.select",
        {"metric": best.metric, "mode": "max" if best.is_max else "min"},
        inputs,
        source=world.line("recipes", branch.recipe, index),
        trained=True,
        selector={"trunk": branch.trunk, "recipe": branch.recipe},
    )
    return world.jobs.final(draft)


def _add_stage(world: World, branch: Branch, index: int) -> tuple[Draft, int | None]:
    """The job of a branch's stage, and the last of its steps: another branch may make the job go on."""
    stage = world.spec.recipes[branch.recipe][index]
    body = stage.body
    inputs = _inputs(world, stage.from_, body, branch, index)
    config = stage_config(world, stage, branch)
    draft = world.jobs.add(
        FETCH if isinstance(body, HubModel | FolderModel) else stage.kind,
        _stage_id(branch, stage),
        stage_class(branch.recipe, stage),
        config,
        inputs,
        source=world.line("recipes", branch.recipe, index),
        trained=True,
        selector={"trunk": branch.trunk, "recipe": branch.recipe},
    )
    if not isinstance(body, Trained):
        return draft, None
    for step in kept_steps(world, body):
        draft.keep(step)
    return draft, body.horizon


def kept_steps(world: World, body: Trained) -> list[int]:
    """The steps a stage keeps: those of `keep`, and the last."""
    key = ("kept", id(body))
    if key not in world.memo:
        per_step = body.tokens_per_step if isinstance(body, PretrainStage) else 1
        steps = {step for _, step in resolve(body.keep, body.horizon, per_step).steps} if body.keep else set()
        world.memo[key] = sorted(steps | {body.horizon})
    steps_kept: list[int] = world.memo[key]
    return steps_kept


def _judged(body: Side) -> tuple[str, ...]:
    """The columns of judged completions that a stage learns from, in place of answers."""
    if isinstance(body, Kto) and not body.unpair:
        return LABELLED
    return PAIR if isinstance(body, Dpo | Kto) else ()


def _inputs(
    world: World, start_from: ModelRef | None, body: Body, branch: Branch, index: int
) -> dict[str, tuple[Output, str]]:
    if isinstance(body, HubModel | FolderModel):
        return {}
    if isinstance(body, Merge):
        parents = {
            "base" if where[0] == "base" else f"parent:{where[1]}": resolve_ref(world, ref, branch, index)
            for where, ref in body.parents
        }
        return {role: (parent, MODEL) for role, parent in parents.items()}
    start = resolve_ref(world, start_from or PREVIOUS, branch, index)
    inputs = {"model": (start, MODEL)}
    for where, side in sides(body).items():
        name = world.spec.recipes[branch.recipe][index].name
        reader = Reader(branch.trunk, branch.at, branch.recipe, branch.replicate, index, name)
        rows = rows_output(
            world,
            side.task,
            side.split,
            demonstrations=isinstance(side, Sft | SftSide),
            judged=_judged(side),
            reader=reader,
        )
        inputs[":".join(("rows", *where))] = (rows, "")
    return inputs
