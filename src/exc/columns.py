"""Whether data has the columns that are read from it, as far as the first row of each source tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exc.compiler.facts import Facts
from exc.compiler.rows import DEMONSTRATIONS, FEWSHOT, LABELLED, METADATA, PAIR, prompt_fields
from exc.known_columns import TEXT, WRONG, KnownColumns
from exc.spec.data import Data, Split, Task
from exc.spec.diagnostics import Diagnostics, did_you_mean, one_of
from exc.spec.experiment import Experiment, Spec
from exc.spec.experiment import Path as SpecPath
from exc.spec.paired import SftSide
from exc.spec.recipes import Dpo, Kto, Sft, sides


def check_columns(draft: Experiment, root: Path, facts: Facts, diagnostics: Diagnostics) -> None:
    """Report first rows that are none, and columns that are read and that a source's first row lacks.

    A job would fail there.

    What a Python callable yields, and what Parquet files hold, is not looked at.
    """
    known = KnownColumns(draft.spec, root, facts)
    for name, data in draft.spec.data.items():
        if (fault := known.fault(data)) is not None:
            hint = "JSON Lines has one row a line: `{...}`" if data.jsonl is not None else None
            diagnostics.error("bad-value", fault, draft.span("data", name, data.kind, 0), hint=hint)
    for read in dict.fromkeys(_reads(draft)):
        first = known.before(read.source) if read.is_own else known.after(read.source)
        if first is None or read.column in first.columns:
            continue
        hint = did_you_mean(read.column, [*read.fields, *first.columns])
        if hint is None and read.mapped_in:
            hint = f"name the one that is meant: `columns: {{{read.column}: COLUMN}}` in `{read.mapped_in}`"
        message = f"`{first.name}` has no column `{read.column}`{read.why}"
        span = draft.span(*read.path, key=read.at_key)
        diagnostics.error("missing-column", message, span, expected=one_of(first.columns), hint=hint)


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
    is_own: bool = False  # whether the source's own transforms read it


def _reads(draft: Experiment) -> Iterator[_Read]:
    spec = draft.spec
    for name, data in spec.data.items():
        yield from _transform_reads(name, data)
    for task, split, wants in _splits(draft):
        yield from _split_reads(spec.tasks[task], task, split, wants)
    yield from _judged_reads(spec)
    for name, trunk in spec.trunks.items():
        for source in trunk.pretrain.data if trunk.pretrain is not None else ():
            weight: SpecPath = ("trunks", name, "pretrain", "data", source)
            yield _Read(source, TEXT, weight, ", which pre-training reads", at_key=True)
    for name, evaluation in spec.evaluations.items():
        if evaluation.bits_per_byte is not None:
            body = evaluation.bits_per_byte
            said = "text" if "text" in body.model_fields_set else "data"
            yield _Read(body.data, body.text, ("evaluations", name, "bits_per_byte", said))


def _transform_reads(name: str, data: Data) -> Iterator[_Read]:
    """What a source's transforms read of the rows that it is made from."""
    for column in data.where:
        yield _Read(name, column, ("data", name, "where", column), at_key=True, is_own=True)
    if data.group_by is not None:
        yield _Read(name, data.group_by, ("data", name, "group_by"), is_own=True)
    for column in (DEMONSTRATIONS, WRONG) if data.pairs is not None else ():
        why = ", which pairs are made of"
        yield _Read(name, column, ("data", name, "pairs"), why, at_key=True, is_own=True)


def _splits(draft: Experiment) -> Iterator[tuple[str, str, bool]]:
    """The splits that something reads; whether their demonstrations are wanted."""
    spec, found = draft.spec, dict[tuple[str, str], bool]()
    for stages in spec.recipes.values():
        for stage in stages:
            for side in sides(stage.body).values():
                if not isinstance(side, Dpo | Kto):
                    key = (side.task, side.split)
                    found[key] = found.get(key, False) or isinstance(side, Sft | SftSide)
    for evaluation in spec.evaluations.values():
        if (asked := evaluation.pass_at_k) is not None:
            found.setdefault((asked.task, asked.split), False)
            if asked.num_fewshot.base or asked.num_fewshot.trained:
                found.setdefault((asked.task, FEWSHOT), False)
    for data in spec.data.values():
        if (drawn := data.samples) is not None:
            found.setdefault((drawn.task, drawn.split), False)
            if drawn.num_fewshot.base or drawn.num_fewshot.trained:
                found.setdefault((drawn.task, FEWSHOT), False)
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
    scored = {METADATA: (*path, "data")} if task.verifier == "reasoning_gym" else {}
    for field, where in {"answer": (*path, "data"), **scored, **fields}.items():
        if field not in split.columns:
            why = ", which holds the answers" if field == "answer" else ", by which reasoning-gym scores"
            why = ", which the prompt reads" if field in fields else why
            known = tuple(split.columns)
            yield _Read(split.data, field, where, why, mapped_in=f"{name}.{split_name}", fields=known)
    if wants and DEMONSTRATIONS not in split.columns:
        why = ", which sft trains on"
        yield _Read(split.data, DEMONSTRATIONS, (*path, "data"), why, mapped_in=f"{name}.{split_name}")


def _judged_reads(spec: Spec) -> Iterator[_Read]:
    """What dpo and kto read: the prompt's fields, and completions that were judged."""
    for body, columns, why in _on_judged(spec):
        task = spec.tasks.get(body.task)
        split = task.splits.get(body.split) if task is not None else None
        if task is None or split is None:
            continue
        path: SpecPath = ("tasks", body.task, "splits", body.split, "data")
        whys = dict.fromkeys(_fields(task.prompt), ", which the prompt reads")
        for field, reason in {**whys, **dict.fromkeys(columns, f", which {why} trains on")}.items():
            if field not in split.columns:
                mapped = f"{body.task}.{body.split}"
                yield _Read(split.data, field, path, reason, mapped_in=mapped, fields=tuple(split.columns))


def _on_judged(spec: Spec) -> Iterator[tuple[Dpo | Kto, tuple[str, ...], str]]:
    """Stages on judged completions, with their columns and their kind."""
    for stages in spec.recipes.values():
        for stage in stages:
            if stage.dpo is not None:
                yield stage.dpo, PAIR, "dpo"
            elif stage.kto is not None:
                yield stage.kto, PAIR if stage.kto.unpair else LABELLED, "kto"


def _fields(prompt: str) -> list[str]:
    """What a prompt reads; nothing of one whose braces are at fault, which is reported."""
    try:
        names = prompt_fields(prompt)
    except ValueError:
        return []
    return names if all(name.isidentifier() for name in names) else []
