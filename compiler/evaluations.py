"""Evaluations as jobs, and the cells of the report that they fill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exc.compiler.branches import best_output, kept_steps, stage_output
from exc.compiler.build import Output
from exc.compiler.measuring import Measured, evaluate
from exc.compiler.points import tokens_before
from exc.compiler.pretraining import checkpoint, segments
from exc.compiler.selection import Branch, planned_branches, selects
from exc.compiler.trunks import checkpoint_steps, tokens_at
from exc.compiler.world import World
from exc.spec.recipes import STAGE_KINDS, PretrainStage, Trained
from exc.spec.references import BASE, BestStep, Selector


def measured_models(world: World) -> list[Measured]:
    """Every model that could be evaluated: checkpoints, final models of branches, and their kept steps."""
    models: list[Measured] = []
    for trunk in world.spec.trunks:
        for at in checkpoint_steps(world, trunk):
            models.append(Measured(trunk, at, BASE, 0, None, True, checkpoint(world, trunk, at)))
    branches = list(planned_branches(world))
    finals = [(branch, stage_output(world, branch)) for branch in branches]  # may make more kept steps
    _choose_for_contrasts(world, branches)
    read = {
        need.artifact
        for draft in world.jobs.drafts
        for need in draft.needs
        if draft.kind in STAGE_KINDS and need.role not in ("resumes", "continues")
    }
    choices = _choices(world)
    for branch, final in finals:
        models.extend(_snapshots(world, branch, final, read))
        models.extend(choices.get(branch, ()))
        models.append(Measured(branch.trunk, branch.at, branch.recipe, branch.replicate, None, True, final))
    return models


def _snapshots(world: World, branch: Branch, final: Output, read: set[str]) -> Iterator[Measured]:
    stages = world.spec.recipes[branch.recipe]
    body = stages[-1].body
    if isinstance(body, PretrainStage):
        kept = segments(world, (branch, len(stages) - 1), kept_steps(world, body))
    else:
        kept = {step: Output(final.job, step) for step in sorted(final.job.kept)}
    own = set(kept_steps(world, body)) if isinstance(body, Trained) else set()
    for step, output in kept.items():
        if final.step is None or step >= final.step:
            continue
        used = output.artifact in read
        if step in own or used:
            yield Measured(branch.trunk, branch.at, branch.recipe, branch.replicate, step, used, output)


def _choose_for_contrasts(world: World, branches: list[Branch]) -> None:
    """Add the choices that no stage starts from, but a contrast compares."""
    for contrast in world.spec.report.contrasts:
        for ref in (contrast.a, contrast.b):
            if not isinstance(ref.step, BestStep):
                continue
            for branch in branches:
                names = [stage.name for stage in world.spec.recipes[branch.recipe]]
                if branch.recipe == ref.recipe and ref.stage in (None, names[-1]):
                    best_output(world, branch, len(names) - 1, ref.step.best)


def _choices(world: World) -> dict[Branch, list[Measured]]:
    """The models that were chosen among the kept steps of a branch's last stage."""
    found: dict[Branch, list[Measured]] = {}
    for key, output in world.memo.items():
        if key[0] == "best" and key[2] == len(world.spec.recipes[key[1].recipe]) - 1:
            branch: Branch = key[1]
            place = (branch.trunk, branch.at, branch.recipe, branch.replicate)
            found.setdefault(branch, []).append(Measured(*place, key[3], True, output))
    return found


def add_evaluations(world: World) -> list[dict[str, Any]]:
    """Add the jobs of every evaluation on every model it selects; return the report's cells."""
    models = measured_models(world)
    cells: list[dict[str, Any]] = []
    for name, evaluation in world.spec.evaluations.items():
        for model in models if evaluation.contamination is None else ():
            if _selected(world, evaluation.on, model):
                score = evaluate(world, name, evaluation, model)
                cells.append(_cell(world, name, model, score))
    return cells


def _selected(world: World, on: Selector, model: Measured) -> bool:
    if not selects(world, on, model.trunk, model.at, model.recipe, model.replicate):
        return False
    if model.step is None:
        if isinstance(on.step, tuple):
            return model.recipe != BASE and model.output.step in on.step
        return True
    if on.step is None or on.step == "used":
        return model.used
    return on.step == "all" or (isinstance(on.step, tuple) and model.step in on.step)


def shows(world: World, on: Selector, cell: Mapping[str, Any]) -> bool:
    """Whether a selector takes in a cell of the report; of snapshots, all unless it says which."""
    if not selects(world, on, cell["trunk"], cell["at"], cell["recipe"], cell["replicate"]):
        return False
    if on.step == "final":
        return bool(cell["final"])
    return not isinstance(on.step, tuple) or _step_of(world, cell) in on.step


def _step_of(world: World, cell: Mapping[str, Any]) -> Any:
    """The step of the model in a cell, that of a final one included; None where there are no steps."""
    if cell["step"] is not None or cell["recipe"] == BASE:
        return cell["step"]
    body = world.spec.recipes[cell["recipe"]][-1].body
    return body.horizon if isinstance(body, Trained) else None


def _values(world: World, model: Measured) -> dict[str, Any]:
    """The values of the recipe's axes and the trunk's; of one name with two values, the trunk's says so."""
    recipe = world.experiment.values("recipes", model.recipe)
    trunk = world.experiment.values("trunks", model.trunk)
    clash = {axis for axis in trunk if axis in recipe and recipe[axis] != trunk[axis]}
    return {**{f"trunk.{axis}" if axis in clash else axis: value for axis, value in trunk.items()}, **recipe}


def _cell(world: World, name: str, model: Measured, score: Output) -> dict[str, Any]:
    seed = model.output.job.config.get("seed")
    return {
        "evaluation": name,
        "trunk": model.trunk,
        "at": model.at,
        "tokens": tokens_before(world, model.trunk) + tokens_at(world, model.trunk, model.at),
        "recipe": model.recipe,
        "matrix": _values(world, model),
        "replicate": model.replicate,
        "step": model.step,
        "final": model.step is None,
        "model": {"job": model.output.label, "artifact": model.output.artifact},
        "job": score.job.id,
        "artifact": score.artifact,
        "seeds": [] if seed is None else [seed],
    }
