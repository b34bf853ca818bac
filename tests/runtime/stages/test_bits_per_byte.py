from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.runtime.context import JobFailed
from exc.runtime.stages.bits_per_byte import _windows
from exc.runtime.stages.jsonl import read_jsonl
from tests.runtime.stages.conftest import TEXT, Bench, ModelMaker


def measure(
    bench: Bench, model: Path, texts: list[str], out: str = "bpb", length: int = 16, limit: int | None = None
) -> list[dict[str, Any]]:
    bench.write("held.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in texts))
    config = {
        "source": bench.source("held.jsonl"),
        "text": "text",
        "sequence_length": length,
        "limit_bytes": limit,
    }
    return list(read_jsonl(bench.run("bits_per_byte", config, {"model": model}, out=out) / "documents.jsonl"))


def load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_a_uniform_model_pays_log2_of_the_vocabulary_for_every_token(
    bench: Bench, make_model: ModelMaker
) -> None:
    folder = make_model(head=0.0)
    texts = ["12", "\u00e9", TEXT]
    documents = measure(bench, folder, texts)
    _, tokenizer = load(folder)
    num_tokens = [len(tokenizer(text)["input_ids"]) for text in texts]
    assert [document["num_bytes"] for document in documents] == [2, 2, len(TEXT)]
    for document, count in zip(documents, num_tokens, strict=True):
        assert math.isclose(document["bits"], count * math.log2(len(tokenizer)), rel_tol=1e-6)
    wanted = sum(num_tokens) * math.log2(len(tokenizer)) / (4 + len(TEXT))
    assert math.isclose(bench.metrics["bits_per_byte"], wanted, rel_tol=1e-6)
    assert bench.metrics["num_bytes"] == 4 + len(TEXT)
    assert bench.counts.tokens == sum(num_tokens)


def test_a_document_in_one_window_is_worth_its_likelihood(bench: Bench, make_model: ModelMaker) -> None:
    import torch

    folder = make_model(seed=3)
    (document,) = measure(bench, folder, [TEXT], length=200)
    model, tokenizer = load(folder)
    ids = [tokenizer.eos_token_id, *tokenizer(TEXT)["input_ids"]]
    with torch.no_grad():
        logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    bits = -sum(logs[place, token].item() for place, token in enumerate(ids[1:])) / math.log(2)
    assert math.isclose(document["bits"], bits, rel_tol=1e-5)


def test_neither_batch_nor_neighbours_change_a_document(
    bench: Bench, make_model: ModelMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(seed=3)
    texts = [TEXT, "short", TEXT[:50], "12+30=42"]
    together = measure(bench, folder, texts, out="together")
    monkeypatch.setattr("exc.runtime.stages.bits_per_byte.BATCH_TOKENS", 1)
    apart = measure(bench, folder, texts, out="apart")
    assert len(bench.events) > 5
    for one, other in zip(together, apart, strict=True):
        assert math.isclose(one["bits"], other["bits"], rel_tol=1e-5)


@given(st.integers(2, 100), st.integers(1, 20))
def test_every_token_is_scored_once_with_half_a_window_before_it(num_ids: int, length: int) -> None:
    windows = list(_windows(0, range(num_ids), length))
    scored = [place for window in windows for place in window.ids[len(window.ids) - window.scored :]]
    assert scored == list(range(1, num_ids))
    for window in windows:
        assert len(window.ids) - 1 <= length
        first = window.ids[len(window.ids) - window.scored]
        assert first - window.ids[0] >= min(first, (length + 1) // 2)


def test_limit_bytes_cuts_at_a_character(bench: Bench, make_model: ModelMaker) -> None:
    folder = make_model()
    documents = measure(bench, folder, ["abc", "d\u00e9f", "never"], limit=5)
    assert [document["num_bytes"] for document in documents] == [3, 1]


@pytest.mark.parametrize("texts", [[], [""]])
def test_no_text_is_a_failure(bench: Bench, make_model: ModelMaker, texts: list[str]) -> None:
    with pytest.raises(JobFailed, match="data `things` has no text"):
        measure(bench, make_model(), texts)


def test_a_model_that_diverged_is_told(bench: Bench, make_model: ModelMaker) -> None:
    with pytest.raises(JobFailed, match="no finite likelihood") as failure:
        measure(bench, make_model(head=math.nan), ["abc"])
    assert failure.value.kind == "diverged"
