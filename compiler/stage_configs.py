"""What each kind of stage is given: the configs of its jobs, with names and files resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.published import published_config
from exc.compiler.rows import file_configs, judging_config
from exc.compiler.seeds import round_seed
from exc.compiler.selection import Branch, seed_of
from exc.compiler.world import World
from exc.spec.args import resolve_args
from exc.spec.published import FolderModel, HubModel
from exc.spec.recipes import Body, Command, Dpo, Grpo, Merge, Sft, Stage


def stage_config(world: World, stage: Stage, branch: Branch) -> Mapping[str, Any]:
    """The config of a stage's job in a branch; jobs that differ in nothing share it."""
    body = stage.body
    if isinstance(body, Merge):
        weights = body.weights or tuple(1.0 / len(body.of) for _ in body.of)
        return {"method": body.method, "weights": list(weights)}
    if isinstance(body, HubModel | FolderModel):
        return world.once(("config", id(body)), lambda: published_config(world, body))
    seed = round_seed(seed_of(world, branch), stage.round)
    shared = world.once(("config", id(body)), lambda: _shared_config(world, body))
    return world.once(("config", id(body), seed), lambda: {**shared, "seed": seed})


def _shared_config(world: World, body: Body) -> dict[str, Any]:
    """What all jobs of a stage have in common; `args` are all fields of the TRL config."""
    if isinstance(body, Command):
        return {"run": body.run, "files": file_configs(world, body.files), "leaves": body.leaves}
    if isinstance(body, Sft):
        fields = body.model_dump(include={"demonstrations", "batch_size", "max_steps"})
        return _prompting(world, body.task) | fields | _trainer("sft", body)
    if isinstance(body, Dpo):
        prompt = {"prompt": world.spec.tasks[body.task].prompt}
        return prompt | body.model_dump(include={"batch_size", "max_steps"}) | _trainer("dpo", body)
    if isinstance(body, Grpo):
        task = world.spec.tasks[body.task]
        judged = {**judging_config(world, task), "rewards": task.rewards.model_dump()}
        judged["max_unverifiable"] = task.max_unverifiable
        counts = {"num_generations", "prompts_per_rollout", "updates_per_rollout", "rollouts"}
        fields = body.model_dump(include=counts)
        return _prompting(world, body.task) | judged | fields | _trainer("grpo", body)
    raise TypeError(f"no config for {type(body).__name__}")


def _trainer(kind: str, body: Sft | Grpo | Dpo) -> dict[str, Any]:
    """Every field of the TRL config, and the adapters where there are some."""
    adapters = {} if body.lora is None else {"lora": body.lora.model_dump(mode="json")}
    return {"args": resolve_args(kind, body.args), **adapters}


def _prompting(world: World, task: str) -> dict[str, Any]:
    return {"prompt": world.spec.tasks[task].prompt, "stop": list(world.spec.tasks[task].stop)}
