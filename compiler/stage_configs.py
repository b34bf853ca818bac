"""What each kind of stage is given: the configs of its jobs, with names and files resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exc.compiler.build import Draft, draft_for_profile
from exc.compiler.published import published_config
from exc.compiler.rows import file_configs, judging_config, rewards_config
from exc.compiler.seeds import round_seed
from exc.compiler.selection import Branch, seed_of
from exc.compiler.world import World
from exc.spec.args import resolve_args
from exc.spec.cells import base_of
from exc.spec.check_paired import OF_THE_OPTIMIZER
from exc.spec.paired import SIDES, Combined, Paired, RlSide
from exc.spec.presets import with_loss
from exc.spec.published import FolderModel, HubModel
from exc.spec.recipes import Command, Dpo, Grpo, Kto, Merge, OnTask, Rloo, Rollouts, Sft, Stage


def stage_class(recipe: str, stage: Stage) -> str:
    """The class of a stage's jobs: one for all cells of a matrix, and for all rounds of a repeated block."""
    return f"{base_of(recipe)}.{stage.repeats or stage.name}"


def stage_drafts(recipe: str, stage: Stage, trunks: Iterable[str]) -> list[Draft]:
    """The jobs of a stage as far as a profile looks at them: one on each trunk."""
    cls = stage_class(recipe, stage)
    return [draft_for_profile(stage.kind, cls, {"trunk": trunk, "recipe": recipe}) for trunk in trunks]


def stage_config(world: World, stage: Stage, branch: Branch) -> Mapping[str, Any]:
    """The config of a stage's job in a branch; jobs that differ in nothing share it."""
    body = stage.body
    if isinstance(body, Merge):
        return merge_config(body)
    if isinstance(body, HubModel | FolderModel):
        return world.once(("config", id(body)), lambda: published_config(world, body))
    seed = round_seed(seed_of(world, branch), stage.round)
    shared = world.once(("config", id(body)), lambda: _shared_config(world, stage))
    return world.once(("config", id(body), seed), lambda: {**shared, "seed": seed})


def merge_config(body: Merge) -> dict[str, Any]:
    """A merge with the defaults of its method written out."""
    num = len(body.of)
    if body.method == "slerp":
        return {"method": body.method, "t": body.t}
    equal = 1.0 if body.method == "ties" else 1.0 / num
    out: dict[str, Any] = {"method": body.method, "weights": list(body.weights or [equal] * num)}
    normalize = body.method == "ties" if body.normalize is None else body.normalize
    if body.method == "ties":
        density = body.density if isinstance(body.density, tuple) else (body.density,) * num
        out["density"] = list(density)
    return out if body.method == "linear" and not normalize else out | {"normalize": normalize}


def _shared_config(world: World, stage: Stage) -> dict[str, Any]:
    """What all jobs of a stage have in common; `args` are all fields of the TRL config."""
    body = stage.body
    if isinstance(body, Command):
        return {"run": body.run, "files": file_configs(world, body.files), "leaves": body.leaves}
    if isinstance(body, Sft):
        fields = body.model_dump(include={"demonstrations", "batch_size", "max_steps"})
        return _prompting(world, body.task) | fields | _trainer("sft", body)
    if isinstance(body, Dpo | Kto):
        prompt: dict[str, Any] = {"prompt": world.spec.tasks[body.task].prompt}
        if isinstance(body, Kto) and body.unpair:
            prompt["unpair"] = True
        fields = body.model_dump(include={"batch_size", "max_steps"})
        return prompt | fields | _trainer(stage.kind, body)
    if isinstance(body, Rollouts):
        return _rollouts(world, stage.kind, body)
    if isinstance(body, Paired):
        return _paired(world, body)
    raise TypeError(f"no config for {type(body).__name__}")


def _paired(world: World, body: Paired) -> dict[str, Any]:
    """A stage with two sides: what it says of both, and of each what a stage would say, but its length."""
    own = body.model_dump(mode="json", exclude={"keep", "lora", "rl", "sft"})
    sft = _prompting(world, body.sft.task) | body.sft.model_dump(include={"demonstrations", "batch_size"})
    args = resolve_args(SIDES["sft"], body.sft.args)
    if isinstance(body, Combined):
        args = {field: value for field, value in args.items() if field not in OF_THE_OPTIMIZER}
    adapters = {} if body.lora is None else {"lora": body.lora.model_dump(mode="json")}
    return {**own, "rl": _rollouts(world, SIDES["rl"], body.rl), "sft": {**sft, "args": args}, **adapters}


def _rollouts(world: World, kind: str, body: Rollouts | RlSide) -> dict[str, Any]:
    assert isinstance(body, Grpo | Rloo | RlSide)
    task = world.spec.tasks[body.task]
    judged = {**judging_config(world, task), "rewards": rewards_config(task)}
    judged["max_unverifiable"] = task.max_unverifiable
    counts = {"num_generations", "prompts_per_rollout", "updates_per_rollout", "rollouts"}
    engine = {} if body.engine == "transformers" else {"engine": body.engine}
    fields = body.model_dump(include=counts)
    return _prompting(world, body.task) | judged | fields | engine | _trainer(kind, body)


def _trainer(kind: str, body: OnTask | RlSide) -> dict[str, Any]:
    """Every field of the TRL config, and the adapters where there are some."""
    lora = None if isinstance(body, RlSide) else body.lora
    adapters = {} if lora is None else {"lora": lora.model_dump(mode="json")}
    given = with_loss(body.loss, body.args) if isinstance(body, Grpo | RlSide) else body.args
    return {"args": resolve_args(kind, given), **adapters}


def _prompting(world: World, task: str) -> dict[str, Any]:
    return {"prompt": world.spec.tasks[task].prompt, "stop": list(world.spec.tasks[task].stop)}
