"""Branches as jobs: recipes applied to checkpoints, with model references resolved where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.build import Draft, Output
from exc.compiler.rows import file_configs, rows_output, verifier_config
from exc.compiler.schedules import resolve
from exc.compiler.seeds import replicate_seed
from exc.compiler.trunks import checkpoint, checkpoint_steps
from exc.compiler.world import World
from exc.spec.args import resolve_args
from exc.spec.recipes import Command, Grpo, Merge, Sft
from exc.spec.references import At, ModelRef, Selector

MODEL = "model"  # the sub-folder of an artifact that holds a model
PREVIOUS = ModelRef(recipe="prev")  # what a stage starts from unless it says otherwise

Body = Sft | Grpo | Merge | Command


@dataclass(frozen=True, slots=True)
class Branch:
    """A recipe on one checkpoint with one replicate."""

    trunk: str
    at: int
    recipe: str
    replicate: int


def planned_branches(world: World) -> Iterator[Branch]:
    """The branches that the spec asks for, in its order; each once."""
    for trunk in world.spec.trunks:
        for at in checkpoint_steps(world, trunk):
            for recipe in world.spec.recipes:
                if is_planned(world, trunk, at, recipe):
                    for replicate in range(num_replicates(world, trunk, at, recipe)):
                        yield Branch(trunk, at, recipe, replicate)


def is_planned(world: World, trunk: str, at: int, recipe: str) -> bool:
    """Whether the spec applies the recipe to the checkpoint."""
    if world.spec.branches is None:
        return True
    return any(
        (entry.trunks is None or trunk in entry.trunks)
        and (entry.recipes is None or recipe in entry.recipes)
        and (entry.at is None or at in entry.at)
        for entry in world.spec.branches
    )


def selects(world: World, on: Selector, trunk: str, at: int, recipe: str, replicate: int) -> bool:
    """Whether a selector takes in a branch, its snapshot aside."""
    return (on.replicates is None or replicate in on.replicates) and on_branch(world, on, trunk, at, recipe)


def on_branch(world: World, on: Selector, trunk: str, at: int, recipe: str) -> bool:
    """Whether a selector takes in a recipe at a checkpoint, whatever its replicates."""
    return (
        (on.trunks is None or trunk in on.trunks)
        and (on.recipes is None or recipe in on.recipes)
        and (on.at is None or _at(world, on.at, trunk, at))
    )


def _at(world: World, at: At, trunk: str, step: int) -> bool:
    if at.steps is not None and step not in at.steps:
        return False
    if at.tokens is None:
        return True
    tokens = step * world.spec.trunks[trunk].pretrain.tokens_per_step
    return (at.tokens.start or 0) <= tokens and (at.tokens.stop is None or tokens <= at.tokens.stop)


def num_replicates(world: World, trunk: str, at: int, recipe: str) -> int:
    seeds = _pinned(world, trunk, at, recipe)
    entry = _replicates_entry(world, trunk, at, recipe)
    return len(seeds) if seeds else (entry.num or 1) if entry else 1


def _replicates_entry(world: World, trunk: str, at: int, recipe: str) -> Any:
    key = ("replicates", trunk, at, recipe)
    if key not in world.memo:
        matching = [entry for entry in world.spec.replicates if on_branch(world, entry.on, trunk, at, recipe)]
        world.memo[key] = matching[-1] if matching else None
    return world.memo[key]


def _pinned(world: World, trunk: str, at: int, recipe: str) -> tuple[int, ...]:
    entry = _replicates_entry(world, trunk, at, recipe)
    return entry.seeds or () if entry else ()


def _seed(world: World, branch: Branch) -> int:
    pinned = _pinned(world, branch.trunk, branch.at, branch.recipe)
    return pinned[branch.replicate] if pinned else replicate_seed(world.spec.seed, branch.replicate)


def stage_output(world: World, branch: Branch, index: int = -1, step: int | None = None) -> Output:
    """The model that a branch's stage leaves, by default its last stage at its last step."""
    index %= len(world.spec.recipes[branch.recipe])
    draft, horizon = world.once(("stage", branch, index), lambda: _add_stage(world, branch, index))
    return world.jobs.final(draft, horizon if step is None else step)


def resolve_ref(world: World, ref: ModelRef, branch: Branch, index: int) -> Output:
    """The model a reference means where it is read: what it leaves out is the reader's own."""
    step = ref.step if isinstance(ref.step, int) else None
    recipe = branch.recipe if ref.recipe is None and ref.stage is not None else ref.recipe
    if recipe == "prev" or (recipe is None and ref.trunk is None and ref.at is None):
        return (
            stage_output(world, branch, index - 1, step)
            if index
            else checkpoint(world, branch.trunk, branch.at)
        )
    trunk, at = ref.trunk or branch.trunk, ref.at or branch.at
    if recipe in (None, "base"):
        return checkpoint(world, trunk, at)
    assert recipe is not None
    num = num_replicates(world, trunk, at, recipe)
    replicate = ref.replicate if ref.replicate is not None else min(branch.replicate, num - 1)
    target = Branch(trunk, at, recipe, replicate)
    names = [stage.name for stage in world.spec.recipes[recipe]]
    return stage_output(world, target, names.index(ref.stage) if ref.stage else len(names) - 1, step)


def _add_stage(world: World, branch: Branch, index: int) -> tuple[Draft, int | None]:
    """The job of a branch's stage, and the last of its steps: another branch may make the job go on."""
    stage = world.spec.recipes[branch.recipe][index]
    body = stage.body
    inputs = _inputs(world, stage.from_, body, branch, index)
    config = _stage_config(world, body, branch)
    draft = world.jobs.add(
        stage.kind,
        f"{branch.trunk}/{branch.at}/{branch.recipe}/r{branch.replicate}/{stage.name}",
        f"{branch.recipe}.{stage.name}",
        config,
        inputs,
        source=world.line("recipes", branch.recipe, index),
        trained=True,
        selector={"trunk": branch.trunk, "recipe": branch.recipe},
    )
    if not isinstance(body, Sft | Grpo):
        return draft, None
    for step in kept_steps(world, body):
        draft.keep(step)
    return draft, _horizon(body)


def _horizon(body: Sft | Grpo) -> int:
    return body.max_steps if isinstance(body, Sft) else body.rollouts


def kept_steps(world: World, body: Sft | Grpo) -> list[int]:
    """The steps a stage keeps: those of `keep`, and the last."""
    key = ("kept", id(body))
    if key not in world.memo:
        horizon = _horizon(body)
        steps = {step for _, step in resolve(body.keep, horizon, 1).steps} if body.keep else set()
        world.memo[key] = sorted(steps | {horizon})
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


def _stage_config(world: World, body: Body, branch: Branch) -> Mapping[str, Any]:
    if isinstance(body, Merge):
        weights = body.weights or tuple(1.0 / len(body.of) for _ in body.of)
        return {"method": body.method, "weights": list(weights)}
    seed = _seed(world, branch)
    shared = world.once(("config", id(body)), lambda: _shared_config(world, body))
    return world.once(("config", id(body), seed), lambda: {**shared, "seed": seed})


def _shared_config(world: World, body: Sft | Grpo | Command) -> dict[str, Any]:
    """What all jobs of a stage have in common; `args` are all fields of the TRL config."""
    if isinstance(body, Command):
        return {"run": body.run, "files": file_configs(world, body.files), "leaves": body.leaves}
    task = world.spec.tasks[body.task]
    shared: dict[str, Any] = {"prompt": task.prompt, "stop": list(task.stop)}
    if isinstance(body, Sft):
        fields = body.model_dump(include={"demonstrations", "batch_size", "max_steps"})
        return shared | fields | {"args": resolve_args("sft", body.args)}
    judged = {"verifier": verifier_config(world, task), "rewards": task.rewards.model_dump()}
    counts = {"num_generations", "prompts_per_rollout", "updates_per_rollout", "rollouts"}
    return shared | judged | body.model_dump(include=counts) | {"args": resolve_args("grpo", body.args)}
