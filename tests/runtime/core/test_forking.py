"""Jobs forked from a warm process leave what their scripts leave."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exc.compiler.plan import Job, Need
from exc.runtime.attempts import last_attempt
from exc.runtime.backends.forking import SWITCH
from exc.runtime.files import digest_file
from exc.runtime.submit import submit
from tests.runtime.core.world import World, digest, make_world

_SCRIPT = 'exec "$EXC_PYTHON" -m exc.runtime.job "$1"\n'
_MODEL = {
    "architecture": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def source(root: Path) -> dict[str, Any]:
    path = root / "text.txt"
    if not path.exists():
        draw = random.Random(0)
        path.write_text("\n".join(f"{draw.randrange(100)} + {draw.randrange(100)}" for _ in range(2000)))
    file = {"path": path.name, "bytes": path.stat().st_size, "sha256": digest_file(path)}
    return {"name": "sums", "kind": "text", "split": "line", "files": [file]}


def jobs(root: Path) -> Iterator[Job]:
    """A tokenizer, its tokens, and two models trained on them."""
    text = source(root)
    config: dict[str, Any] = {"algorithm": "bpe", "vocab_size": 300, "split_digits": True, "sources": [text]}
    tokenizer = Job("tokenizer", "tokenizer", "tokenizer", digest("a"), {**config, "max_bytes": 1 << 20})
    reads = Need("tokenizer", "tokenizer", tokenizer.artifact, "")
    tokens = Job("tokens", "tokens", "tokens", digest("b"), {"source": text, "text": "text"}, (reads,))
    yield from (tokenizer, tokens)
    for seed in (1, 2):
        needs = (reads, Need("tokens:sums", "tokens", tokens.artifact, ""))
        kept = {4: digest(f"c{seed}")}
        name = f"trunk{seed}/pretrain/4"
        yield Job(
            name,
            "pretrain",
            "pretrain",
            kept[4],
            training(seed),
            needs,
            digest(f"d{seed}"),
            kept,
            {"cpus": 2},
        )


def training(seed: int) -> Mapping[str, Any]:
    return {
        "model": _MODEL,
        "mixture": [{"name": "sums", "weight": 1.0}],
        "batch_size": 4,
        "micro_batch_size": 4,
        "sequence_length": 32,
        "step": 4,
        "lr": {
            "shape": "constant",
            "peak": 0.01,
            "warmup_steps": 0,
            "total_steps": 4,
            "decay_steps": 0,
            "floor": 0.0,
        },
        "optimizer": {"betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, "max_grad_norm": 1.0},
        "precision": "fp32",
        "seed": seed,
    }


def run(root: Path) -> World:
    world = make_world(root, *jobs(root))
    for script in (world.plan_folder / "jobs").iterdir():
        script.write_text(_SCRIPT)
    out = io.StringIO()
    code = submit(world.plan, world.plan_folder, world.store, console=Console(file=out, width=120), slots=2)
    assert code == 0, out.getvalue()
    return world


def model_digests(world: World) -> dict[str, str]:
    """The digests of all files of models, tokenizers and tokens, by path."""
    found = {}
    for kind, identity in world.store.list():
        for path, file in world.store.read(kind, identity).record["files"].items():
            if not path.startswith("state/"):
                found[f"{kind}/{identity}/{path}"] = file["sha256"]
    return found


@pytest.mark.slow
def test_forked_jobs_leave_what_scripts_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "forked").mkdir()
    (tmp_path / "cold").mkdir()
    forked = run(tmp_path / "forked")
    monkeypatch.setenv(SWITCH, "0")
    cold = run(tmp_path / "cold")
    assert model_digests(forked) == model_digests(cold)
    attempt = last_attempt(forked.store, forked.plan.job("trunk1/pretrain/4").identity)
    assert attempt is not None
    owner = attempt.owner()
    assert owner is not None
    assert owner.pid != os.getpid()
