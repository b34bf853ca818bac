"""Sampling completions by a vLLM engine, as `generate` does with transformers. Only with `engine: vllm`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from exc.runtime.stages.engine import engine_seed
from exc.runtime.stages.permutation import seed_key

MEMORY = 0.9  # share of the device's memory, which nothing else uses in such a job, unless the profile says
# Of weights and computation. Left to the engine, it would depend on the device.
DTYPE = "bfloat16"
_SEEDS = 2**31

Draw = Callable[[Sequence[Sequence[int]], int, Any, Any, int], list[list[int]]]


def start_engine(folder: Path, model: Any, config: Mapping[str, Any]) -> Draw:
    """Start an engine on the model in a local folder; `model`, the same one, leaves the device for it."""
    import torch

    vllm: Any = import_module("vllm")
    model.to("cpu")
    torch.cuda.empty_cache()  # else torch keeps the memory, and the engine finds less than its share free
    shared: Mapping[str, Any] = config.get("vllm") or {}
    engine = vllm.LLM(
        model=str(folder.resolve()),
        dtype=DTYPE,
        seed=engine_seed(config["seed"], 0),
        gpu_memory_utilization=float(shared.get("memory", MEMORY)),
        max_model_len=getattr(model.config, "max_position_embeddings", None),
    )
    return partial(draw, engine)


def draw(
    engine: Any, prompts: Sequence[Sequence[int]], repeats: int, sampling: Any, stops: Any, seed: int
) -> list[list[int]]:
    """Draw `repeats` completions of every prompt and return their token ids, prompt by prompt.

    Each completion has a seed of its own, so that no two of a prompt are the same draw, and none depends on
    what is sampled beside it.
    """
    vllm: Any = import_module("vllm")
    asked = [{"prompt_token_ids": list(ids)} for ids in prompts for _ in range(repeats)]
    parameters = [
        vllm.SamplingParams(
            n=1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            stop=list(stops.strings) or None,
            include_stop_str_in_output=True,
            stop_token_ids=sorted(stops.ids),
            seed=seed_key("draw", seed, number) % _SEEDS,
        )
        for number in range(len(asked))
    ]
    outputs = engine.generate(asked, parameters, use_tqdm=False)
    return [list(output.outputs[0].token_ids) for output in outputs]
