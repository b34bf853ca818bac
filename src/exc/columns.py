"""Whether data has the columns that are read from it, as far as the first row of each source tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exc.compiler.facts import Facts
from exc.compiler.rows import DEMONSTRATIONS, FEWSHOT, prompt_fields
from exc.spec.data import Data, Split, Task
from exc.spec.diagnostics import Diagnostics, did_you_mean, one_of
from exc.spec.experiment import Experiment
from exc.spec.experiment import Path as SpecPath

_TEXT = "text"  # the column that pre-training reads
_MOST_BYTES = 1 << 20  # of a first row


def check_columns(draft: Experiment, root: Path, facts: Facts, diagnostics: Diagnostics) -> None:
    """Report columns that are read and that a source's first row lacks: its job would fail at that row.

    What a Python callable yields, and what Parquet files hold, is not looked at.
    """
    firsts: dict[str, _First | None] = {}
    for read in dict.fromkeys(_reads(draft)):
        data = draft.spec.data.get(read.source)
        if data is None:
            continue
        if read.source not in firsts:
            firsts[read.source] = _first_row(read.source, data, root, facts)
        first = firsts[read.source]
        if first is None or read.column in first.columns:
            continue
        hint = did_you_mean(read.column, [*read.fields, *first.columns])
        if hint is None and read.mapped_in:
            hint = f"name the one that is meant: `columns: {{{read.column}: COLUMN}}` in `{read.mapped_in}`"
        message = f"`{first.name}` has no column `{read.column}`{read.why}"
        span = draft.span(*read.path, key=read.at_key)
        diagnostics.error("missing-column", message, span, expected=one_of(first.columns), hint=hint)


@dataclass(frozen=True, slots=True)
class _First:
    name: str  # of the file, or of the source
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """A column that is read, and where the spec says so."""

    source: str
    column: str
    path: SpecPath
    why: str = ""
    at_key: bool = False
    mapped_in: str = ""  # the split whose `columns` could name another
    fields: tuple[str, ...] = ()  # what that split maps already


def _reads(draft: Experiment) -> Iterator[_Read]:
    spec = draft.spec
    for task, split, wants in _splits(draft):
        yield from _split_reads(spec.tasks[task], task, split, wants)
    for name, trunk in spec.trunks.items():
        for source in trunk.pretrain.data:
            weight: SpecPath = ("trunks", name, "pretrain", "data", source)
            yield _Read(source, _TEXT, weight, ", which pre-training reads", at_key=True)
    for name, evaluation in spec.evaluations.items():
        if evaluation.bits_per_byte is not None:
            body = evaluation.bits_per_byte
            said = "text" if "text" in body.model_fields_set else "data"
            yield _Read(body.data, body.text, ("evaluations", name, "bits_per_byte", said))


def _splits(draft: Experiment) -> Iterator[tuple[str, str, bool]]:
    """The splits that something reads; whether their demonstrations are wanted."""
    spec, found = draft.spec, dict[tuple[str, str], bool]()
    for stages in spec.recipes.values():
        for stage in stages:
            for body in (stage.sft, stage.grpo):
                if body is not None:
                    key = (body.task, body.split)
                    found[key] = found.get(key, False) or body is stage.sft
    for evaluation in spec.evaluations.values():
        if (asked := evaluation.pass_at_k) is not None:
            found.setdefault((asked.task, asked.split), False)
            if asked.num_fewshot.base or asked.num_fewshot.trained:
                found.setdefault((asked.task, FEWSHOT), False)
    for (task, split), wants in found.items():
        known = spec.tasks.get(task)
        if known is not None and (split in known.splits or (split == FEWSHOT and known.fewshot is not None)):
            yield task, split, wants


def _split_reads(task: Task, name: str, split_name: str, wants: bool) -> Iterator[_Read]:
    pool = split_name == FEWSHOT and split_name not in task.splits
    split = task.fewshot if pool else task.splits[split_name]
    assert isinstance(split, Split)
    path: SpecPath = ("tasks", name, FEWSHOT) if pool else ("tasks", name, "splits", split_name)
    for field, column in split.columns.items():
        yield _Read(split.data, column.column, (*path, "columns", field, "column"))
    fields = dict.fromkeys(_fields(task.prompt), ("tasks", name, "prompt"))
    for field, where in {"answer": (*path, "data"), **fields}.items():
        if field not in split.columns:
            why = ", which the prompt reads" if field in fields else ", which holds the answers"
            known = tuple(split.columns)
            yield _Read(split.data, field, where, why, mapped_in=f"{name}.{split_name}", fields=known)
    if wants and DEMONSTRATIONS not in split.columns:
        why = ", which sft trains on"
        yield _Read(split.data, DEMONSTRATIONS, (*path, "data"), why, mapped_in=f"{name}.{split_name}")


def _fields(prompt: str) -> list[str]:
    """What a prompt reads; nothing of one whose braces are at fault, which is reported."""
    try:
        names = prompt_fields(prompt)
    except ValueError:
        return []
    return names if all(name.isidentifier() for name in names) else []


def _first_row(source: str, data: Data, root: Path, facts: Facts) -> _First | None:
    """What the first row of a source holds, or None where that is not known."""
    if data.text is not None:
        return _First(source, (_TEXT,))
    if data.jsonl is None:
        return None
    files = [fact.path for pattern in data.jsonl for fact in facts.files.get(pattern, ())]
    if not files:
        return None
    try:
        with (root / files[0]).open("rb") as file:
            line = next((line for line in iter(lambda: file.readline(_MOST_BYTES), b"") if line.strip()), b"")
        row = json.loads(line.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None  # the job that reads it names the row
    return _First(files[0], tuple(row)) if isinstance(row, dict) else None
