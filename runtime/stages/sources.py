"""Rows out of a data source: JSON lines, Parquet, text files or a Python generator beside the spec."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.stages.jsonl import read_jsonl
from exc.runtime.stages.usercode import FAULTS, describe, load_function

ROWS_FILE = "rows.jsonl"  # what a job that makes data leaves
PARQUET_BATCH = 1024  # rows held in memory at a time


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `where` names it in messages ("gsm8k.jsonl row 17"; rows count from 1, as lines do)."""

    where: str
    values: Mapping[str, Any]

    def column(self, name: str) -> Any:
        """Return the value of a column; raises JobFailed when the row lacks it."""
        if name not in self.values:
            held = ", ".join(self.values) or "nothing"
            raise JobFailed("data", f"{self.where} has no column `{name}` (it has: {held})")
        return self.values[name]

    def text(self, name: str) -> str:
        """Return a column that must be a string which UTF-8 can hold; raises JobFailed otherwise."""
        value = self.column(name)
        if not isinstance(value, str):
            raise JobFailed("data", f"{self.where}: column `{name}` is {kind_of(value)}, not a string")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise JobFailed(
                "data", f"{self.where}: column `{name}` is not valid Unicode ({error})"
            ) from error
        return value


def read_source(
    source: Mapping[str, Any], root: Path, inputs: Mapping[str, Path] = MappingProxyType({})
) -> Iterator[Record]:
    """Yield the rows of a source in order, a few in memory at a time.

    `inputs` are the job's: a source that another job made is one of them. File digests are compared first,
    so that a file which changed after compiling is never read as if it had not. Raises JobFailed("data")
    naming the file and the row at fault.
    """
    if source["kind"] == "python":
        yield from _python_rows(source, root)
        return
    if source["kind"] == "reasoning_gym":
        from exc.runtime.stages.gym import gym_rows

        for number, values in enumerate(gym_rows(source), start=1):
            yield Record(f"`{source['generator']}` row {number}", values)
        return
    if source["kind"] == "job":
        rows = read_jsonl(inputs[source["role"]] / ROWS_FILE)
        for number, values in enumerate(rows, start=1):
            yield Record(f"data `{source['name']}` row {number}", values)
        return
    for entry in source["files"]:
        path = checked_file(entry, root)
        if source["kind"] == "jsonl":
            yield from _jsonl_rows(path)
        elif source["kind"] == "parquet":
            yield from _parquet_rows(path)
        elif source["kind"] == "text":
            yield from _text_rows(path, source.get("split", "file"))
        else:
            raise JobFailed("config", f"data source `{source['name']}` is of unknown kind `{source['kind']}`")


def checked_file(entry: Mapping[str, Any], root: Path) -> Path:
    path = root / str(entry["path"])
    if not path.is_file():
        raise JobFailed("data", f"data file {entry['path']} does not exist in {root}")
    if "sha256" in entry:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != entry["sha256"]:
            raise JobFailed("data", f"data file {entry['path']} changed since the plan was compiled")
    return path


def _jsonl_rows(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path.name} row {number}"
            if not line.strip():
                continue
            try:
                # utf-8-sig only strips the mark that some editors put before the first line.
                values = json.loads(line.rstrip().decode("utf-8-sig" if number == 1 else "utf-8"))
            except json.JSONDecodeError as error:
                raise JobFailed(
                    "data", f"{where} is not JSON: {error.msg} at column {error.colno}"
                ) from error
            except (ValueError, RecursionError) as error:
                raise JobFailed("data", f"{where} cannot be read: {error}") from error
            yield Record(where, _as_object(values, where))


def _parquet_rows(path: Path) -> Iterator[Record]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield Record(f"{path.name} row {number}", values)
    except (pyarrow.ArrowException, OSError) as error:
        raise JobFailed(
            "data", f"{path.name} cannot be read as Parquet after row {number}: {error}"
        ) from error


def _text_rows(path: Path, split: str) -> Iterator[Record]:
    try:
        for number, text in enumerate(_documents(path, split), start=1):
            yield Record(f"{path.name} {split} {number}", {"text": text})
    except UnicodeDecodeError as error:
        raise JobFailed("data", f"{path.name} is not UTF-8: {error}") from error


def _documents(path: Path, split: str) -> Iterator[str]:
    """Yield a text file whole, by lines, or by paragraphs (runs of lines that are not blank)."""
    if split not in ("file", "line", "paragraph"):
        raise JobFailed("config", f"text can be split by file, line or paragraph, not by `{split}`")
    with path.open(encoding="utf-8-sig", newline="" if split == "file" else None) as file:
        if split == "file":
            yield file.read()
            return
        lines: list[str] = []
        for line in file:
            if line.strip():
                lines.append(line.rstrip("\n"))
            if lines and (split == "line" or not line.strip()):
                yield "\n".join(lines)
                lines = []
        if lines:
            yield "\n".join(lines)


def _python_rows(source: Mapping[str, Any], root: Path) -> Iterator[Record]:
    target = str(source["target"])
    function = load_function(target, root, "data")
    number = 0
    try:
        for number, values in enumerate(function(**source.get("args", {})), start=1):
            where = f"{target} row {number}"
            yield Record(where, _as_object(values, where))
    except JobFailed:
        raise
    except FAULTS as error:
        after = f"after row {number}" if number else f"with args {dict(source.get('args', {}))}"
        raise JobFailed("data", f"`{target}` failed {after}: {describe(error, root)}") from error


def _as_object(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise JobFailed("data", f"{where} is {kind_of(values)}, not an object of columns")
    return values


def kind_of(value: Any) -> str:
    """Name the type of a value for a message, as JSON has it where it can."""
    names = {
        type(None): "null",
        str: "a string",
        list: "a list",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), f"a {type(value).__name__}")
