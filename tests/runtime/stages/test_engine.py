"""What `engine: vllm` asks of TRL and of vLLM, and what is said where vLLM is not there.

vLLM itself needs a GPU: a module of its name stands in for it here and records what it is asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.engine import engine_arguments, engine_seed, require_vllm, seeded_engine
from exc.runtime.stages.jsonl import read_jsonl
from exc.runtime.stages.vllm_sampling import start_engine
from tests.runtime.stages.conftest import Bench, ModelMaker

without_vllm = pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")


@dataclass
class Recorded:
    engines: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[list[int], dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def trl_engine() -> Any:
    """TRL's module, imported while vLLM is not there."""
    from trl.generation import vllm_generation

    return vllm_generation


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()

    class LLM:
        def __init__(self, **options: Any) -> None:
            recorded.engines.append(options)

        def generate(self, prompts: Any, parameters: Any, use_tqdm: bool) -> list[Any]:
            assert not use_tqdm
            out = []
            for prompt, asked in zip(prompts, parameters, strict=True):
                recorded.requests.append((prompt["prompt_token_ids"], vars(asked)))
                out.append(
                    SimpleNamespace(outputs=[SimpleNamespace(token_ids=[65, 66, asked.seed % 26 + 65])])
                )
            return out

    modules: dict[str, dict[str, Any]] = {
        "vllm": {"LLM": LLM, "SamplingParams": SimpleNamespace},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    return recorded


@without_vllm
def test_without_vllm_it_says_so() -> None:
    with pytest.raises(
        JobFailed, match=r"`engine: vllm` needs the package vllm, which is not installed"
    ) as failure:
        engine_arguments({"engine": "vllm"})
    assert failure.value.kind == "config"
    assert engine_arguments({}) == {"use_vllm": False}


@without_vllm
def test_a_sample_job_says_so_before_it_loads_anything(bench: Bench, tmp_path: Path) -> None:
    config = {"engine": "vllm", "seed": 3}
    with pytest.raises(JobFailed, match="is not installed where this job runs"):
        bench.run("sample", config, {"model": tmp_path / "none", "rows": tmp_path / "none"})


@pytest.mark.parametrize(
    ("given", "memory"), [({}, 0.3), ({"vllm": {"mode": "colocate", "memory": 0.5}}, 0.5)]
)
@pytest.mark.usefixtures("vllm")
def test_the_profile_says_how_much_memory_it_gets(given: Mapping[str, Any], memory: float) -> None:
    arguments = engine_arguments({"engine": "vllm", **given})
    assert arguments["use_vllm"] is True
    assert arguments["vllm_mode"] == "colocate"
    assert arguments["vllm_gpu_memory_utilization"] == memory


def test_an_engine_that_trl_starts_has_the_seed_of_the_job(
    trl_engine: Any, vllm: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sys.modules["vllm"].LLM
    monkeypatch.setattr(trl_engine, "LLM", plain, raising=False)
    for seed in (1, 2):
        with seeded_engine({"engine": "vllm", "seed": seed}):
            trl_engine.LLM(model="folder", seed=0)
    assert trl_engine.LLM is plain
    assert vllm.engines == [{"model": "folder", "seed": engine_seed(seed, 0)} for seed in (1, 2)]
    assert len({engine_seed(1, 0), engine_seed(1, 1), engine_seed(2, 0)}) == 3
    with seeded_engine({"seed": 1}):
        assert trl_engine.LLM is plain


@pytest.mark.usefixtures("vllm")
def test_an_engine_is_in_the_process_that_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its own would end at the signal that asks a job to save, and outlive a job that is killed."""
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    require_vllm()
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_the_engine_finds_the_memory_free_that_the_model_had(
    vllm: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    done: list[object] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append(len(vllm.engines)))
    model = SimpleNamespace(to=done.append, config=SimpleNamespace())
    start_engine(tmp_path, model, {"seed": 1})
    assert done == ["cpu", 0], "the model leaves, then its memory, before there is an engine"
    assert len(vllm.engines) == 1


def test_a_sample_job_asks_the_engine_for_every_completion(
    vllm: Recorded, bench: Bench, make_model: ModelMaker, tmp_path: Path
) -> None:
    import json

    rows = tmp_path / "rows"
    rows.mkdir()
    lines = [{"index": n, "fields": {"a": n}, "answer": str(n), "demonstrations": []} for n in range(3)]
    (rows / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = make_model()
    config = {
        "prompt": "{a}=",
        "stop": ["q"],
        "num_fewshot": 0,
        "fewshot_seed": None,
        "limit": None,
        "block": 1,
        "block_size": 4,
        "temperature": 0.6,
        "top_p": 0.95,
        "max_new_tokens": 8,
        "engine": "vllm",
        "vllm": {"mode": "colocate", "memory": 0.8},
        "seed": 3,
    }
    samples = list(read_jsonl(bench.run("sample", config, {"model": model, "rows": rows}) / "samples.jsonl"))
    (engine,) = vllm.engines
    assert engine["model"] == str(model.resolve())
    assert engine["gpu_memory_utilization"] == 0.8
    assert [(each["problem"], each["sample"]) for each in samples] == [
        (problem, sample) for problem in range(3) for sample in range(4, 8)
    ]
    assert len(vllm.requests) == 12
    asked = [parameters for _, parameters in vllm.requests]
    assert len({each["seed"] for each in asked}) == 12, "two completions are the same draw"
    assert {(each["temperature"], each["top_p"], each["max_tokens"]) for each in asked} == {(0.6, 0.95, 8)}
    assert all(each["stop"] == ["q"] and each["include_stop_str_in_output"] for each in asked)


def test_sampling_does_not_cast_the_weights_that_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL casts them under `bf16`, which is what a GPU means where nothing is said, and never back."""
    import torch

    from exc.runtime.stages.rollouts import rollout_arguments

    sizes = {"num_generations": 2, "prompts_per_rollout": 2, "updates_per_rollout": 1, "rollouts": 3}

    def ask(**args: Any) -> dict[str, Any]:
        args["use_transformers_continuous_batching"] = True
        return rollout_arguments({**sizes, "seed": 1, "args": args}, tmp_path)

    assert ask()["bf16"] is False  # on a processor
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert ask(bf16=False)["bf16"] is False
    for mixed in ({}, {"bf16": True}, {"bf16": False, "fp16": True}):
        with pytest.raises(JobFailed, match="casts the weights themselves") as failure:
            ask(**mixed)
        assert failure.value.kind == "config"
