"""A stage with two sides in two processes on the CPU: one model, and nothing lost by a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.harness import Published
from tests.runtime.training import world
from tests.runtime.training.test_paired import furthest

pytestmark = pytest.mark.ci

CHECKOUT = Path(__file__).resolve().parents[3]
Weights = dict[str, Any]


@pytest.fixture
def launch(inputs: dict[str, Path], root: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a stage in so many processes, over a folder that may hold what an earlier run left."""

    def start(
        folder: Path, config: dict[str, Any], kept: tuple[int, ...], *, num: int = 2, kill: Any = None
    ) -> subprocess.CompletedProcess[str]:
        job = {
            "folder": str(folder),
            "kind": "parallel",
            "config": config,
            "inputs": {role: str(path) for role, path in inputs.items()},
            "kept": kept,
            "root": str(root),
            "save_interval_s": 0.0,  # at every step, in the middle of a window, too
            "kill": kill,
        }
        folder.mkdir(exist_ok=True)
        path = folder / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num}"]
        return subprocess.run(
            [*run, "-m", "tests.runtime.training.child", str(path)],
            cwd=CHECKOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return start


def weights(folder: Path, step: int) -> Weights:
    from safetensors.torch import load_file

    return load_file(Published(folder / "store").path(step) / "model" / "model.safetensors")


def test_killed_in_a_window_it_ends_in_the_same_bytes(
    launch: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    config = world.paired_config("parallel", sync_every=3, micro_batch_size=1)
    whole = launch(tmp_path / "whole", config, (3, 6))
    assert whole.returncode == 0, whole.stderr
    # A step is 4 micro-batches of completions and 2 of demonstrations: this is in the fifth step.
    killed = launch(tmp_path / "killed", config, (3, 6), kill=["pass", 28])
    assert killed.returncode != 0
    states = [path.name for path in (tmp_path / "killed" / "work").iterdir() if path.name.startswith("step-")]
    assert states == ["step-4"], killed.stderr
    again = launch(tmp_path / "killed", config, (3, 6))
    assert again.returncode == 0, again.stderr
    for step in (3, 6):
        left, right = (Published(tmp_path / name / "store") for name in ("whole", "killed"))
        assert world.tree_digests(left.path(step)) == world.tree_digests(right.path(step))
        assert left.record(step) == right.record(step)


def test_processes_share_the_demonstrations_of_a_step(
    launch: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """What two processes learn from demonstrations alone is what one learns, but for the order of sums.

    In float64 this is what TRL's head, which computes in float32, leaves of it.
    """
    double = {"model_init_kwargs": {"dtype": "float64"}}
    config = world.paired_config("parallel", weights=[0.0, 1.0], micro_batch_size=1, rl={"args": double})
    for num in (1, 2):
        done = launch(tmp_path / str(num), config, (6,), num=num)
        assert done.returncode == 0, done.stderr
    one, two = (weights(tmp_path / str(num), 6) for num in (1, 2))
    assert furthest(one, two) < 1e-6
    counts = [Published(tmp_path / str(num) / "store").record(6)["counts"]["samples"] for num in (1, 2)]
    assert counts == [6 * (8 + 4)] * 2
