"""How well a model predicts held-out text, in bits per byte of UTF-8."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.jsonl import write_jsonl
from exc.runtime.stages.models import Loaded, forward_flops, load_model
from exc.runtime.stages.sources import read_source

BATCH_TOKENS = 8192
BATCH_LOGITS = 1 << 26  # numbers in a batch's output: 256 MiB in float32


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one document: `ids[:-1]` is read, and the last `scored` of `ids[1:]` are scored."""

    document: int
    ids: Sequence[int]
    scored: int


def run(ctx: JobContext) -> None:
    """Write documents.jsonl ({"document", "num_bytes", "bits"}) and publish bits_per_byte over all of them.

    Every token of a document is scored once. The first is predicted from the end-of-text token alone. A
    document longer than `sequence_length` is read in windows of that many tokens, each half a window after
    the last, so that every later token is predicted from at least half a window before it. `limit_bytes`
    cuts the text, at a character, once that many bytes were taken in all (null takes it whole).
    Raises JobFailed("data") when there is no text.
    """
    loaded = load_model(ctx)
    sizes: list[int] = []
    windows: list[Window] = []
    for document, text in enumerate(_texts(ctx)):
        sizes.append(len(text.encode()))
        windows += _windows(document, _encode(loaded.tokenizer, text), ctx.config["sequence_length"])
    if not sizes:
        raise JobFailed("data", f"data `{ctx.config['source']['name']}` has no text")
    bits = _score(ctx, loaded, windows, len(sizes))
    documents = [
        {"document": document, "num_bytes": size, "bits": bits[document]}
        for document, size in enumerate(sizes)
    ]

    def write(folder: Path) -> None:
        write_jsonl(folder / "documents.jsonl", documents)

    num_read = sum(len(window.ids) - 1 for window in windows)
    num_scored = sum(window.scored for window in windows)
    ctx.publish(
        write,
        metrics={"bits_per_byte": math.fsum(bits) / sum(sizes), "num_bytes": sum(sizes)},
        counts=Counts(forward_flops(loaded.num_nonembedding, num_read), len(sizes), num_scored),
    )


def _texts(ctx: JobContext) -> Iterator[str]:
    left = ctx.config["limit_bytes"]
    for record in read_source(ctx.config["source"], ctx.root, ctx.inputs):
        text = record.text(ctx.config["text"])
        if left is not None and len(text.encode()) >= left:
            text = text.encode()[:left].decode(errors="ignore")
            yield from [text] if text else []
            return
        left = None if left is None else left - len(text.encode())
        if text:
            yield text


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return [tokenizer.eos_token_id, *ids]


def _windows(document: int, ids: Sequence[int], length: int) -> Iterator[Window]:
    """Cut end-of-text and a document's tokens into overlapping windows that score each token once."""
    scored_to = 1  # ids before this place are context only
    start = 0
    while scored_to < len(ids):
        end = min(start + length + 1, len(ids))
        yield Window(document, ids[start:end], end - scored_to)
        scored_to = end
        start += max(1, length // 2)


def _score(ctx: JobContext, loaded: Loaded, windows: Sequence[Window], num_documents: int) -> list[float]:
    """Return the bits of every document."""
    parts: list[list[float]] = [[] for _ in range(num_documents)]
    num_done = 0
    for batch in _batches(windows, loaded.model.config.vocab_size):
        for window, bits in zip(batch, _batch_bits(loaded, batch), strict=True):
            if not math.isfinite(bits):
                raise JobFailed(
                    "diverged", f"the model gives document {window.document} no finite likelihood"
                )
            parts[window.document].append(bits)
        num_done += len(batch)
        ctx.emit("progress", step=num_done, total=len(windows))
        if ctx.should_stop():
            raise Stopped
    return [math.fsum(part) for part in parts]


def _batches(windows: Sequence[Window], vocab_size: int) -> Iterator[list[Window]]:
    """Group windows by length, longest first, so that little is padded."""
    most = max(1, min(BATCH_TOKENS, BATCH_LOGITS // vocab_size))
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > most:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _batch_bits(loaded: Loaded, batch: Sequence[Window]) -> list[float]:
    import torch

    width = max(len(window.ids) for window in batch)
    # Padding stands on the right, where a causal model does not see it, and its targets are not scored.
    padded = [[*window.ids, *[0] * (width - len(window.ids))] for window in batch]
    ids_BT = torch.tensor(padded, device=loaded.device)
    with torch.inference_mode():
        logits_BTV = loaded.model(input_ids=ids_BT[:, :-1], use_cache=False).logits.float()
        nats_BT = torch.nn.functional.cross_entropy(
            logits_BTV.transpose(1, 2), ids_BT[:, 1:], reduction="none"
        )
    result = []
    for window, nats_T in zip(batch, nats_BT.double().cpu(), strict=True):
        end = len(window.ids) - 1
        result.append(float(nats_T[end - window.scored : end].sum()) / math.log(2))
    return result
