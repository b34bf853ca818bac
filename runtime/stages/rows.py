"""The rows of a task's split: chosen columns of a data source, one JSON object a line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.jsonl import dump_line
from exc.runtime.stages.sources import Record, kind_of, read_source

DEMONSTRATIONS = "demonstrations"


def run(ctx: JobContext) -> None:
    """Write rows.jsonl: {"index", "fields", "answer", "demonstrations"} for each row of the source.

    Raises JobFailed("data") for a missing column, a pattern that does not match, or no rows at all.
    """
    ctx.work.mkdir(parents=True, exist_ok=True)
    scratch = ctx.work / "rows.jsonl"
    count = 0
    with scratch.open("wb") as file:
        for record, row in _rows(ctx):
            file.write(_encode(record, row))
            count += 1
            if count % 1000 == 0 and ctx.should_stop():
                raise Stopped
    if count == 0:
        raise JobFailed("data", f"data `{ctx.config['source']['name']}` has no rows")
    ctx.emit("progress", step=count, total=count)

    def write(folder: Path) -> None:
        shutil.move(scratch, folder / "rows.jsonl")

    ctx.publish(write, metrics={"num_rows": count}, counts=Counts(samples=count))


def _rows(ctx: JobContext) -> Iterator[tuple[Record, dict[str, Any]]]:
    config, group = ctx.config, ctx.config["source"].get("grouped_by")
    columns = {field: _Column(field, spec, group) for field, spec in config["columns"].items()}
    records = islice(read_source(config["source"], ctx.root, ctx.inputs), config.get("limit"))
    for index, record in enumerate(records):
        values = {field: column.read(record) for field, column in columns.items()}
        demonstrations = values.pop(DEMONSTRATIONS, [])
        answer = values.get("answer")
        yield (
            record,
            {
                "index": index,
                "fields": values,
                "answer": None if answer is None else str(answer),
                "demonstrations": demonstrations,
            },
        )


class _Column:
    """One field of a row: which column it is read from, and the pattern that picks its part of it.

    In grouped rows every column but the one they are grouped by is a list: of it a field takes the first, and
    `demonstrations` all.
    """

    def __init__(self, field: str, spec: Mapping[str, Any], group: str | None) -> None:
        self.field = field
        self.is_list = group is not None and spec["column"] != group
        self.column: str = spec["column"]
        pattern = spec.get("regex")
        try:
            self.pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise JobFailed("config", f"column `{field}`: regex {pattern!r}: {error}") from error
        if self.pattern is not None and self.pattern.groups == 0:
            raise JobFailed("config", f"column `{field}`: regex {pattern!r} has no group to take")

    def read(self, record: Record) -> Any:
        value = record.column(self.column)
        if self.field != DEMONSTRATIONS:
            return self._pick(record, value[0] if self.is_list else value)
        if value is None:
            return []
        texts = list(value) if isinstance(value, (list, tuple)) else [value]
        if self.is_list:  # each row of the group may have had several
            texts = [text for item in texts for text in (item if isinstance(item, list) else [item])]
        return [self._demonstration(record, text) for text in texts]

    def _demonstration(self, record: Record, value: Any) -> str:
        text = self._pick(record, value)
        if not isinstance(text, str):
            what = kind_of(value)
            raise JobFailed(
                "data", f"{record.where}: a demonstration in `{self.column}` is {what}, not a string"
            )
        return text

    def _pick(self, record: Record, value: Any) -> Any:
        if self.pattern is None:
            return value
        found = self.pattern.search(str(value))
        if found is None or found.group(1) is None:
            shown = str(value) if len(str(value)) <= 60 else "..." + str(value)[-57:]
            raise JobFailed(
                "data",
                f"{record.where}: column `{self.column}` does not match {self.pattern.pattern!r} "
                f"(it holds {shown!r})",
            )
        return found.group(1)


def _encode(record: Record, row: Mapping[str, Any]) -> bytes:
    try:
        return dump_line(row)
    except (TypeError, ValueError) as error:
        raise JobFailed("data", f"{record.where} cannot be kept as JSON: {error}") from error
