"""Sample jobs: fixed blocks of completions, the same for whoever asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.build import Output
from exc.compiler.reader import Reader
from exc.compiler.rows import fewshot_output, rows_output
from exc.compiler.seeds import derive
from exc.compiler.world import World
from exc.spec.prompting import Sampling

MODEL = "model"  # the sub-folder of an artifact that holds a model
BLOCK_SIZE = 16  # samples per problem in one sample job; more samples add blocks, so none is drawn twice

Inputs = dict[str, tuple[Output, str]]


def block_size(spec: Sampling) -> int:
    return 1 if spec.temperature == 0 else BLOCK_SIZE


def num_blocks(spec: Sampling) -> int:
    return -(-spec.num_samples // block_size(spec))


def num_exemplars(spec: Sampling, model: Output) -> int:
    return spec.num_fewshot.trained if model.job.trained else spec.num_fewshot.base


def sample_inputs(world: World, spec: Sampling, model: Output, reader: Reader | None = None) -> Inputs:
    """What a sample job reads: the model, the problems, and the exemplars where there are any."""
    inputs: Inputs = {
        "model": (model, MODEL),
        "rows": (rows_output(world, spec.task, spec.split, reader=reader), ""),
    }
    if num_exemplars(spec, model):
        inputs["fewshot"] = (fewshot_output(world, spec.task, reader=reader), "")
    return inputs


def sample_config(world: World, spec: Sampling, num_fewshot: int, block: int) -> Mapping[str, Any]:
    """The config of one block; nothing in it tells who asks."""
    task, root = world.spec.tasks[spec.task], world.spec.seed
    shared = world.once(
        ("sample", id(spec), num_fewshot),
        lambda: {
            "prompt": task.prompt,
            "stop": list(task.stop),
            "num_fewshot": num_fewshot,
            "fewshot_seed": derive(root, "fewshot", 0) if num_fewshot else None,
            "limit": spec.limit,
            "block_size": block_size(spec),
            "temperature": spec.temperature,
            "top_p": spec.top_p,
            "max_new_tokens": spec.max_new_tokens,
            **({"chat_template": True} if spec.chat_template else {}),
            **({} if spec.engine == "transformers" else {"engine": spec.engine}),
        },
    )
    return world.once(
        ("sample", id(spec), num_fewshot, block),
        lambda: {**shared, "block": block, "seed": derive(root, "sample", block)},
    )
