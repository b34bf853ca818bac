"""What surrounds a job: the variables it needs, and what is recorded of the machine and its libraries."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
THREADS = tuple(f"{name}_NUM_THREADS" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "RAYON"))
LIBRARIES = (
    *("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "safetensors", "numpy"),
    *("peft", "mergekit", "vllm"),
    *("math-verify", "sympy"),  # of the verifier `math`: what another version takes for equal may differ
)
# Left by another launch: a process that is alone would take part in it, and wait for the others.
_OF_A_LAUNCH = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_TORCH_FRESH_SEED = 67280421310721  # of torch's generator in a process that never seeded it


def prepare_process(num_threads: int, *, is_alone: bool = True) -> None:
    """Set the variables that libraries read when imported; torch, if it is imported already, is told.

    Settings of accelerate in the environment are dropped: ACCELERATE_MIXED_PRECISION, for one, makes another
    result of a run that the spec has in float32. One of several processes keeps those of its launcher that
    change no result; one that is alone keeps nothing of a launch.
    """
    os.environ.update(OFFLINE)
    dropped = "ACCELERATE_" if is_alone else ("ACCELERATE_MIXED_", "ACCELERATE_DYNAMO_")
    left_over = [name for name in os.environ if name.startswith(dropped)]
    for name in (*left_over, *(_OF_A_LAUNCH if is_alone else ())):
        os.environ.pop(name, None)
    for name in THREADS:
        os.environ.setdefault(name, str(num_threads))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(num_threads)


def fresh_randomness() -> None:
    """Give a forked process the random state of one that was just started."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(_TORCH_FRESH_SEED)


def describe_environment(num_threads: int) -> dict[str, Any]:
    """Versions of what computes, without importing any of it."""
    return {**_versions(), "platform": platform.platform(), "num_threads": num_threads}


@cache
def _versions() -> Mapping[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("exc", *LIBRARIES):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_commit(folder: Path) -> str | None:
    """The commit that a folder is checked out at; None outside a repository or without git."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
