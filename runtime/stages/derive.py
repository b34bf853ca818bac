"""Rows of a data source, chosen, grouped and paired: the transforms of the spec in their order."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.jsonl import dump_line
from exc.runtime.stages.sources import ROWS_FILE, Record, kind_of, read_source

RIGHT, WRONG = "demonstrations", "wrong"  # the columns that pairs are made of
CHOSEN, REJECTED = "chosen", "rejected"


@dataclass(slots=True)
class Step:
    """What was done to the rows, in words, and how many it left."""

    name: str
    left: int = 0


def run(ctx: JobContext) -> None:
    """Write rows.jsonl: the rows that are left of the source, as objects of columns.

    Raises JobFailed("data") for a missing column, for a value that cannot be compared, and when nothing is
    left, saying how many rows each step left. All rows are in memory only while they are grouped.
    """
    ctx.work.mkdir(parents=True, exist_ok=True)
    scratch = ctx.work / ROWS_FILE
    steps = [Step("rows")]
    read = _counted(_read(ctx), steps[0])
    with scratch.open("wb") as file:
        for number, record in enumerate(transformed(read, ctx.config, steps), start=1):
            file.write(encode_record(record))
            if number % 1000 == 0:
                ctx.emit("progress", step=number, total=None)
                if ctx.should_stop():
                    raise Stopped
    rows_out = steps[-1].left
    if rows_out == 0:
        raise JobFailed("data", f"nothing is left of the data `{ctx.config['data']}` ({_counts(steps)})")
    ctx.emit("progress", step=rows_out, total=rows_out)

    def write(folder: Path) -> None:
        shutil.move(scratch, folder / ROWS_FILE)

    metrics = {"rows_in": steps[0].left, "rows_out": rows_out}
    if ctx.config["pairs"] is not None:
        before, paired = (step.left for step in steps[-3:-1])
        metrics["rows_without_pairs"] = before - paired
    ctx.publish(write, metrics=metrics, counts=Counts(samples=rows_out))


def _read(ctx: JobContext) -> Iterator[Record]:
    """The rows of the source, however few of them are left, until the job is to stop."""
    for number, record in enumerate(read_source(ctx.config["source"], ctx.root, ctx.inputs), start=1):
        if number % 1000 == 0 and ctx.should_stop():
            raise Stopped
        yield record


def transformed(records: Iterator[Record], config: Mapping[str, Any], steps: list[Step]) -> Iterator[Record]:
    """The rows that the transforms of a config leave; how many each left is added to `steps`."""

    def step(name: str, left: Iterable[Record]) -> Iterator[Record]:
        steps.append(Step(name))
        return _counted(left, steps[-1])

    for column, condition in config["where"].items():
        records = step(f"where {column}", _where(records, column, condition))
    if config["group_by"] is not None:
        records = step(f"group_by {config['group_by']}", _groups(records, config["group_by"]))
    if config["drop"]:
        records = step(f"drop {config['drop']:,}", islice(records, config["drop"], None))
    if config["take"] is not None:
        records = step(f"take {config['take']:,}", islice(records, config["take"]))
    if config["pairs"] is not None:
        records = step("with right and wrong ones", _with_both(records))
        records = step("pairs", _pairs(records, config["pairs"]["per_problem"]))
    return records


def _counted(records: Iterable[Record], step: Step) -> Iterator[Record]:
    for record in records:
        step.left += 1
        yield record


def _counts(steps: Iterable[Step]) -> str:
    """How many rows each step left, up to the first that left none: `1,319 rows; where level: 0`."""
    read, *later = steps
    parts = [f"{read.left:,} {'row' if read.left == 1 else 'rows'}"]
    for step in later if read.left else ():
        parts.append(f"{step.name}: {step.left:,}")
        if step.left == 0:
            break
    return "; ".join(parts)


def _where(records: Iterable[Record], column: str, condition: Mapping[str, Any]) -> Iterator[Record]:
    wanted = None if condition.get("is") is None else {_key(value) for value in condition["is"]}
    unwanted = {_key(value) for value in condition.get("not") or ()}
    least, most = condition.get("min"), condition.get("max")
    for record in records:
        value = record.column(column)
        if _is_among(value, wanted, unwanted) and _is_between(record, column, least, most):
            yield record


def _is_among(value: Any, wanted: Collection[Any] | None, unwanted: Collection[Any]) -> bool:
    key = _key(value)
    return (wanted is None or key in wanted) and key not in unwanted


def _is_between(record: Record, column: str, least: float | None, most: float | None) -> bool:
    if least is None and most is None:
        return True
    value = record.values[column]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JobFailed(
            "data",
            f"{record.where}: column `{column}` is {kind_of(value)}, not a number, "
            "so `min` and `max` cannot be applied",
        )
    return (least is None or value >= least) and (most is None or value <= most)


def _key(value: Any) -> tuple[str, Any]:
    """What tells values apart: 1 is 1.0, but neither "1" nor true."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "json", json.dumps(value, sort_keys=True, default=str)
    return "text" if isinstance(value, str) else "number", value


def _groups(records: Iterable[Record], column: str) -> Iterator[Record]:
    """One row for each value of a column, in the order in which they first appear.

    Every other column is a list, null for the rows that lack it, so that the lists of a row go together.
    """
    groups: dict[tuple[str, Any], list[Record]] = {}
    columns: dict[str, None] = {}
    for record in records:
        groups.setdefault(_key(record.column(column)), []).append(record)
        columns.update(dict.fromkeys(record.values))
    for group in groups.values():
        lists = {name: [record.values.get(name) for record in group] for name in columns}
        yield Record(group[0].where, {**lists, column: group[0].values[column]})


def _with_both(records: Iterable[Record]) -> Iterator[Record]:
    return (record for record in records if _texts(record, RIGHT) and _texts(record, WRONG))


def _pairs(records: Iterable[Record], most: int) -> Iterator[Record]:
    for record in records:
        for name in (CHOSEN, REJECTED):
            if name in record.values:
                raise JobFailed("data", f"{record.where} has a column `{name}` already")
        rest = {name: value for name, value in record.values.items() if name not in (RIGHT, WRONG)}
        pairs = zip(_texts(record, RIGHT), _texts(record, WRONG), strict=False)
        for chosen, rejected in islice(pairs, most):
            yield Record(record.where, {**rest, CHOSEN: chosen, REJECTED: rejected})


def _texts(record: Record, column: str) -> list[str]:
    """The distinct texts of a column, in order; none where it is null."""
    value = record.column(column)
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise JobFailed("data", f"{record.where}: column `{column}` is no list of strings to pair")
    return list(dict.fromkeys(value))


def encode_record(record: Record) -> bytes:
    try:
        return dump_line(record.values)
    except (TypeError, ValueError) as error:
        raise JobFailed("data", f"{record.where} cannot be kept as JSON: {error}") from error
