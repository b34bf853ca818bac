"""What makes a folder a model that transformers can load, told without loading it."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


class BadModel(Exception):
    """A folder is not a model; the message says what is wrong with it."""


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json; raises BadModel when it is missing or not a model's."""
    path = folder / "config.json"
    if not path.is_file():
        raise BadModel(f"{folder.name}/ has no config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadModel(f"{folder.name}/config.json is not JSON: {error}") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise BadModel(f"{folder.name}/config.json names no model_type")
    return config


def read_tensors(folder: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return name -> (dtype, shape) of all tensors, from the headers of the safetensors files.

    Raises BadModel when there are none, a file is cut short, or the index names one that is not there.
    """
    paths = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        wanted = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        missing = sorted(wanted - {path.name for path in paths})
        if missing:
            raise BadModel(f"{folder.name}/ lacks {missing[0]}, which its index names")
    if not paths:
        raise BadModel(f"{folder.name}/ has no safetensors file")
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    for path in paths:
        for name, entry in _header(path).items():
            if name != "__metadata__":
                tensors[name] = (entry["dtype"], tuple(entry["shape"]))
    return tensors


def _header(path: Path) -> Mapping[str, Any]:
    """Read a safetensors header: its length in 8 bytes, little-endian, then JSON; then the tensors' bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if 8 + length > size:
            raise BadModel(f"{path.name} is cut short")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            end = max(
                (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"),
                default=0,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadModel(f"{path.name} is not a safetensors file") from error
    if 8 + length + end != size:
        raise BadModel(f"{path.name} is cut short")
    return header


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer's files."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
