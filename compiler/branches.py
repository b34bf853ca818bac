"""Branches as jobs: recipes applied to checkpoints, with model references resolved where they stand."""

from __future__ import annotations

from exc.compiler.build import Draft, Output
from exc.compiler.measuring import MODEL, Measured, evaluate
from exc.compiler.rows import rows_output
from exc.compiler.schedules import resolve
from exc.compiler.selection import Branch, num_replicates
from exc.compiler.stage_configs import stage_config
from exc.compiler.trunks import checkpoint, checkpoint_at
from exc.compiler.world import World
from exc.spec.recipes import Body, Grpo, Merge, Sft, Trained
from exc.spec.references import Best, BestStep, ModelRef

PREVIOUS = ModelRef(recipe="prev")  # what a stage starts from unless it says otherwise


def stage_output(world: World, branch: Branch, index: int = -1, step: int | None = None) -> Output:
    """The model that a branch's stage leaves, by default its last stage at its last step."""
    index %= len(world.spec.recipes[branch.recipe])
    draft, horizon = world.once(("stage", branch, index), lambda: _add_stage(world, branch, index))
    return world.jobs.final(draft, horizon if step is None else step)


def resolve_ref(world: World, ref: ModelRef, branch: Branch, index: int) -> Output:
    """The model a reference means where it is read: what it leaves out is the reader's own."""
    recipe = branch.recipe if ref.recipe is None and ref.stage is not None else ref.recipe
    if recipe == "prev" or (recipe is None and ref.trunk is None and ref.at is None):
        if index:
            return _at_step(world, branch, index - 1, ref)
        return checkpoint(world, branch.trunk, branch.at)
    trunk = ref.trunk or branch.trunk
    at = branch.at if ref.at is None else checkpoint_at(world, trunk, ref.at)
    if recipe in (None, "base"):
        return checkpoint(world, trunk, at)
    assert recipe is not None
    num = num_replicates(world, trunk, at, recipe)
    replicate = ref.replicate if ref.replicate is not None else min(branch.replicate, num - 1)
    target = Branch(trunk, at, recipe, replicate)
    names = [stage.name for stage in world.spec.recipes[recipe]]
    return _at_step(world, target, names.index(ref.stage) if ref.stage else len(names) - 1, ref)


def _at_step(world: World, branch: Branch, index: int, ref: ModelRef) -> Output:
    if isinstance(ref.step, BestStep):
        return best_output(world, branch, index, ref.step.best)
    return stage_output(world, branch, index, ref.step if isinstance(ref.step, int) else None)


def best_output(world: World, branch: Branch, index: int, best: Best) -> Output:
    """The job that chooses among a stage's kept steps, each measured by the evaluation that decides."""
    index %= len(world.spec.recipes[branch.recipe])
    return world.once(("best", branch, index, best), lambda: _add_choice(world, branch, index, best))


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
        f"{branch.trunk}/{branch.at}/{branch.recipe}/r{branch.replicate}/{stage.name}@{best.name}",
        f"{branch.recipe}.{stage.repeats or stage.name}.select",
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
    config = stage_config(world, body, branch)
    draft = world.jobs.add(
        stage.kind,
        f"{branch.trunk}/{branch.at}/{branch.recipe}/r{branch.replicate}/{stage.name}",
        f"{branch.recipe}.{stage.repeats or stage.name}",
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
        steps = {step for _, step in resolve(body.keep, body.horizon, 1).steps} if body.keep else set()
        world.memo[key] = sorted(steps | {body.horizon})
    steps_kept: list[int] = world.memo[key]
    return steps_kept


def _inputs(
    world: World, start_from: ModelRef | None, body: Body, branch: Branch, index: int
) -> dict[str, tuple[Output, str]]:
    if isinstance(body, Merge):
        parents = [resolve_ref(world, ref, branch, index) for ref in body.of]
        return {f"parent:{i}": (parent, MODEL) for i, parent in enumerate(parents)}
    start = resolve_ref(world, start_from or PREVIOUS, branch, index)
    inputs = {"model": (start, MODEL)}
    if isinstance(body, Sft | Grpo):
        rows = rows_output(world, body.task, body.split, demonstrations=isinstance(body, Sft))
        inputs["rows"] = (rows, "")
    return inputs
