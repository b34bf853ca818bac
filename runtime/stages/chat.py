"""Prompts as token ids: as they stand, or as what a user says in the tokenizer's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exc.runtime.context import JobFailed


def prompt_ids(tokenizer: Any, prompt: str, chat_template: bool = False) -> Sequence[int]:
    """The ids of a prompt; an empty one is the end of a text before it.

    Raises JobFailed("config") where a template is asked for and the tokenizer has none.
    """
    if not chat_template:
        plain: list[int] = tokenizer(prompt)["input_ids"]
        return plain or [tokenizer.eos_token_id]
    if not getattr(tokenizer, "chat_template", None):
        raise JobFailed("config", "`chat_template` is asked for, and the model's tokenizer has none")
    told = [{"role": "user", "content": prompt}]
    text: str = tokenizer.apply_chat_template(told, add_generation_prompt=True, tokenize=False)
    # The template writes what begins a text itself.
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
