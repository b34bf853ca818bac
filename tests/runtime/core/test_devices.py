"""Which GPUs a job's process sees, and what it does where they are not there. torch's view is made up."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exc.compiler.plan import Job
from exc.runtime.attempts import last_attempt
from exc.runtime.context import JobFailed
from exc.runtime.devices import VISIBLE, check_gpus, show_gpus, usable
from exc.runtime.environment import prepare_process
from exc.runtime.job import run_job
from tests.runtime.core.world import make_world


def of(kind: str, **resources: int) -> Job:
    return Job("job", kind, "class", "identity", {}, resources=resources)


@pytest.mark.parametrize(
    ("job", "number"),
    [
        (of("sft"), 0),
        (of("sft", gpus=1), 1),
        (of("sft", gpus=4), 4),  # a process each
        (of("sft", gpus=4, processes=2), 4),
        # Trainer would put a whole batch on each of those that its one process sees.
        (of("sft", gpus=4, processes=1), 1),
        (of("smoke", gpus=2), 1),
        (of("command", gpus=4), 4),
    ],
)
def test_what_a_process_sees_is_what_it_trains_on(job: Job, number: int) -> None:
    assert usable(job) == number


@pytest.mark.parametrize(
    ("named", "number", "shown"),
    [
        (None, 0, ""),
        (None, 2, "0,1"),
        ("", 1, ""),
        ("3,1,2", 1, "3"),
        ("GPU-aaaa,MIG-2222", 2, "GPU-aaaa,MIG-2222"),
        ("0,1", 0, ""),
    ],
)
def test_a_job_sees_no_more_gpus_than_are_its_own(
    monkeypatch: pytest.MonkeyPatch, named: str | None, number: int, shown: str
) -> None:
    monkeypatch.setenv(VISIBLE, "what it was")
    if named is None:
        monkeypatch.delenv(VISIBLE)
    else:
        monkeypatch.setenv(VISIBLE, named)
    show_gpus(number)
    assert os.environ[VISIBLE] == shown


def seen(monkeypatch: pytest.MonkeyPatch, number: int, cuda: str | None = "12.9") -> None:
    import torch

    there: Any = SimpleNamespace(is_available=lambda: number > 0, device_count=lambda: number)
    monkeypatch.setattr(torch, "cuda", there)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", None)


@pytest.mark.parametrize(
    ("number", "cuda", "kind", "message"),
    [
        (0, None, "config", "gives this job 2 GPUs, and torch sees none: torch .* is built for processors"),
        (0, "12.9", "node", "gives this job 2 GPUs, and torch sees none; on .*, `nvidia-smi` says more"),
        (1, "12.9", "node", "gives this job 2 GPUs, and torch sees 1; on "),
    ],
)
def test_a_gpu_that_is_not_there_fails_the_job(
    monkeypatch: pytest.MonkeyPatch, number: int, cuda: str | None, kind: str, message: str
) -> None:
    seen(monkeypatch, number, cuda)
    with pytest.raises(JobFailed, match=message) as failure:
        check_gpus(2)
    assert failure.value.kind == kind
    check_gpus(number)


def test_a_job_with_a_gpu_does_not_train_on_processors_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VISIBLE, "5,6")
    seen(monkeypatch, 0)
    world = make_world(tmp_path, Job("rl", "sft", "sft", "0" * 64, {}, resources={"cpus": 1, "gpus": 1}))
    assert run_job(world.plan, "rl", world.store, world.root) == 1
    assert os.environ[VISIBLE] == "5"
    attempt = last_attempt(world.store, "0" * 64)
    assert attempt is not None
    assert attempt.read()["failure"]["class"] == "node"


def test_a_process_that_is_alone_takes_part_in_no_other_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "ACCELERATE_USE_FSDP"):
        monkeypatch.setenv(name, "1")
    prepare_process(1, is_alone=False)
    assert os.environ["RANK"] == os.environ["ACCELERATE_USE_FSDP"] == "1"
    prepare_process(1)
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} & os.environ.keys()
