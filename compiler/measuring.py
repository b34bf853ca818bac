"""An evaluation of one model as jobs: sample jobs and a score job, or one that reads text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.build import Output
from exc.compiler.derived import read_data
from exc.compiler.harness import harness_config
from exc.compiler.rows import judging_config
from exc.compiler.sampling import MODEL, num_blocks, num_exemplars, sample_config, sample_inputs
from exc.compiler.world import World
from exc.spec.cells import base_of
from exc.spec.experiment import BitsPerByte, Evaluation, PassAtK
from exc.spec.measures import LmEval

DEFAULT_WINDOW = 1024  # tokens of text at once, for a model of which no trunk says how long its sequences are


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
    if evaluation.lm_eval is not None:
        return _lm_eval(world, name, evaluation.lm_eval, model)
    assert evaluation.bits_per_byte is not None
    return _bits_per_byte(world, name, evaluation.bits_per_byte, model)


def _pass_at_k(world: World, name: str, spec: PassAtK, model: Measured) -> Output:
    inputs = sample_inputs(world, spec, model.output)
    num_fewshot = num_exemplars(spec, model.output)
    samples: dict[str, tuple[Output, str]] = {}
    for block in range(num_blocks(spec)):
        config = sample_config(world, spec, num_fewshot, block)
        sample = _add(world, name, f"sample.{block}", "sample", config, inputs, model)
        samples[f"samples:{block}"] = (sample, "")
    config = world.once(("score", name), lambda: _score_config(world, spec))
    return _add(world, name, "score", "score", config, {"rows": inputs["rows"], **samples}, model)


def _score_config(world: World, spec: PassAtK) -> dict[str, Any]:
    task = world.spec.tasks[spec.task]
    return {
        **judging_config(world, task),
        "k": sorted(set(spec.k)),
        "num_samples": spec.num_samples,
        "max_unverifiable": task.max_unverifiable,
    }


def _bits_per_byte(world: World, name: str, spec: BitsPerByte, model: Measured) -> Output:
    run = world.spec.trunks[model.trunk].pretrain
    length = spec.sequence_length or (run.sequence_length if run is not None else DEFAULT_WINDOW)
    data, read = world.once(("bits_per_byte", name), lambda: read_data(world, spec.data))
    config = world.once(
        ("bits_per_byte", name, length),
        lambda: {
            "source": data,
            "text": spec.text,
            "sequence_length": length,
            "limit_bytes": spec.limit,
        },
    )
    inputs = {"model": (model.output, MODEL), **read}
    return _add(world, name, "bits_per_byte", "bits_per_byte", config, inputs, model)


def _lm_eval(world: World, name: str, spec: LmEval, model: Measured) -> Output:
    shots = spec.num_fewshot
    trained = model.output.job.trained
    num_fewshot = None if shots is None else shots.trained if trained else shots.base
    config = world.once(("lm_eval", name, trained), lambda: harness_config(world.facts, spec, num_fewshot))
    return _add(world, name, "lm_eval", "lm_eval", config, {"model": (model.output, MODEL)}, model)


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
        f"{base_of(name)}.{kind}",
        config,
        inputs,
        source=world.line("evaluations", name),
        trained=model.output.job.trained,
        selector={"trunk": model.trunk, "recipe": model.recipe},
    )
    return world.jobs.final(draft)
