"""One world, and one undisturbed run of each stage, for all the tests that compare with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobContext
from exc.runtime.stages import STAGES
from tests.runtime.harness import Published, make_context
from tests.runtime.training import world


@dataclass(frozen=True)
class Subject:
    """A job that trains for a moment, and what of it is kept."""

    kind: str
    config: dict[str, Any]
    kept: tuple[int, ...]


def make_subjects() -> dict[str, Subject]:
    awkward = {"beta": 0.1, "sync_ref_model": True, "ref_model_sync_steps": 3}
    return {
        "pretrain": Subject("pretrain", world.pretrain_config(20), (20,)),
        "sft": Subject("sft", world.sft_config(), (5, 12)),
        "grpo": Subject("grpo", world.grpo_config(), (3, 8)),
        "dpo": Subject(
            "dpo", world.dpo_config(args={"sync_ref_model": True, "ref_model_sync_steps": 3}), (4, 10)
        ),
        "dpo-lora": Subject("dpo", world.dpo_config(lora=world.LORA), (4, 10)),
        "kto": Subject(
            "kto", world.kto_config(args={"sync_ref_model": True, "ref_model_sync_steps": 3}), (4, 10)
        ),
        "kto-lora": Subject("kto", world.kto_config(lora=world.LORA), (4, 10)),
        "rloo": Subject("rloo", world.rloo_config(stop=["e", "q"]), (3, 8)),
        "rloo-lora": Subject("rloo", world.rloo_config(lora={**world.LORA, "lora_dropout": 0.0}), (3, 8)),
        "sft-lora": Subject("sft", world.sft_config(lora=world.LORA), (5, 12)),
        "grpo-lora": Subject(
            "grpo", world.grpo_config(lora={**world.LORA, "lora_dropout": 0.0}, args={"beta": 0.1}), (3, 8)
        ),
        # In the middle of a window both sides have weights of their own.
        "parallel": Subject("parallel", world.paired_config("parallel", sync_every=3), (3, 6)),
        "parallel-full": Subject(
            "parallel", world.paired_config("parallel", rl={"stop": ["e", "q"], "args": awkward}), (2, 6)
        ),
        "parallel-lora": Subject("parallel", world.paired_config("parallel", lora=world.LORA), (3, 6)),
        "combined": Subject("combined", world.paired_config("combined"), (2, 6)),
        "interleave": Subject("interleave", world.paired_config("interleave", rounds=6, sft_steps=2), (2, 6)),
        # Stop strings, a moving reference, adaptive entropy: what TRL alone would lose or break.
        "grpo-full": Subject(
            "grpo",
            world.grpo_config(
                stop=["e", "q"],
                updates_per_rollout=4,
                rollouts=6,
                args={**awkward, "use_adaptive_entropy": True},
            ),
            (2, 6),
        ),
    }


def run_stage(ctx: JobContext) -> None:
    module, _, function = STAGES[ctx.kind].partition(":")
    getattr(importlib.import_module(module), function)(ctx)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import torch

    torch.set_num_threads(1)
    return world.make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    (folder / "judge.py").write_text(world.JUDGE, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def undisturbed(
    inputs: dict[str, Path], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Subject, Published]]:
    """name -> the subject and what it published when nothing happened to it."""
    subjects = make_subjects()
    done: dict[str, Published] = {}

    def get(name: str) -> tuple[Subject, Published]:
        subject = subjects[name]
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            ctx, published = make_context(
                folder, subject.kind, subject.config, inputs, kept=subject.kept, root=root
            )
            run_stage(ctx)
            done[name] = published
        return subject, done[name]

    return get


def assert_same_results(subject: Subject, left: Published, right: Published) -> None:
    """Every published file, metric and count is the same, the resume states included."""
    for step in subject.kept:
        assert world.tree_digests(left.path(step)) == world.tree_digests(right.path(step))
        assert left.record(step) == right.record(step)
