"""Jobs forked from a warm process leave what their scripts leave."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from rich.console import Console

from exc.compiler.plan import Job, Need
from exc.runtime.attempts import last_attempt
from exc.runtime.backends import forking
from exc.runtime.backends.forking import SWITCH
from exc.runtime.events import read_events
from exc.runtime.files import digest_file
from exc.runtime.outputs import is_done
from exc.runtime.submit import submit
from exc.runtime.zygote import _touched_cuda
from tests.runtime.core.world import World, digest, make_world, wait_until

_SCRIPT = 'exec "$EXC_PYTHON" -P -m exc.runtime.job "$1"\n'
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


def jobs(root: Path, steps: int = 4) -> Iterator[Job]:
    """A tokenizer, its tokens, and two models trained on them, one after the other on two CPUs."""
    text = source(root)
    config: dict[str, Any] = {"algorithm": "bpe", "vocab_size": 300, "split_digits": True, "sources": [text]}
    tokenizer = Job("tokenizer", "tokenizer", "tokenizer", digest("a"), {**config, "max_bytes": 1 << 20})
    reads = Need("tokenizer", "tokenizer", tokenizer.artifact, "")
    tokens = Job("tokens", "tokens", "tokens", digest("b"), {"source": text, "text": "text"}, (reads,))
    yield from (tokenizer, tokens)
    for seed in (1, 2):
        needs = (reads, Need("tokens:sums", "tokens", tokens.artifact, ""))
        kept = {steps: digest(f"c{seed}")}
        name = f"trunk{seed}/pretrain/{steps}"
        yield Job(
            name,
            "pretrain",
            "pretrain",
            kept[steps],
            {**training(seed), "step": steps},
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


def world_of(root: Path, *jobs: Job) -> World:
    world = make_world(root, *jobs)
    for script in (world.plan_folder / "jobs").iterdir():
        script.write_text(_SCRIPT)
    return world


def run(root: Path) -> World:
    world = world_of(root, *jobs(root))
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
    for name in ("forked", "cold"):
        (tmp_path / name).mkdir()
        # What lies beside the spec hides no library, wherever the job is started.
        (tmp_path / name / "numpy.py").write_text("raise ImportError('not the library')\n")
    forked = run(tmp_path / "forked")
    monkeypatch.setenv(SWITCH, "0")
    cold = run(tmp_path / "cold")
    assert model_digests(forked) == model_digests(cold)
    record = forked.store.read("pretrain", forked.plan.job("trunk1/pretrain/4").identity).record
    assert record["environment"]["device"]
    assert record["environment"]["micro_batch_size of pretrain"] == 4
    attempt = last_attempt(forked.store, forked.plan.job("trunk1/pretrain/4").identity)
    assert attempt is not None
    owner = attempt.owner()
    assert owner is not None
    assert owner.pid != os.getpid()


def server_of(submitter: int) -> psutil.Process:
    """The fork server that a process has started."""

    def found() -> list[psutil.Process]:
        children = psutil.Process(submitter).children()
        return [child for child in children if "exc.runtime.zygote" in child.cmdline()]

    wait_until(lambda: bool(found()))
    return found()[0]


def listens(process: subprocess.Popen[str]) -> bool:
    """Whether a process has taken SIGTERM over."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_submit_can_be_stopped_while_the_server_warms_up(tmp_path: Path, number: signal.Signals) -> None:
    trunks = [replace(job, needs=()) for job in jobs(tmp_path) if job.kind == "pretrain"]
    world = world_of(tmp_path, *trunks)
    with world.submit() as submitting:
        server = server_of(submitting.pid)
        server.suspend()  # so that it is not warm before the signal
        wait_until(lambda: listens(submitting))
        submitting.send_signal(number)
        shown, _ = submitting.communicate(timeout=20)
    assert submitting.returncode == 130, shown
    assert not server.is_running()
    assert world.started(trunks[0].id) == 0


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(tmp_path, *jobs(tmp_path))
    lifeline, held = os.pipe()
    server = forking.ForkServer(world.plan_folder, world.root, lifeline, [])
    try:
        wait_until(lambda: server.poll() == "ready")
        monkeypatch.setattr(forking, "_ANSWERS_S", 0.1)
        server_of(os.getpid()).suspend()
        assert server.fork({"job": "tokenizer"}) is None
        assert server.poll() == "gone"
    finally:
        server.close()
        os.close(lifeline)
        os.close(held)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["warming", "running"])
def test_a_server_that_is_killed_costs_no_job(tmp_path: Path, when: str) -> None:
    steps = 300  # long enough to be at work when the server is killed
    world = world_of(tmp_path, *jobs(tmp_path, steps))
    first = world.plan.job(f"trunk1/pretrain/{steps}")
    with world.submit() as submitting:
        server = server_of(submitting.pid)
        if when == "running":
            wait_until(lambda: is_at_work(world, first))
            assert owner_of(world, first).ppid() == server.pid
        server.kill()
        shown, _ = submitting.communicate(timeout=900)
    assert submitting.returncode == 0, shown
    assert [world.started(job.id) for job in world.plan] == [1, 1, 1, 1]
    assert all(is_done(job, world.store) for job in world.plan)


def is_at_work(world: World, job: Job) -> bool:
    attempt = last_attempt(world.store, job.identity)
    return attempt is not None and any(event["event"] == "progress" for event in read_events(attempt.events))


def owner_of(world: World, job: Job) -> psutil.Process:
    """The process of a job's last attempt."""
    attempt = last_attempt(world.store, job.identity)
    owner = attempt.owner() if attempt else None
    assert owner is not None
    return psutil.Process(owner.pid)


@pytest.mark.parametrize("touched", [True, False])
def test_a_server_that_has_touched_the_gpu_is_seen_by_its_child(
    monkeypatch: pytest.MonkeyPatch, touched: bool
) -> None:
    """To ask for the number of GPUs initialises nothing in a process, and spoils CUDA in its children."""
    server = os.getpid()
    cuda = SimpleNamespace(
        is_initialized=lambda: False, _is_in_bad_fork=lambda: touched and os.getpid() != server
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert _touched_cuda() is touched
