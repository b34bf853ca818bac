"""Arguments are checked against the fields of the installed library before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from exc.compiler.batch import sft_batch
from exc.runtime.context import JobFailed
from exc.runtime.stages.trlconfig import build_config, lay_out, matches


@dataclass
class Settings:
    learning_rate: float = 1e-6
    num_generations: int | None = 8
    loss_type: str = "dapo"
    shuffle: bool = True
    weights: list[float] | None = None
    kwargs: dict[str, Any] | str | None = None
    output_dir: str = "out"

    def __post_init__(self) -> None:
        if self.loss_type == "impossible":
            raise ValueError("no such loss")


def test_what_the_runtime_owns_wins() -> None:
    built = build_config(Settings, {"learning_rate": 1, "output_dir": None}, {"output_dir": "mine"})
    assert built == Settings(learning_rate=1, output_dir="mine")


def test_an_unknown_field_names_the_nearest() -> None:
    with pytest.raises(
        JobFailed, match=r"`num_generation` is not a field .*; the nearest is `num_generations`"
    ):
        build_config(Settings, {"num_generation": 8}, {})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"learning_rate": "1e-6"}, "`learning_rate` is '1e-6', which is not a float"),
        ({"num_generations": 8.0}, "`num_generations` is 8.0, which is not a int or null"),
        ({"num_generations": True}, "which is not a int or null"),
        ({"shuffle": 1}, "which is not a bool"),
        ({"weights": [1.0, "2"]}, "`weights`"),
        ({"loss_type": "impossible"}, "Settings: no such loss"),
    ],
)
def test_a_wrong_value_is_refused(args: dict[str, Any], message: str) -> None:
    with pytest.raises(JobFailed, match=message) as failure:
        build_config(Settings, args, {})
    assert failure.value.kind == "config"


def test_integers_pass_for_floats_and_not_the_other_way() -> None:
    assert matches(3, float)
    assert not matches(3.5, int)
    assert not matches(True, float)


def test_a_batch_is_shared_out_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("per_device_train_batch_size", "gradient_accumulation_steps")
    assert lay_out(sft_batch, 16, 4) == dict(zip(names, (4, 4), strict=True))
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert lay_out(sft_batch, 16, 2) == dict(zip(names, (2, 2), strict=True))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(JobFailed, match="batch_size 16 cannot be split evenly over 3 devices") as failure:
        lay_out(sft_batch, 16, None)
    assert failure.value.kind == "config"
