"""Prompts and what follows them as ids, so that no token reaches over the border between the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def end_token(tokenizer: Any, end: str | None) -> int:
    """The id that ends a completion: of the token named, else the tokenizer's own end of text."""
    return int(tokenizer.eos_token_id if end is None else tokenizer.convert_tokens_to_ids(end))


def encode_behind(
    tokenizer: Any, prompts: Sequence[str], *completions: Sequence[str], end: int
) -> list[list[list[int]]]:
    """The ids of the prompts, and of each list of completions behind them, their ends included.

    A prompt's ids are those that sampling starts from. Both texts encoded as one are the same unless a token
    reaches over the border ("Answer: " and "the" as "Answer", ":", " the"): the model would learn to go on
    from a prompt that it never meets. There the completion is encoded apart.
    """
    prompt_ids: list[list[int]] = tokenizer(list(prompts))["input_ids"]
    encoded = [prompt_ids]
    for texts in completions:
        wholes = tokenizer([prompt + text for prompt, text in zip(prompts, texts, strict=True)])["input_ids"]
        ids = []
        for text, prompt, whole in zip(texts, prompt_ids, wholes, strict=True):
            behind = whole[len(prompt) :]
            if whole[: len(prompt)] != prompt:
                behind = tokenizer(text, add_special_tokens=False)["input_ids"]
            ids.append(behind if behind[-1:] == [end] else [*behind, end])
        encoded.append(ids)
    return encoded
