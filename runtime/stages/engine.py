"""What samples rollouts: transformers in the training process, or a vLLM engine on the same devices."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.stages.permutation import seed_key

VLLM = "vllm"
MEMORY = 0.3  # share of a device's memory that an engine beside training gets, unless the profile says
_SEEDS = 2**31  # engines take 32 bits
_SETTINGS = {
    "VLLM_NO_USAGE_STATS": "1",
    # The engine is in the process that asks it. One of its own would end at the signal that asks the job to
    # save, and would live on, with the GPU's memory, where the job is killed.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}


def engine_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of TRL's configuration that say what samples.

    `vllm` in the config is the profile's share of the devices, which changes no result.
    Raises JobFailed("config") where vLLM is asked for and is not installed.
    """
    if config.get("engine", "transformers") != VLLM:
        return {"use_vllm": False}
    require_vllm()
    shared: Mapping[str, Any] = config.get("vllm") or {}
    return {
        "use_vllm": True,
        # Beside training: one job of one shape. A server is a second job, with a port of its own.
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": float(shared.get("memory", MEMORY)),
        "vllm_tensor_parallel_size": 1,
    }


def require_vllm() -> None:
    """Set what vLLM reads of the environment; raise JobFailed("config") unless it can be imported."""
    if find_spec(VLLM) is None:
        raise JobFailed(
            "config",
            "`engine: vllm` needs the package vllm, which is not installed where this job runs: install it "
            "there (`pip install vllm`), or write `engine: transformers`, which is another computation",
        )
    os.environ.update(_SETTINGS)


def engine_seed(seed: int, rank: int) -> int:
    """The seed of the engine of one process, of the job's seed and the process's number."""
    return seed_key("engine", seed, rank) % _SEEDS


@contextmanager
def seeded_engine(config: Mapping[str, Any]) -> Iterator[None]:
    """Have the engine that TRL starts in here draw from the job's own seed.

    TRL seeds a colocated engine with the number of its process alone, so that all replicates of a branch
    would draw alike. It loads the model by `name_or_path`, which is the local folder that the stage read.
    """
    if config.get("engine", "transformers") != VLLM:
        yield
        return
    from trl.generation import vllm_generation

    module: Any = vllm_generation
    original = module.LLM
    seed = engine_seed(config["seed"], int(os.environ.get("RANK", "0")))

    def seeded(*given: Any, **options: Any) -> Any:
        return original(*given, **{**options, "seed": seed})

    module.LLM = seeded
    try:
        yield
    finally:
        module.LLM = original
