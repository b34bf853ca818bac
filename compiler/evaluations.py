"""Evaluations as jobs, and the cells of the report that they fill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.branches import MODEL, kept_steps, stage_output
from exc.compiler.build import Output
from exc.compiler.rows import fewshot_output, rows_output, source_config, verifier_config
from exc.compiler.seeds import derive
from exc.compiler.selection import Branch, planned_branches, selects
from exc.compiler.trunks import checkpoint, checkpoint_steps
from exc.compiler.world import World
from exc.spec.experiment import BitsPerByte, Evaluation, PassAtK
from exc.spec.recipes import Trained
from exc.spec.references import Selector

BLOCK_SIZE = 16  # samples per problem in one sample job; more samples add blocks, so none is drawn twice
BASE = "base"


@dataclass(frozen=True, slots=True)
class Measured:
    """A model that evaluations look at, and its place in the study."""

    trunk: str
    at: int
    recipe: str  # `base` for the trunk's own checkpoint
    replicate: int
    step: int | None  # a kept step before the last; None is the final model
    used: bool  # whether another stage starts from this snapshot
    output: Output


def measured_models(world: World) -> list[Measured]:
    """Every model that could be evaluated: checkpoints, final models of branches, and their kept steps."""
    models: list[Measured] = []
    for trunk in world.spec.trunks:
        for at in checkpoint_steps(world, trunk):
            models.append(Measured(trunk, at, BASE, 0, None, True, checkpoint(world, trunk, at)))
    branches = list(planned_branches(world))
    finals = [(branch, stage_output(world, branch)) for branch in branches]  # may make more kept steps
    read = {need.artifact for draft in world.jobs.drafts for need in draft.needs if need.role != "resumes"}
    for branch, final in finals:
        models.extend(_snapshots(world, branch, final, read))
        models.append(Measured(branch.trunk, branch.at, branch.recipe, branch.replicate, None, True, final))
    return models


def _snapshots(world: World, branch: Branch, final: Output, read: set[str]) -> Iterator[Measured]:
    earlier = sorted(step for step in final.job.kept if final.step is not None and step < final.step)
    if not earlier:
        return
    body = world.spec.recipes[branch.recipe][-1].body
    own = set(kept_steps(world, body)) if isinstance(body, Trained) else set()
    for step in earlier:
        output = Output(final.job, step)
        used = output.artifact in read
        if step in own or used:
            yield Measured(branch.trunk, branch.at, branch.recipe, branch.replicate, step, used, output)


def add_evaluations(world: World) -> list[dict[str, Any]]:
    """Add the jobs of every evaluation on every model it selects; return the report's cells."""
    models = measured_models(world)
    cells: list[dict[str, Any]] = []
    for name, evaluation in world.spec.evaluations.items():
        for model in models:
            if _selected(world, evaluation.on, model):
                score = _evaluate(world, name, evaluation, model)
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


def _evaluate(world: World, name: str, evaluation: Evaluation, model: Measured) -> Output:
    if evaluation.pass_at_k is not None:
        return _pass_at_k(world, name, evaluation.pass_at_k, model)
    assert evaluation.bits_per_byte is not None
    return _bits_per_byte(world, name, evaluation.bits_per_byte, model)


def _pass_at_k(world: World, name: str, spec: PassAtK, model: Measured) -> Output:
    rows = rows_output(world, spec.task, spec.split)
    block_size = _block_size(spec)
    num_fewshot = spec.num_fewshot.trained if model.output.job.trained else spec.num_fewshot.base
    inputs = {"model": (model.output, MODEL), "rows": (rows, "")}
    if num_fewshot:
        inputs["fewshot"] = (fewshot_output(world, spec.task), "")
    samples: dict[str, tuple[Output, str]] = {}
    for block in range(-(-spec.num_samples // block_size)):
        config = _sample_config(world, name, spec, num_fewshot, block)
        sample = _add(world, name, f"sample.{block}", "sample", config, inputs, model)
        samples[f"samples:{block}"] = (sample, "")
    config = world.once(("score", name), lambda: _score_config(world, spec))
    return _add(world, name, "score", "score", config, {"rows": (rows, ""), **samples}, model)


def _block_size(spec: PassAtK) -> int:
    return 1 if spec.temperature == 0 else BLOCK_SIZE


def _sample_config(world: World, name: str, spec: PassAtK, num_fewshot: int, block: int) -> Mapping[str, Any]:
    task, root = world.spec.tasks[spec.task], world.spec.seed
    shared = world.once(
        ("sample", name, num_fewshot),
        lambda: {
            "prompt": task.prompt,
            "stop": list(task.stop),
            "num_fewshot": num_fewshot,
            "fewshot_seed": derive(root, "fewshot", 0) if num_fewshot else None,
            "limit": spec.limit,
            "block_size": _block_size(spec),
            "temperature": spec.temperature,
            "top_p": spec.top_p,
            "max_new_tokens": spec.max_new_tokens,
        },
    )
    return world.once(
        ("sample", name, num_fewshot, block),
        lambda: {**shared, "block": block, "seed": derive(root, "sample", block)},
    )


def _score_config(world: World, spec: PassAtK) -> dict[str, Any]:
    task = world.spec.tasks[spec.task]
    return {
        "verifier": verifier_config(world, task),
        "k": sorted(set(spec.k)),
        "num_samples": spec.num_samples,
        "max_unverifiable": task.max_unverifiable,
    }


def _bits_per_byte(world: World, name: str, spec: BitsPerByte, model: Measured) -> Output:
    length = spec.sequence_length or world.spec.trunks[model.trunk].pretrain.sequence_length
    config = world.once(
        ("bits_per_byte", name, length),
        lambda: {
            "source": source_config(world, spec.data),
            "text": spec.text,
            "sequence_length": length,
            "limit_bytes": spec.limit,
        },
    )
    inputs = {"model": (model.output, MODEL)}
    return _add(world, name, "bits_per_byte", "bits_per_byte", config, inputs, model)


def _add(
    world: World,
    name: str,
    part: str,
    kind: str,
    config: Mapping[str, Any],
    inputs: dict[str, tuple[Output, str]],
    model: Measured,
) -> Output:
    draft = world.jobs.add(
        kind,
        f"{model.output.label}.{name}.{part}",
        f"{name}.{kind}",
        config,
        inputs,
        source=world.line("evaluations", name),
        trained=model.output.job.trained,
        selector={"trunk": model.trunk, "recipe": model.recipe},
    )
    return world.jobs.final(draft)


def _cell(world: World, name: str, model: Measured, score: Output) -> dict[str, Any]:
    seed = model.output.job.config.get("seed")
    return {
        "evaluation": name,
        "trunk": model.trunk,
        "at": model.at,
        "tokens": model.at * world.spec.trunks[model.trunk].pretrain.tokens_per_step,
        "recipe": model.recipe,
        "matrix": {},
        "replicate": model.replicate,
        "step": model.step,
        "final": model.step is None,
        "model": {"job": model.output.label, "artifact": model.output.artifact},
        "job": score.job.id,
        "artifact": score.artifact,
        "seeds": [] if seed is None else [seed],
    }
