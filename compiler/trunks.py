"""Trunks as jobs: tokenizer, tokenised sources, and one pre-training segment per scheduled checkpoint."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from exc.compiler.build import Output
from exc.compiler.identity import source_digest
from exc.compiler.rows import file_configs, source_config
from exc.compiler.schedules import resolve
from exc.compiler.seeds import replicate_seed
from exc.compiler.world import World
from exc.spec.trunks import Pretrain

EMPTY = ""  # the artifact's own folder


def checkpoint_steps(world: World, trunk: str) -> list[int]:
    """The trunk's checkpoints in ascending order."""
    key = ("steps", trunk)
    if key not in world.memo:
        pretrain, schedule = world.spec.trunks[trunk].pretrain, world.spec.trunks[trunk].checkpoints
        resolution = resolve(schedule, pretrain.total_steps, pretrain.tokens_per_step)
        world.memo[key] = sorted({step for _, step in resolution.steps})
    steps: list[int] = world.memo[key]
    return steps


def checkpoint_at(world: World, trunk: str, at: int | str) -> int:
    """The step of a checkpoint that is named by its step, or as the `first` or the `last`."""
    return at if isinstance(at, int) else checkpoint_steps(world, trunk)[0 if at == "first" else -1]


def checkpoint(world: World, trunk: str, step: int) -> Output:
    """The model at one checkpoint; its segment resumes from the checkpoint before it."""
    key = ("checkpoint", trunk, step)
    if key not in world.memo:
        steps = checkpoint_steps(world, trunk)
        before = bisect_left(steps, step)
        resumes = checkpoint(world, trunk, steps[before - 1]) if before else None
        world.memo[key] = _segment(world, trunk, step, resumes)
    output: Output = world.memo[key]
    return output


def tokenizer(world: World, trunk: str) -> Output:
    key = ("tokenizer", trunk)
    if key not in world.memo:
        spec = world.spec.trunks[trunk].pretrain.tokenizer
        assert spec is not None
        if spec.bpe is not None:
            sources = [source_config(world, name) for name in world.spec.trunks[trunk].pretrain.data]
            sources.sort(key=source_digest)  # the order they are written in means nothing
            config: dict[str, Any] = {"algorithm": "bpe", **spec.bpe.model_dump(), "sources": sources}
        else:
            assert spec.path is not None
            config = {"algorithm": "path", "files": file_configs(world, (spec.path,))}
        source = world.line("trunks", trunk, "pretrain", "tokenizer")
        draft = world.jobs.add("tokenizer", f"{trunk}/tokenizer", "tokenizer", config, {}, source=source)
        world.memo[key] = world.jobs.final(draft)
    output: Output = world.memo[key]
    return output


def _tokens(world: World, trunk: str, name: str) -> Output:
    config = {"source": source_config(world, name), "text": "text"}
    inputs = {"tokenizer": (tokenizer(world, trunk), EMPTY)}
    source = world.line("data", name)
    draft = world.jobs.add("tokens", f"{trunk}/tokens/{name}", "tokens", config, inputs, source=source)
    return world.jobs.final(draft)


def _mixture(world: World, trunk: str) -> list[tuple[str, Output, float]]:
    """Sources with weights, in an order that does not depend on their names."""
    key = ("mixture", trunk)
    if key not in world.memo:
        weights = world.spec.trunks[trunk].pretrain.data
        parts = [(name, _tokens(world, trunk, name), weight) for name, weight in weights.items()]
        world.memo[key] = sorted(parts, key=lambda part: (part[1].identity, part[2]))
    mixture: list[tuple[str, Output, float]] = world.memo[key]
    return mixture


def _segment(world: World, trunk: str, step: int, resumes: Output | None) -> Output:
    pretrain = world.spec.trunks[trunk].pretrain
    mixture = _mixture(world, trunk)
    config = {
        **_pretrain_config(world, pretrain),
        "mixture": [{"name": name, "weight": weight} for name, _, weight in mixture],
        "step": step,
    }
    inputs = {"tokenizer": (tokenizer(world, trunk), EMPTY)}
    inputs |= {f"tokens:{name}": (output, EMPTY) for name, output, _ in mixture}
    if resumes is not None:
        inputs["resumes"] = (resumes, "state")
    hashed = {
        "tokenizer": tokenizer(world, trunk).identity,
        "mixture": [[output.identity, weight] for _, output, weight in mixture],
    }
    draft = world.jobs.add(
        "pretrain",
        f"{trunk}/pretrain/{step}",
        "pretrain",
        config,
        inputs,
        source=world.line("trunks", trunk, "pretrain"),
        selector={"trunk": trunk},
        hashed=hashed,
    )
    return world.jobs.final(draft, step)


def _pretrain_config(world: World, pretrain: Pretrain) -> dict[str, Any]:
    """What all segments of a trunk share, tokens turned into steps."""
    return {
        "model": dict(pretrain.model or {}),
        "batch_size": pretrain.batch_size,
        "sequence_length": pretrain.sequence_length,
        "lr": lr_config(pretrain),
        "optimizer": pretrain.optimizer.model_dump(mode="json"),
        "precision": pretrain.precision,
        "seed": replicate_seed(world.spec.seed, 0) if pretrain.seed is None else pretrain.seed,
    }


def lr_config(pretrain: Pretrain) -> dict[str, Any]:
    """The learning rate with its lengths in steps, as `learning_rate.make_schedule` reads it."""
    per_step, schedule = pretrain.tokens_per_step, pretrain.schedule
    return {
        "shape": schedule.shape,
        "peak": schedule.peak,
        "warmup_steps": -(-schedule.warmup // per_step),
        "total_steps": pretrain.total_steps,
        "decay_steps": -(-(schedule.decay or 0) // per_step),
        "floor": schedule.floor,
    }
