"""The text that the small model of this example reads before it is asked anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

HERE = Path(__file__).parent


def worked_problems(path: str, repeats: int) -> Iterator[dict[str, str]]:
    """Yield every problem of a GSM8K file `repeats` times, with its solution, as the task's prompt has it."""
    lines = (HERE / path).read_text(encoding="utf-8").splitlines()
    for _ in range(repeats):
        for line in lines:
            row = json.loads(line)
            yield {"text": f"Question: {row['question']}\nAnswer: {row['answer']}"}


def english(held_out: bool) -> Iterator[dict[str, str]]:
    """Yield paragraphs of Python's own documentation; every tenth topic is held out."""
    texts = dict.fromkeys(text.strip() for name in sorted(topics) for text in topics[name].split("\n\n"))
    for text in texts:
        if text and (hashlib.sha256(text.encode()).digest()[0] < 26) == held_out:
            yield {"text": text}
