"""Completions end at a stop string, in text and in tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exc.runtime.stages.completions import cut_at_stop, keep_until_stop


class Letters:
    """A tokenizer whose tokens are the characters of a text; 0 is padding."""

    pad_token_id = 0

    def decode(self, ids: Any, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return "".join(chr(number) for number in ids if number)


def encode(text: str) -> list[int]:
    return [0 if char == "_" else ord(char) for char in text]


def test_text_is_cut_before_the_first_stop_string() -> None:
    assert cut_at_stop("a;b\nc", ["\n", ";"]) == "a"
    assert cut_at_stop("abc", [";"]) == "abc"
    assert cut_at_stop("abc", []) == "abc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7-4=3##tail", (7, True)),  # up to the end of the stop string
        ("##", (2, True)),
        ("7-4=3#", (6, False)),
        ("7-4____", (3, False)),  # padding behind an early end is no part of it
        ("7#_#__", (4, True)),
        ("_", (1, False)),
    ],
)
def test_tokens_are_kept_until_the_stop_string_is_whole(text: str, expected: tuple[int, bool]) -> None:
    assert keep_until_stop(Letters(), encode(text), ["##"]) == expected


def test_decoding_takes_nothing_out_of_a_completion(tmp_path: Path) -> None:
    """TRL decodes rewards as the tokenizer says; evaluations do not. Both give what was written."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from exc.runtime.stages.models import load_tokenizer

    words = Tokenizer(models.WordLevel({"?": 0, "1": 1, ",": 2, "<end>": 3}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    factory: Any = PreTrainedTokenizerFast
    factory(tokenizer_object=words, eos_token="<end>", clean_up_tokenization_spaces=True).save_pretrained(
        tmp_path
    )
    assert load_tokenizer(tmp_path).batch_decode([[1, 2, 1]]) == ["1 , 1"]
