"""A trunk's tokenizer: byte-level BPE trained on its sources, or one that is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.models import limit_threads
from exc.runtime.stages.sources import checked_file, read_source

EOS = "<|endoftext|>"
PAD = "<|padding|>"  # not EOS: whoever masks padding must not mask the end of a text
SMALLEST = 256 + 2  # every byte, so that any text survives the round trip, and the two special tokens


def run(ctx: JobContext) -> None:
    """Make the tokenizer's folder, as AutoTokenizer reads it: trained (`bpe`), or a copy (`path`, `hub`)."""
    limit_threads(ctx.num_threads)
    if ctx.config["algorithm"] == "bpe":
        _bpe(ctx)
    elif ctx.config["algorithm"] == "path":
        _copy(ctx, [checked_file(entry, ctx.root) for entry in ctx.config["files"]])
    else:
        _copy(ctx, sorted(file for file in ctx.inputs["fetched"].rglob("*") if file.is_file()))


def _copy(ctx: JobContext, files: Sequence[Path]) -> None:
    """Copy the tokenizer that the spec names.

    Raises JobFailed("config") if it cannot be loaded, or has no padding token apart from its end token.
    """
    from transformers import AutoTokenizer

    top = files[0].parent if len(files) == 1 else Path(os.path.commonpath([file.parent for file in files]))
    try:
        loaded: Any = AutoTokenizer.from_pretrained(top, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise JobFailed("config", f"the tokenizer in {top} cannot be loaded: {error}") from None
    if loaded.eos_token_id is None or loaded.pad_token_id in (None, loaded.eos_token_id):
        raise JobFailed(
            "config",
            f"the tokenizer in {top} needs an end token, and a padding token that is another one: "
            "a model whose end token is masked as padding never learns to stop",
        )

    def write(folder: Path) -> None:
        for file in files:
            target = folder / file.relative_to(top)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)

    ctx.publish(write, metrics={"vocab_size": len(loaded)}, counts=Counts())


def _bpe(ctx: JobContext) -> None:
    """Train a byte-level BPE tokenizer.

    `max_bytes` is shared evenly among the sources (null reads all), so that no source crowds out another.
    Raises JobFailed("config") for a vocabulary below 258 and JobFailed("data") when there is no text.
    """
    from transformers import PreTrainedTokenizerFast

    if ctx.config["vocab_size"] < SMALLEST:
        raise JobFailed(
            "config",
            f"vocab_size {ctx.config['vocab_size']} is too small: "
            f"256 bytes and 2 special tokens take {SMALLEST}",
        )
    texts = _Texts(ctx)
    trained = _train(texts, ctx.config["vocab_size"], ctx.config["split_digits"])
    if texts.num_bytes == 0:
        raise JobFailed("data", "the tokenizer's sources hold no text")
    fast_tokenizer: Any = PreTrainedTokenizerFast
    wrapped = fast_tokenizer(
        tokenizer_object=trained, eos_token=EOS, pad_token=PAD, clean_up_tokenization_spaces=False
    )

    def write(folder: Path) -> None:
        wrapped.save_pretrained(folder)

    metrics = {"vocab_size": trained.get_vocab_size(), "num_bytes": texts.num_bytes}
    ctx.publish(write, metrics=metrics, counts=Counts(samples=texts.num_documents))


class _Texts:
    """The documents to train on; counts what was taken."""

    def __init__(self, ctx: JobContext) -> None:
        self.ctx = ctx
        self.num_documents = 0
        self.num_bytes = 0

    def __iter__(self) -> Iterator[str]:
        sources, limit = self.ctx.config["sources"], self.ctx.config.get("max_bytes")
        for index, source in enumerate(sources):
            left = None if limit is None else limit // len(sources)
            for record in read_source(source, self.ctx.root, self.ctx.inputs):
                text = record.text(source.get("text", "text"))
                size = len(text.encode())
                if left is not None and size >= left:
                    text = text.encode()[:left].decode(errors="ignore")
                    self._count(len(text.encode()))
                    yield text
                    break
                left = None if left is None else left - size
                self._count(size)
                yield text
            self.ctx.emit("progress", step=index + 1, total=len(sources))

    def _count(self, size: int) -> None:
        self.num_documents += 1
        self.num_bytes += size
        if self.num_documents % 1000 == 0 and self.ctx.should_stop():
            raise Stopped


def _train(texts: _Texts, vocab_size: int, split_digits: bool) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # No space is put before a text: completions must be what the model wrote, to the byte.
    splits: list[Any] = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if split_digits:
        digits = pre_tokenizers.Digits(individual_digits=True)
        splits = [digits, *splits]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[EOS, PAD],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
