"""A stage that is stopped or killed at any moment ends in the same bytes as one that was not."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed, Stopped
from tests.runtime.harness import Published, make_context
from tests.runtime.training.conftest import Subject, assert_same_results, run_stage

pytestmark = pytest.mark.slow

Undisturbed = Callable[[str], tuple[Subject, Published]]
NAMES = (
    *("pretrain", "sft", "grpo", "grpo-full", "dpo", "dpo-lora", "sft-lora", "grpo-lora"),
    *("rloo", "rloo-lora", "kto", "kto-lora"),
    *("parallel", "parallel-full", "parallel-lora", "combined", "interleave"),
)
CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", NAMES)
def test_stopping_again_and_again_changes_nothing(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    subject, expected = undisturbed(name)
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    num_stops = 0
    while True:
        patience = dice.randint(2, 5)  # the first question comes before training

        def should_stop() -> bool:
            nonlocal patience
            patience -= 1
            return patience < 0

        ctx, published = make_context(
            tmp_path,
            subject.kind,
            subject.config,
            inputs,
            kept=subject.kept,
            root=root,
            should_stop=should_stop,
        )
        try:
            run_stage(ctx)
            break
        except Stopped:
            assert published.said("saved"), f"stopped without saving (seed {seed})"
            num_stops += 1
    assert num_stops, f"it was never stopped (seed {seed})"
    assert_same_results(subject, published, expected)


@pytest.mark.parametrize("name", NAMES)
def test_saving_at_every_step_disturbs_nothing(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    subject, expected = undisturbed(name)
    ctx, published = make_context(
        tmp_path, subject.kind, subject.config, inputs, kept=subject.kept, root=root, save_interval_s=0.0
    )
    run_stage(ctx)
    assert [event["step"] for event in published.said("saved")] == list(range(1, max(subject.kept) + 1))
    assert [path.name for path in ctx.work.iterdir()] == [f"step-{max(subject.kept)}"]
    assert_same_results(subject, published, expected)


@pytest.mark.parametrize("name", ["pretrain", "sft", "grpo-full", "parallel"])
def test_killing_changes_nothing(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    subject, expected = undisturbed(name)
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    while_saving = dice.choice([["sync", dice.randint(1, 20)], ["save", dice.randint(1, 3)], ["publish", 1]])
    for kill in [["pass", dice.randint(2, 20)], while_saving, None]:
        child = start_child(tmp_path, subject, inputs, root, kill)
        _, errors = child.communicate(timeout=300)
        died = child.returncode == -signal.SIGKILL
        assert died or child.returncode == 0, f"seed {seed}: {errors}"
        assert died or kill is None or kill[0] != "pass", f"nothing was killed (seed {seed})"
    assert_same_results(subject, Published(tmp_path / "store"), expected)


@pytest.mark.ci
@pytest.mark.parametrize(
    "name", ["pretrain", "sft", "grpo", "grpo-full", "dpo-lora", "parallel", "interleave"]
)
def test_killing_at_any_time_changes_nothing(
    name: str, undisturbed: Undisturbed, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    subject, expected = undisturbed(name)
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    for _ in range(12):
        (tmp_path / "started").unlink(missing_ok=True)
        child = start_child(tmp_path, subject, inputs, root, None)
        while child.poll() is None and not (tmp_path / "started").exists():
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 2.5))
        child.kill()
        _, errors = child.communicate()
        assert child.returncode in (0, -signal.SIGKILL), f"seed {seed}: {errors}"
    child = start_child(tmp_path, subject, inputs, root, None)
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, f"seed {seed}: {errors}"
    assert_same_results(subject, Published(tmp_path / "store"), expected)


def start_child(
    folder: Path, subject: Subject, inputs: dict[str, Path], root: Path, kill: list[Any] | None
) -> subprocess.Popen[str]:
    job = {
        "folder": str(folder),
        "kind": subject.kind,
        "config": subject.config,
        "inputs": {role: str(path) for role, path in inputs.items()},
        "kept": subject.kept,
        "root": str(root),
        "save_interval_s": 0.05,
        "kill": kill,
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runtime.training.child", str(path)],
        cwd=CHECKOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("lost", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors"])
def test_a_state_that_lacks_a_file_is_an_error_and_not_a_fresh_start(
    lost: str, inputs: dict[str, Path], root: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    subject, expected = undisturbed("sft")
    ctx, _ = make_context(tmp_path, subject.kind, subject.config, inputs, kept=(12,), root=root)
    copy = ctx.work / "step-5"
    copy.mkdir()
    for path in (expected.path(5) / "state").iterdir():
        if path.name != lost:
            (copy / path.name).write_bytes(path.read_bytes())
    with pytest.raises(JobFailed, match=f"{lost.replace('.', '[.]')} is missing") as failure:
        run_stage(ctx)
    assert failure.value.kind == "disk"


def test_what_is_kept_already_is_not_made_again(
    inputs: dict[str, Path], root: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    subject, _ = undisturbed("sft")

    def again() -> Published:
        ctx, published = make_context(
            tmp_path, subject.kind, subject.config, inputs, kept=subject.kept, root=root
        )
        run_stage(ctx)
        return published

    assert again().said("saved")
    assert again().events == []


def test_a_step_that_is_kept_later_is_reached_from_before_it(
    inputs: dict[str, Path], root: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    subject, expected = undisturbed("sft")
    ctx, _ = make_context(tmp_path, subject.kind, subject.config, inputs, kept=(12,), root=root)
    run_stage(ctx)
    ctx, published = make_context(tmp_path, subject.kind, subject.config, inputs, kept=(5, 12), root=root)
    run_stage(ctx)
    assert_same_results(subject, published, expected)
