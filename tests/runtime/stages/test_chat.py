"""A chat template is applied where it is asked for, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.chat import prompt_ids
from exc.runtime.stages.models import load_tokenizer

TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[say]{% endif %}"
)


def test_plain_unless_asked(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(tokenizer_folder)
    tokenizer.chat_template = TEMPLATE
    assert tokenizer.decode(prompt_ids(tokenizer, "1+1")) == "1+1"
    assert tokenizer.decode(prompt_ids(tokenizer, "1+1", chat_template=True)) == "[user]1+1[say]"
    assert list(prompt_ids(tokenizer, "")) == [tokenizer.eos_token_id]


def test_a_tokenizer_without_one(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(tokenizer_folder)
    with pytest.raises(JobFailed, match="the model's tokenizer has none") as failure:
        prompt_ids(tokenizer, "1+1", chat_template=True)
    assert failure.value.kind == "config"
