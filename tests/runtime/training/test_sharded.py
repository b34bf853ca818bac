"""Stages whose weights FSDP spreads over two processes of the CPU: the same results, whole, and resumable."""

from __future__ import annotations

import json
import os
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.harness import Published
from tests.runtime.training import world
from tests.runtime.training.conftest import Subject
from tests.runtime.training.test_paired import furthest

pytestmark = pytest.mark.ci

CHECKOUT = Path(__file__).resolve().parents[3]
ROUNDING = 1e-5
SHARDED = "sharded_child"
# What `accelerate launch --use_fsdp` puts into the environment.
FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
# Completions of one process end before those of another: the letters are stop strings.
RAGGED: dict[str, Any] = {
    "stop": [*string.ascii_lowercase, *string.digits],
    "micro_batch_size": 1,
    "rollouts": 3,
}
LONGER = {"max_completion_length": 24, "beta": 0.1}
HARD = {"learning_rate": 1e-2, "max_grad_norm": 0.05}  # every step is clipped

Done = subprocess.CompletedProcess[str]
Launch = Callable[..., Done]


def subject(kind: str) -> Subject:
    return {
        "pretrain": Subject("pretrain", world.pretrain_config(8), (8,)),
        "sft": Subject("sft", world.sft_config(micro_batch_size=1, args={"max_grad_norm": 0.05}), (5, 12)),
        "grpo": Subject("grpo", world.grpo_config(**RAGGED, args=LONGER), (3,)),
        "rloo": Subject("rloo", world.rloo_config(**RAGGED, args=LONGER), (3,)),
        "dpo": Subject("dpo", world.dpo_config(max_steps=8, micro_batch_size=1, args=HARD), (8,)),
        "kto": Subject("kto", world.kto_config(max_steps=8, args=HARD), (8,)),
    }[kind]


@pytest.fixture
def launch(inputs: dict[str, Path], root: Path) -> Launch:
    """Run a stage in so many processes, over a folder that may hold what an earlier run left."""

    def start(
        folder: Path,
        subject: Subject,
        *,
        how: str = SHARDED,
        num: int = 2,
        kill: int | None = None,
        given: dict[str, Path] | None = None,
        env: dict[str, str] | None = None,
    ) -> Done:
        job = {
            "folder": str(folder),
            "kind": subject.kind,
            "config": subject.config,
            "inputs": {role: str(path) for role, path in {**inputs, **(given or {})}.items()},
            "kept": subject.kept,
            "root": str(root),
            "save_interval_s": 0.0,  # at every step
            "kill": kill and ["pass", kill],
        }
        folder.mkdir(exist_ok=True)
        path = folder / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num}"]
        settings = (FSDP if how == SHARDED else {}) | (env or {})
        return subprocess.run(
            [*run, "-m", f"tests.runtime.training.{how}", str(path)],
            cwd=CHECKOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **settings},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return start


def ok(done: Done) -> None:
    assert done.returncode == 0, done.stderr


def killed(done: Done, folder: Path) -> None:
    assert done.returncode != 0
    states = [path.name for path in (folder / "work").iterdir() if path.name.startswith("step-")]
    assert states, done.stderr


def weights(folder: Path, step: int) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(Published(folder / "store").path(step) / "model" / "model.safetensors")


def shares(folder: Path) -> list[float]:
    """Of all weights, how much each process held."""
    notes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("share-*.json"))]
    return [note["here"] / note["all"] for note in notes]


def test_fine_tuning_is_that_of_one_process_and_its_model_is_whole(launch: Launch, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    sft, single, spread = subject("sft"), tmp_path / "single", tmp_path / "spread"
    ok(launch(single, sft, how="child", num=1))
    ok(launch(spread, sft))
    assert shares(spread) == [0.5, 0.5]
    for step in sft.kept:
        assert 0 < furthest(weights(single, step), weights(spread, step)) < ROUNDING
    records = [Published(folder / "store").record(12) for folder in (single, spread)]
    assert records[0]["counts"] == records[1]["counts"]
    for name in ("loss", "grad_norm"):
        assert records[0]["metrics"][name] == pytest.approx(records[1]["metrics"][name], rel=1e-4)
    folder = Published(spread / "store").path(12) / "model"
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "model.safetensors"}
    alone = Published(single / "store").path(12) / "model"
    assert found == {name: (alone / name).read_bytes() for name in found}
    auto: Any = AutoModelForCausalLM
    model, report = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    loaded = model.state_dict()
    published = weights(spread, 12)
    assert all(bool((loaded[name] == tensor).all()) for name, tensor in published.items())


@pytest.mark.parametrize("kind", ["pretrain", "sft", "grpo", "rloo", "dpo", "kto"])
def test_spread_it_computes_what_it_does_with_all_weights_everywhere_and_goes_on_to_the_same_bytes(
    launch: Launch, tmp_path: Path, kind: str
) -> None:
    job = subject(kind)
    whole, spread, broken = (tmp_path / name for name in ("whole", "spread", "broken"))
    ok(launch(whole, job, how="child"))
    ok(launch(spread, job))
    assert shares(spread) == [0.5, 0.5]
    last = job.kept[-1]
    assert furthest(weights(whole, last), weights(spread, last)) < ROUNDING
    killed(launch(broken, job, kill=6), broken)
    ok(launch(broken, job))
    left, right = Published(spread / "store"), Published(broken / "store")
    for step in job.kept:
        assert world.tree_digests(left.path(step)) == world.tree_digests(right.path(step))
        assert left.record(step) == right.record(step)


def test_what_is_saved_does_not_say_how_weights_lay(launch: Launch, tmp_path: Path) -> None:
    """Begun where they are spread and ended where they are not, and the other way round."""
    job = subject("sft")
    undisturbed = tmp_path / "undisturbed"
    ok(launch(undisturbed, job))
    for first, then in ((SHARDED, "child"), ("child", SHARDED)):
        folder = tmp_path / first
        killed(launch(folder, job, how=first, kill=12), folder)
        ok(launch(folder, job, how=then))
        assert furthest(weights(undisturbed, 12), weights(folder, 12)) < ROUNDING


def test_tied_weights_and_pieces_of_unlike_sizes(
    launch: Launch, inputs: dict[str, Path], tmp_path: Path
) -> None:
    """Of 16 rows three processes have 6, 6 and 4; and each has its part of what is tied once."""
    model = world.write_model_folder(tmp_path / "tied", inputs["tokenizer"], tie_word_embeddings=True)
    job = Subject("sft", world.sft_config(batch_size=6, micro_batch_size=1, max_steps=6), (6,))
    whole, spread, broken = (tmp_path / name for name in ("whole", "spread", "broken"))
    given = {"model": model}
    ok(launch(whole, job, how="child", num=3, given=given))
    ok(launch(spread, job, num=3, given=given))
    assert len({round(share, 3) for share in shares(spread)}) > 1
    assert sum(shares(spread)) == pytest.approx(1.0)
    assert "lm_head.weight" not in weights(spread, 6)
    assert furthest(weights(whole, 6), weights(spread, 6)) < ROUNDING
    killed(launch(broken, job, num=3, given=given, kill=6), broken)
    ok(launch(broken, job, num=3, given=given))
    assert furthest(weights(spread, 6), weights(broken, 6)) == 0.0


def test_moments_of_another_run_are_taken_over(launch: Launch, tmp_path: Path) -> None:
    """Pre-training that goes on from a model and its moments is pre-training that never stopped."""
    ok(launch(tmp_path / "whole", Subject("pretrain", world.pretrain_config(12), (6, 12))))
    half = Published(tmp_path / "whole" / "store").path(6)
    config = world.pretrain_config(6, model={}, start_row=6 * 4, start_step=6)
    given = {"model": half / "model", "continues": half / "state"}
    ok(launch(tmp_path / "second", Subject("pretrain", config, (6,)), given=given))
    assert furthest(weights(tmp_path / "whole", 12), weights(tmp_path / "second", 6)) == 0.0


@pytest.mark.parametrize(
    ("how", "config", "env", "said"),
    [
        ("child", {}, FSDP, "which accelerate has on accelerators alone"),
        (SHARDED, {}, {"FSDP_VERSION": "1"}, "version 1 of FSDP"),
        (SHARDED, {"lora": world.LORA}, {}, "adapters"),
        (SHARDED, {"args": {"model_init_kwargs": {"dtype": "bfloat16"}}}, {}, "weights in torch.bfloat16"),
        (SHARDED, {}, {"FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}, "only the first process loads"),
    ],
    ids=["unspread", "version", "lora", "dtype", "loading"],
)
def test_what_was_never_seen_to_be_exact_is_refused(
    launch: Launch, tmp_path: Path, how: str, config: dict[str, Any], env: dict[str, str], said: str
) -> None:
    done = launch(tmp_path / "job", Subject("sft", world.sft_config(**config), (12,)), how=how, env=env)
    assert done.returncode != 0
    assert "JobFailed" in done.stderr
    assert said in done.stderr
