"""Which GPUs and how many threads a job has, whichever way it was started."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exc.compiler.plan import Job
from exc.runtime.backends import inventory
from exc.runtime.backends.forking import SWITCH
from exc.runtime.backends.inventory import choose_gpus, gpus_in, usable_gpus
from exc.runtime.backends.slots import Slots
from exc.spec.usercode import code_digest
from tests.runtime.core.test_forking import world_of
from tests.runtime.core.test_submit import run
from tests.runtime.core.world import digest, job

SMI = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-aaaa)
  MIG 3g.40gb     Device  0: (UUID: MIG-1111)
  MIG 3g.40gb     Device  1: (UUID: MIG-2222)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-bbbb)
"""
LOOK = """
import json, os, sys, time
from pathlib import Path

def rows(name):
    torch = sys.modules.get("torch")
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    seen = {key: os.environ.get(key) for key in names}
    seen["threads"] = torch.get_num_threads() if torch else None
    seen["forked"] = "zygote" in sys.modules["__main__"].__spec__.name
    seen |= {"began": time.time()}
    time.sleep(0.5)
    Path(f"seen-{name}.json").write_text(json.dumps(seen | {"ended": time.time()}))
    yield {"text": "one plus one is two\\n" * 50}
"""


def looking(root: Path, name: str, **resources: int) -> Job:
    """A tokenizer whose data source writes down what its process sees."""
    source = {"name": name, "kind": "python", "target": "look:rows", "args": {"name": name}, "files": []}
    source["code"] = code_digest(root, "look:rows")
    config: dict[str, Any] = {
        "algorithm": "bpe",
        "vocab_size": 280,
        "split_digits": True,
        "sources": [source],
    }
    config["max_bytes"] = 1 << 20
    return Job(name, "tokenizer", f"look-{name}", digest(name), config, resources={"cpus": 1, **resources})


@pytest.mark.slow
@pytest.mark.parametrize("forked", [True, False])
def test_each_job_sees_its_own_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: bool) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aaaa,MIG-2222,7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv(SWITCH, "1" if forked else "0")
    (tmp_path / "look.py").write_text(LOOK)
    jobs = [
        looking(tmp_path, "one", gpus=1),
        looking(tmp_path, "other", gpus=1),
        looking(tmp_path, "two", gpus=2, cpus=2),
        looking(tmp_path, "none"),
    ]
    code, shown = run(world_of(tmp_path, *jobs))
    assert code == 0, shown
    seen = {one.id: json.loads((tmp_path / f"seen-{one.id}.json").read_text()) for one in jobs}
    gpus = {name: found["CUDA_VISIBLE_DEVICES"].split(",") for name, found in seen.items()}
    assert gpus["none"] == [""]
    assert [len(gpus[name]) for name in ("one", "other", "two")] == [1, 1, 2]
    for name, found in seen.items():
        assert set(gpus[name]) <= {"GPU-aaaa", "MIG-2222", "7", ""}
        assert (found["forked"], found["OMP_NUM_THREADS"]) == (forked, "2" if name == "two" else "1")
        assert found["threads"] in (None, 2 if name == "two" else 1)
        for other, held in seen.items():
            if other != name and found["began"] < held["ended"] and held["began"] < found["ended"]:
                assert not set(gpus[name]) & set(gpus[other]) - {""}, "two jobs on one GPU at a time"


def test_gpus_are_found_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus_in(SMI.splitlines()) == ("MIG-1111", "MIG-2222", "1")
    assert gpus_in(["No devices found."]) == ()
    for named, found in (("", ()), ("-1", ()), ("2, 0", ("2", "0")), ("0,-1,1", ("0",))):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert usable_gpus() == found


def test_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<END\n{SMI}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    inventory._installed.cache_clear()
    try:
        assert usable_gpus() == ("MIG-1111", "MIG-2222", "1")
        assert choose_gpus(2) == ("MIG-1111", "MIG-2222")
        assert choose_gpus(0) == ()
        assert choose_gpus(4) == ("0", "1", "2", "3"), "a person knows of more than can be seen"
    finally:
        inventory._installed.cache_clear()


def test_what_can_never_run_says_what_to_change() -> None:
    slots = Slots(2, ("0",))
    lacks = slots.lacks(replace(job("rl"), resources={"cpus": 1, "gpus": 2}))
    assert lacks is not None
    assert lacks.startswith("it asks for 2 GPUs, this machine has 1 GPU\nlower `gpus` under `resources` in")
    assert slots.lacks(replace(job("rl"), resources={"gpus": 1})) is None
