"""The size of a tokenizer's vocabulary, told without loading it, is what transformers says it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exc.vocabulary import vocabulary_size
from tests.runtime.training.world import write_tokenizer


def size(folder: Path) -> int:
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(folder))


def test_of_a_byte_level_tokenizer(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path / "plain")
    assert vocabulary_size(folder) == size(folder) == 258


def test_tokens_that_were_added_count_once(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(write_tokenizer(tmp_path / "plain"))
    loaded.add_tokens(["<|a|>", "<|b|>"])
    loaded.add_special_tokens({"bos_token": "<|begin|>"})
    loaded.save_pretrained(tmp_path / "more")
    assert vocabulary_size(tmp_path / "more") == size(tmp_path / "more") == 261


def test_of_a_unigram_model(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -2.0)], unk_id=0))
    factory: Any = PreTrainedTokenizerFast
    factory(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(tmp_path)
    assert vocabulary_size(tmp_path) == size(tmp_path) == 4


@pytest.mark.parametrize("text", [None, "", "[]", "{}", json.dumps({"model": {"vocab": 3}})])
def test_what_cannot_be_told(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    assert vocabulary_size(tmp_path) is None
