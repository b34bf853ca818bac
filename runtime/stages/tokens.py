"""A data source as one flat array of token ids, ready to be memory-mapped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.models import limit_threads, load_tokenizer
from exc.runtime.stages.sources import read_source

BATCH_BYTES = 1 << 20  # text handed to the tokenizer at a time
DISK = {"uint16": "<u2", "uint32": "<u4"}  # as index.json names it, and as numpy does with byte order


def run(ctx: JobContext) -> None:
    """Write tokens.bin (little-endian, every document followed by eos) and index.json.

    Documents without text are left out. A special token spelled in a document is encoded as plain text.
    Raises JobFailed("data") when there are no documents.
    """
    limit_threads(ctx.num_threads)
    tokenizer = load_tokenizer(ctx.inputs["tokenizer"])
    eos = tokenizer.eos_token_id
    if eos is None:
        raise JobFailed("config", "the tokenizer has no end-of-text token to put between documents")
    encoder = tokenizer.backend_tokenizer
    encoder.encode_special_tokens = True
    # len() counts added tokens, as ids do.
    dtype = "uint16" if len(tokenizer) <= 1 << 16 else "uint32"
    ctx.work.mkdir(parents=True, exist_ok=True)
    scratch = ctx.work / "tokens.bin"
    metrics = _encode(ctx, encoder, eos, DISK[dtype], scratch)
    if metrics["num_documents"] == 0:
        raise JobFailed("data", f"data `{ctx.config['source']['name']}` has no documents")
    index = {"dtype": dtype, **metrics}

    def write(folder: Path) -> None:
        shutil.move(scratch, folder / "tokens.bin")
        (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")

    counts = Counts(samples=metrics["num_documents"], tokens=metrics["num_tokens"])
    ctx.publish(write, metrics=metrics, counts=counts)


def _encode(ctx: JobContext, encoder: Any, eos: int, dtype: str, scratch: Path) -> dict[str, int]:
    """Write the ids of all documents, each followed by eos; gives how many there were of what."""
    num_documents = num_bytes = num_tokens = 0
    with scratch.open("wb") as file:
        for texts, size in _batches(ctx):
            encodings = encoder.encode_batch_fast(texts, add_special_tokens=False)
            ids = np.fromiter(chain.from_iterable([*e.ids, eos] for e in encodings), dtype=dtype)
            ids.tofile(file)
            num_documents += len(texts)
            num_bytes += size
            num_tokens += len(ids)
            ctx.emit("progress", step=num_documents, total=None, tokens=num_tokens)
            if ctx.should_stop():
                raise Stopped
    return {"num_tokens": num_tokens, "num_documents": num_documents, "num_bytes": num_bytes}


def _batches(ctx: JobContext) -> Iterator[tuple[list[str], int]]:
    """Yield documents by about BATCH_BYTES, with the UTF-8 bytes of each batch."""
    texts: list[str] = []
    size = 0
    for record in read_source(ctx.config["source"], ctx.root, ctx.inputs):
        text = record.text(ctx.config["text"])
        if not text:
            continue
        texts.append(text)
        size += len(text.encode())
        if size >= BATCH_BYTES:
            yield texts, size
            texts, size = [], 0
    if texts:
        yield texts, size
