"""How many tokens the tokenizer in a folder has, told from its files without loading it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_FAST, _CONFIG = "tokenizer.json", "tokenizer_config.json"


def vocabulary_size(folder: Path) -> int | None:
    """The size that transformers' `len(tokenizer)` gives; None where the files do not tell it."""
    fast = _read(folder / _FAST)
    model = fast.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        tokens = set(vocabulary)
    elif isinstance(vocabulary, list):  # of unigram models: [token, score]
        tokens = {str(entry[0]) for entry in vocabulary if isinstance(entry, list) and entry}
    else:
        return None
    return len(tokens | set(_added(fast.get("added_tokens"))) | set(_special(_read(folder / _CONFIG))))


def _added(entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("content"), str):
            yield entry["content"]


def _special(config: dict[str, Any]) -> Iterator[str]:
    """Tokens that the config adds to the file's."""
    decoder = config.get("added_tokens_decoder")
    yield from _added(list(decoder.values()) if isinstance(decoder, dict) else [])
    for key, value in config.items():
        if not key.endswith("_token"):
            continue
        if isinstance(value, str):
            yield value
        else:
            yield from _added([value])


def _read(path: Path) -> dict[str, Any]:
    try:
        data = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return data if isinstance(data, dict) else {}
