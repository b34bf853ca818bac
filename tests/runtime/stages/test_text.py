"""From text to tokens."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.runtime.context import JobFailed, Stopped
from tests.runtime.stages.conftest import TEXT, Bench, ModelMaker


def load(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def config(bench: Bench, **more: Any) -> dict[str, Any]:
    sources = [bench.source("text.txt", kind="text", split="file")]
    return {
        "algorithm": "bpe",
        "vocab_size": 300,
        "split_digits": True,
        "sources": sources,
        "max_bytes": None,
        **more,
    }


def ids_of(folder: Path) -> tuple[list[int], dict[str, Any]]:
    index = json.loads((folder / "index.json").read_text())
    return np.memmap(folder / "tokens.bin", dtype=index["dtype"], mode="r").tolist(), index


load_once = lru_cache(load)


@given(st.text())
def test_any_text_survives_the_round_trip(tokenizer_folder: Path, text: str) -> None:
    tokenizer = load_once(tokenizer_folder)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_and_punctuation_stand_apart(tokenizer_folder: Path) -> None:
    tokenizer = load(tokenizer_folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer("12+30=42")["input_ids"]) == list("12+30=42")
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|endoftext|>", "<|padding|>")


def test_a_model_folder_keeps_its_tokenizer(make_model: ModelMaker, tokenizer_folder: Path) -> None:
    assert load(make_model())(TEXT)["input_ids"] == load(tokenizer_folder)(TEXT)["input_ids"]


def test_the_same_text_gives_the_same_bytes(bench: Bench) -> None:
    bench.write("text.txt", TEXT)
    first, second = (bench.run("tokenizer", config(bench), out=name) for name in ("one", "two"))
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_max_bytes_is_shared_among_the_sources(bench: Bench) -> None:
    bench.write("text.txt", "ab " * 100)
    bench.write("more.txt", "\u00e9\u00e9 " * 100)
    sources = [bench.source(name, kind="text", split="file") for name in ("text.txt", "more.txt")]
    bench.run("tokenizer", config(bench, sources=sources, max_bytes=62))
    assert bench.metrics["num_bytes"] == 31 + 30  # the cut falls on a character


@pytest.mark.parametrize(
    ("change", "text", "kind", "message"),
    [
        (
            {"vocab_size": 257},
            TEXT,
            "config",
            "vocab_size 257 is too small: 256 bytes and 2 special tokens take 258",
        ),
        ({}, "", "data", "the tokenizer's sources hold no text"),
    ],
)
def test_a_tokenizer_that_cannot_be(bench: Bench, change: Any, text: str, kind: str, message: str) -> None:
    bench.write("text.txt", text)
    with pytest.raises(JobFailed, match=message) as failure:
        bench.run("tokenizer", config(bench, **change))
    assert failure.value.kind == kind


def test_a_tokenizer_that_is_there_is_copied(bench: Bench, tokenizer_folder: Path) -> None:
    names = sorted(path.name for path in tokenizer_folder.iterdir() if path.name != "artifact.json")
    for name in names:
        (bench.root / "mine").mkdir(exist_ok=True)
        bench.write(f"mine/{name}", (tokenizer_folder / name).read_text())
    files = bench.source(*(f"mine/{name}" for name in names))["files"]
    copy = bench.run("tokenizer", {"algorithm": "path", "files": files})
    assert load(copy)(TEXT)["input_ids"] == load(tokenizer_folder)(TEXT)["input_ids"]


@pytest.mark.parametrize("pad", [None, "<|endoftext|>"])
def test_padding_is_not_the_end(bench: Bench, tokenizer_folder: Path, pad: str | None) -> None:
    tokenizer = load(tokenizer_folder)
    tokenizer.pad_token = pad
    tokenizer.save_pretrained(bench.root / "mine")
    files = bench.source(*(f"mine/{path.name}" for path in sorted((bench.root / "mine").iterdir())))["files"]
    with pytest.raises(JobFailed, match="needs an end token, and a padding token that is another one"):
        bench.run("tokenizer", {"algorithm": "path", "files": files})


def test_every_document_ends_in_eos(bench: Bench, tokenizer_folder: Path) -> None:
    bench.write("d.jsonl", '{"text": "ab 12"}\n{"text": ""}\n{"text": "x<|endoftext|>"}\n')
    folder = bench.run(
        "tokens", {"source": bench.source("d.jsonl"), "text": "text"}, {"tokenizer": tokenizer_folder}
    )
    ids, index = ids_of(folder)
    tokenizer = load(tokenizer_folder)
    eos = tokenizer.eos_token_id
    first = [*tokenizer("ab 12")["input_ids"], eos]
    assert ids[: len(first)] == first
    assert ids.count(eos) == 2  # one spelled inside a document is text
    assert tokenizer.decode(ids[len(first) : -1]) == "x<|endoftext|>"
    assert index == {"dtype": "uint16", "num_tokens": len(ids), "num_documents": 2, "num_bytes": 5 + 14}
    assert bench.counts.tokens == len(ids)


def test_batches_leave_no_trace(
    bench: Bench, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("d.txt", TEXT * 3)
    job = {"source": bench.source("d.txt", kind="text", split="line"), "text": "text"}
    whole = bench.run("tokens", job, {"tokenizer": tokenizer_folder}, out="whole")
    monkeypatch.setattr("exc.runtime.stages.tokens.BATCH_BYTES", 50)
    parts = bench.run("tokens", job, {"tokenizer": tokenizer_folder}, out="parts")
    assert len(bench.events) == 3
    assert (whole / "tokens.bin").read_bytes() == (parts / "tokens.bin").read_bytes()


def test_no_documents_is_a_failure(bench: Bench, tokenizer_folder: Path) -> None:
    bench.write("d.jsonl", '{"text": ""}\n')
    with pytest.raises(JobFailed, match="data `things` has no documents"):
        bench.run(
            "tokens", {"source": bench.source("d.jsonl"), "text": "text"}, {"tokenizer": tokenizer_folder}
        )


def test_text_that_is_no_text_is_named(bench: Bench, tokenizer_folder: Path) -> None:
    bench.write("d.jsonl", '{"text": "a"}\n{"text": 3}\n')
    with pytest.raises(JobFailed, match=r"d\.jsonl row 2: column `text` is a number, not a string"):
        bench.run(
            "tokens", {"source": bench.source("d.jsonl"), "text": "text"}, {"tokenizer": tokenizer_folder}
        )


def test_a_stop_is_heeded(bench: Bench, tokenizer_folder: Path) -> None:
    bench.write("d.jsonl", '{"text": "a"}\n')
    bench.should_stop = lambda: True
    with pytest.raises(Stopped):
        bench.run(
            "tokens", {"source": bench.source("d.jsonl"), "text": "text"}, {"tokenizer": tokenizer_folder}
        )
