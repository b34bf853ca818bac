"""Pre-training that goes on where another run ended is the run that was never cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed, Stopped
from tests.runtime.harness import Published, make_context
from tests.runtime.training import world
from tests.runtime.training.conftest import run_stage

pytestmark = pytest.mark.slow

BATCH = 4  # of world.pretrain_config
CONSTANT = {
    "shape": "constant",
    "peak": 1e-2,
    "warmup_steps": 0,
    "total_steps": 24,
    "decay_steps": 0,
    "floor": 0.0,
}


def train(folder: Path, inputs: dict[str, Path], steps: int, **changes: Any) -> Path:
    """The artifact of a run of so many steps."""
    ctx, published = make_context(
        folder, "pretrain", world.pretrain_config(steps, **changes), inputs, kept=(steps,)
    )
    run_stage(ctx)
    return published.path(steps)


def behind(artifact: Path, done: int, *parts: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """Inputs and config of a run behind `done` steps: what it continues is among `parts`."""
    inputs: dict[str, Path] = {"model": artifact / "model"}
    config: dict[str, Any] = {"model": {}}
    if "optimizer" in parts:
        inputs["continues"] = artifact / "state"
    if "data_position" in parts:
        config["start_row"] = done * BATCH
    if "schedule" in parts:
        config["start_step"] = done
    return inputs, config


ALL = ("optimizer", "data_position", "schedule")


@pytest.mark.parametrize("cosine", [False, True], ids=["constant", "cosine"])
def test_continuing_everything_is_never_having_stopped(
    inputs: dict[str, Path], tmp_path: Path, cosine: bool
) -> None:
    lr = {} if cosine else {"lr": CONSTANT}
    whole = train(tmp_path / "whole", inputs, 24, **lr)
    half = train(tmp_path / "half", inputs, 12, **lr)
    more, config = behind(half, 12, *ALL)
    second = train(tmp_path / "second", {**inputs, **more}, 12, **lr, **config)
    assert world.tree_digests(second / "model") == world.tree_digests(whole / "model")
    # Again, in rounds, each from the one before.
    artifact, done = half, 12
    for number in range(2):
        more, config = behind(artifact, done, *ALL)
        artifact = train(tmp_path / f"round-{number}", {**inputs, **more}, 6, **lr, **config)
        done += 6
    assert world.tree_digests(artifact / "model") == world.tree_digests(whole / "model")


@pytest.mark.parametrize("left_out", ALL)
def test_each_part_counts(inputs: dict[str, Path], tmp_path: Path, left_out: str) -> None:
    whole = train(tmp_path / "whole", inputs, 24)
    half = train(tmp_path / "half", inputs, 12)
    more, config = behind(half, 12, *(part for part in ALL if part != left_out))
    second = train(tmp_path / "second", {**inputs, **more}, 12, **config)
    assert world.tree_digests(second / "model") != world.tree_digests(whole / "model")


def test_the_order_of_the_data_is_that_of_the_seed_it_goes_on_with(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    """Without dropout a seed decides the order of the data alone."""
    half = train(tmp_path / "half", inputs, 12)
    more, config = behind(half, 12, *ALL)
    same = train(tmp_path / "same", {**inputs, **more}, 12, **config)
    other = train(tmp_path / "other", {**inputs, **more}, 12, **config, seed=99, data_seed=3)
    fresh = train(tmp_path / "fresh", {**inputs, **more}, 12, **config, seed=99)
    assert world.tree_digests(same / "model") == world.tree_digests(other / "model")
    assert world.tree_digests(same / "model") != world.tree_digests(fresh / "model")


def test_stopping_again_and_again_changes_nothing(inputs: dict[str, Path], tmp_path: Path) -> None:
    half = train(tmp_path / "half", inputs, 8)
    more, changes = behind(half, 8, *ALL)
    given, config = {**inputs, **more}, world.pretrain_config(10, **changes)
    _, expected = _run(tmp_path / "undisturbed", given, config, 99)
    stops = 0
    while True:
        stopped, published = _run(tmp_path / "stopped", given, config, 3)
        if not stopped:
            break
        stops += 1
    assert stops > 1
    for step in (4, 10):
        assert world.tree_digests(published.path(step)) == world.tree_digests(expected.path(step))
        assert published.record(step) == expected.record(step)


def _run(
    folder: Path, inputs: dict[str, Path], config: dict[str, Any], patience: int
) -> tuple[bool, Published]:
    """Train until somebody has asked `patience` times whether to stop; whether it was stopped."""

    def should_stop() -> bool:
        nonlocal patience
        patience -= 1
        return patience < 0

    ctx, published = make_context(
        folder, "pretrain", config, inputs, kept=(4, 10), should_stop=should_stop, save_interval_s=0.0
    )
    try:
        run_stage(ctx)
    except Stopped:
        return True, published
    return False, published


def test_the_tokens_of_each_source_are_those_of_this_run(inputs: dict[str, Path], tmp_path: Path) -> None:
    half = train(tmp_path / "half", inputs, 12)
    more, config = behind(half, 12, "data_position")
    ctx, published = make_context(
        tmp_path / "job", "pretrain", world.pretrain_config(12, **config), {**inputs, **more}, kept=(12,)
    )
    run_stage(ctx)
    record = published.record(12)
    tokens = 12 * BATCH * world.SEQUENCE_LENGTH
    assert record["counts"]["tokens"] == tokens
    assert sum(n for name, n in record["metrics"].items() if name.startswith("tokens/")) == tokens


def test_moments_of_another_model(inputs: dict[str, Path], tmp_path: Path) -> None:
    other = train(tmp_path / "other", inputs, 2, model={**world.MODEL, "hidden_size": 32})
    given = {**inputs, "continues": other / "state"}
    with pytest.raises(JobFailed, match="parameters have another shape") as raised:
        train(tmp_path / "job", given, 4, model={})
    assert raised.value.kind == "config"


def test_moments_that_were_damaged(inputs: dict[str, Path], tmp_path: Path) -> None:
    half = train(tmp_path / "half", inputs, 2)
    optimizer = half / "state" / "optimizer.pt"
    content = optimizer.read_bytes()
    optimizer.unlink()  # published files are links to what the job saved
    optimizer.write_bytes(content[:-1] + b"x")
    with pytest.raises(JobFailed, match=r"optimizer\.pt is not what was written") as raised:
        train(tmp_path / "job", {**inputs, "continues": half / "state"}, 4, model={})
    assert raised.value.kind == "disk"


def test_a_tokenizer_with_more_tokens_than_the_model(inputs: dict[str, Path], tmp_path: Path) -> None:
    small = world.write_model_folder(tmp_path / "small", inputs["tokenizer"], vocab_size=258)
    import json

    config = json.loads((small / "config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == 258
    extended = _extended(inputs["tokenizer"], tmp_path / "tokenizer")
    with pytest.raises(JobFailed, match="knows 258 tokens, its tokenizer 259"):
        train(tmp_path / "job", {**inputs, "model": small, "tokenizer": extended}, 4, model={})


def _extended(tokenizer: Path, folder: Path) -> Path:
    """The tokenizer with one token more."""
    from exc.runtime.stages.models import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    loaded.add_tokens(["<|more|>"])
    loaded.save_pretrained(folder)
    return folder
