from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exc.runtime.context import JobFailed, Stopped
from exc.runtime.stages.jsonl import read_jsonl
from tests.runtime.stages.conftest import Bench, ModelMaker

CONFIG: dict[str, Any] = {
    "prompt": "{question}=",
    "stop": [],
    "num_fewshot": 0,
    "fewshot_seed": 0,
    "limit": None,
    "block": 0,
    "block_size": 4,
    "temperature": 1.0,
    "top_p": 1.0,
    "max_new_tokens": 8,
    "seed": 0,
}
QUESTIONS = ["1+1", "12+30", "7", "3+4+5-2", "99-98"]


def sample(bench: Bench, model: Path, out: str, **change: Any) -> list[dict[str, Any]]:
    rows = bench.folder / "artifacts" / "rows"
    if not rows.exists():
        bench.rows([{"question": question, "answer": "0"} for question in QUESTIONS])
    folder = bench.run("sample", {**CONFIG, **change}, {"model": model, "rows": rows}, out=out)
    return list(read_jsonl(folder / "samples.jsonl"))


def test_a_block_holds_its_samples_of_every_problem(bench: Bench, make_model: ModelMaker) -> None:
    lines = sample(bench, make_model(), "one", block=2)
    assert [(line["problem"], line["sample"]) for line in lines] == [
        (p, s) for p in range(5) for s in range(8, 12)
    ]
    assert all(line["finish"] == "length" or line["num_tokens"] < 8 for line in lines)
    assert bench.counts.samples == 20
    assert bench.counts.tokens == sum(line["num_tokens"] for line in lines)
    assert bench.events[-1][1] == {"step": 1, "total": 1}
    # 2 layers of 4 32x32 and 3 32x64 matrices and 2 norms, and the last norm.
    num_read = bench.counts.tokens + sum(len(question) + 1 for question in QUESTIONS)
    assert bench.counts.flops == 2 * (2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32) * num_read


def test_the_draw_is_fixed_by_seed_and_block(bench: Bench, make_model: ModelMaker) -> None:
    model = make_model()
    texts = [
        [line["text"] for line in sample(bench, model, str(number), **change)]
        for number, change in enumerate([{}, {}, {"seed": 1}, {"block": 1}])
    ]
    assert texts[0] == texts[1]
    assert len({str(text) for text in texts}) == 3
    assert len(set(texts[0])) > 10


def test_greedy_equals_the_reference(bench: Bench, make_model: ModelMaker) -> None:
    """Padding, the cache and dropping what has ended change nothing: transformers' greedy search agrees."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = make_model(seed=4)
    lines = sample(bench, folder, "greedy", temperature=0.0, max_new_tokens=24)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    for problem, question in enumerate(QUESTIONS):
        prompt = tokenizer(question + "=", return_tensors="pt")
        ids = model.generate(**prompt, do_sample=False, max_new_tokens=24, min_new_tokens=0)[0]
        text = tokenizer.decode(ids[prompt["input_ids"].shape[1] :], skip_special_tokens=True)
        assert {line["text"] for line in lines if line["problem"] == problem} == {text}


def test_batches_split_and_a_stopped_job_goes_on(
    bench: Bench, make_model: ModelMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()
    monkeypatch.setattr("exc.runtime.stages.sample.MOST_SEQUENCES", 8)
    whole = sample(bench, model, "whole")
    assert len(bench.events) == 3
    bench.should_stop = lambda: True
    for _ in range(2):
        with pytest.raises(Stopped):
            sample(bench, model, "parts")
        assert len(bench.events) == 1
    with (bench.folder / "work/parts/batches.jsonl").open("a") as file:
        file.write('{"samples": [{"pro')  # the process died while it wrote
    bench.should_stop = lambda: False
    assert sample(bench, model, "parts") == whole
    assert len(bench.events) == 1


def test_text_ends_before_the_stop_string(bench: Bench, make_model: ModelMaker) -> None:
    model = make_model()
    free = sample(bench, model, "free", max_new_tokens=40)
    stop = free[0]["text"][2:4]
    stopped = sample(bench, model, "stopped", max_new_tokens=40, stop=["never there", stop])
    assert stopped[0]["text"] == free[0]["text"].partition(stop)[0]
    assert (stopped[0]["finish"], stopped[0]["num_tokens"] < free[0]["num_tokens"]) == ("stop", True)
    assert not any(stop in line["text"] for line in stopped)


def test_end_of_text_stops(bench: Bench, make_model: ModelMaker) -> None:
    """A model that finds all tokens equally likely draws the end of text once in a while."""
    lines = sample(bench, make_model(head=0.0), "zero", max_new_tokens=200, block_size=16)
    ended = [line for line in lines if line["finish"] == "stop"]
    assert 0 < len(ended) < len(lines)
    assert all(line["num_tokens"] == 200 for line in lines if line["finish"] == "length")
    assert not any("<|endoftext|>" in line["text"] for line in lines)
    assert bench.metrics["stop_rate"] == len(ended) / len(lines)


def test_top_p_keeps_the_likeliest_tokens() -> None:
    import torch

    from exc.runtime.stages.generate import Sampling, _draw

    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log().repeat(4000, 1)
    for top_p, left in ((1.0, 4), (0.8, 3), (0.75, 2), (0.6, 2), (0.1, 1)):
        tokens = _draw(logits, Sampling(1.0, top_p, 1), torch.Generator().manual_seed(0))
        counts = torch.bincount(tokens, minlength=4) / 4000
        wanted = torch.tensor([0.5, 0.25, 0.15, 0.1]) * (torch.arange(4) < left)
        assert (counts > 0).tolist() == (wanted > 0).tolist()
        assert torch.allclose(counts, wanted / wanted.sum(), atol=0.04)


def test_fewshot_examples_stand_before_every_problem(bench: Bench, make_model: ModelMaker) -> None:
    model = make_model()
    pool = bench.rows([{"question": "5+5", "answer": "10"}, {"question": "1+1", "answer": "2"}], out="pool")
    rows = bench.rows([{"question": "5+5=10\n\n1+1", "answer": "2"}], out="spelled")
    spelled = bench.run("sample", CONFIG, {"model": model, "rows": rows}, out="a")
    rows = bench.rows([{"question": "1+1", "answer": "2"}], out="plain")
    inputs = {"model": model, "rows": rows, "fewshot": pool}
    assembled = bench.run("sample", {**CONFIG, "num_fewshot": 1}, inputs, out="b")
    assert (spelled / "samples.jsonl").read_bytes() == (assembled / "samples.jsonl").read_bytes()


def test_limit_takes_the_first_problems(bench: Bench, make_model: ModelMaker) -> None:
    assert {line["problem"] for line in sample(bench, make_model(), "two", limit=2)} == {0, 1}


def test_a_prompt_too_long_for_the_model_is_named(bench: Bench, make_model: ModelMaker) -> None:
    with pytest.raises(
        JobFailed, match="the prompt of problem 3 has 8 tokens; with max_new_tokens = 250 that is more"
    ):
        sample(bench, make_model(), "long", max_new_tokens=250)


def test_weights_that_are_not_numbers_are_told(bench: Bench, make_model: ModelMaker) -> None:
    with pytest.raises(JobFailed, match="the model's output is not finite") as failure:
        sample(bench, make_model(head=math.nan), "nan")
    assert failure.value.kind == "diverged"


def test_a_folder_without_a_model_is_told(bench: Bench, tokenizer_folder: Path) -> None:
    with pytest.raises(JobFailed, match="no model can be loaded from") as failure:
        sample(bench, tokenizer_folder, "none")
    assert failure.value.kind == "config"


def test_on_a_gpu_the_cache_has_its_share_of_what_the_weights_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a device that a model fills by 70%, a share of the whole would not be there."""
    import torch

    from exc.runtime.stages.sample import CPU_CACHE_BYTES, GPU_CACHE_SHARE, _cache_budget

    size = 40_000
    properties = SimpleNamespace(total_memory=size)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: properties)
    cuda = torch.device("cuda")
    for held in (0, 28_000, 50_000):
        model = torch.nn.ParameterList([torch.zeros(held // 4)])
        budget = _cache_budget(model, cuda)
        assert budget == max(0, int((size - held) * GPU_CACHE_SHARE))
        assert held + budget <= max(size, held)
        assert _cache_budget(model, torch.device("cpu")) == CPU_CACHE_BYTES
