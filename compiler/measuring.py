"""An evaluation of one model as jobs: sample jobs and a score job, or one that reads text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.build import Output
from exc.compiler.rows import fewshot_output, rows_output, source_config, verifier_config
from exc.compiler.seeds import derive
from exc.compiler.world import World
from exc.spec.experiment import BitsPerByte, Evaluation, PassAtK

MODEL = "model"  # the sub-folder of an artifact that holds a model
BLOCK_SIZE = 16  # samples per problem in one sample job; more samples add blocks, so none is drawn twice
BASE = "base"


@dataclass(frozen=True, slots=True)
class Measured:
    """A model that evaluations look at, and its place in the study."""

    trunk: str
    at: int
    recipe: str  # `base` for the trunk's own checkpoint
    replicate: int
    step: int | str | None  # a kept step before the last, or the name of a choice; None is the final model
    used: bool  # whether another stage starts from this snapshot
    output: Output


def evaluate(world: World, name: str, evaluation: Evaluation, model: Measured) -> Output:
    """The job that leaves what an evaluation found of a model; planned once, however many ask."""
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
