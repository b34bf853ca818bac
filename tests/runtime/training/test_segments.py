"""A trunk is the same however it is cut, and whatever comes after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runtime.harness import Published, make_context
from tests.runtime.training import world
from tests.runtime.training.conftest import run_stage

pytestmark = pytest.mark.slow


def train_segments(
    folder: Path, inputs: dict[str, Path], cuts: tuple[int, ...], **changes: Any
) -> dict[int, Published]:
    """Train one job per cut, each with work and store of its own, from the state that the one before left."""
    results: dict[int, Published] = {}
    resumes: dict[str, Path] = {}
    for cut in cuts:
        config = world.pretrain_config(cut, **changes)
        ctx, results[cut] = make_context(
            folder / f"to-{cut}", "pretrain", config, {**inputs, **resumes}, kept=(cut,)
        )
        run_stage(ctx)
        resumes = {"resumes": results[cut].path(cut) / "state"}
    return results


def digests(published: Published, step: int) -> dict[str, str]:
    return dict(world.tree_digests(published.path(step) / "model"))


def test_cuts_leave_no_seam(inputs: dict[str, Path], tmp_path: Path) -> None:
    whole = train_segments(tmp_path / "whole", inputs, (24,))
    four = train_segments(tmp_path / "four", inputs, (5, 11, 18, 24))
    three = train_segments(tmp_path / "three", inputs, (8, 11, 24))
    assert digests(whole[24], 24) == digests(four[24], 24) == digests(three[24], 24)
    assert digests(four[11], 11) == digests(three[11], 11)
    assert whole[24].record(24) == four[24].record(24)


def test_a_later_decay_does_not_reach_back(inputs: dict[str, Path], tmp_path: Path) -> None:
    def wsd(total: int) -> dict[str, Any]:
        return {
            "shape": "wsd",
            "peak": 1e-2,
            "warmup_steps": 3,
            "total_steps": total,
            "decay_steps": 8,
            "floor": 0.1,
        }

    long = train_segments(tmp_path / "long", inputs, (16,), lr=wsd(100))
    short = train_segments(tmp_path / "short", inputs, (16, 24), lr=wsd(24))
    assert digests(long[16], 16) == digests(short[16], 16)
    # The state at 16 was saved by a run that goes on at the peak; the one that takes it up decays from there.
    resumed, published = make_context(
        tmp_path / "taken-up",
        "pretrain",
        world.pretrain_config(24, lr=wsd(24)),
        {**inputs, "resumes": long[16].path(16) / "state"},
        kept=(24,),
    )
    run_stage(resumed)
    assert digests(published, 24) == digests(short[24], 24)


def test_the_nearer_of_two_states_is_taken(inputs: dict[str, Path], tmp_path: Path) -> None:
    first = train_segments(tmp_path / "first", inputs, (4, 9))
    config = world.pretrain_config(12)
    ctx, published = make_context(
        tmp_path / "job", "pretrain", config, {**inputs, "resumes": first[9].path(9) / "state"}, kept=(12,)
    )
    source = first[4].path(4) / "state"
    (ctx.work / "step-4").mkdir()
    for path in source.iterdir():
        (ctx.work / "step-4" / path.name).write_bytes(path.read_bytes())
    run_stage(ctx)
    assert published.said("progress")[0]["step"] == 9
    whole = train_segments(tmp_path / "whole", inputs, (12,))
    assert digests(whole[12], 12) == digests(published, 12)


def test_counts_and_tokens_by_source(inputs: dict[str, Path], tmp_path: Path) -> None:
    results = train_segments(tmp_path, inputs, (5, 24))
    record = results[24].record(24)
    tokens = 24 * 4 * world.SEQUENCE_LENGTH
    assert record["counts"]["tokens"] == tokens
    assert record["counts"]["samples"] == 24 * 4
    assert record["metrics"]["tokens/big"] + record["metrics"]["tokens/small"] == tokens
    assert record["metrics"]["tokens/big"] == pytest.approx(0.75 * tokens, rel=0.15)
    hidden, inner, layers = 16, 32, 2
    parameters = layers * (4 * hidden * hidden + 3 * hidden * inner + 2 * hidden) + hidden
    assert record["counts"]["flops"] == 6.0 * parameters * tokens
