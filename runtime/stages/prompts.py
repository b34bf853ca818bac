"""Rows and the prompts made of them."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.stages.jsonl import read_jsonl

BLANK_LINE = "\n\n"  # between few-shot exemplars, and between the last one and the problem


@dataclass(frozen=True, slots=True)
class Row:
    """One problem: its place in the split, what prompts are made of, the answer, and worked solutions."""

    index: int
    fields: Mapping[str, Any]
    answer: str | None
    demonstrations: tuple[str, ...]


def read_rows(folder: Path) -> list[Row]:
    """Read the artifact of a `rows` job."""
    return [
        Row(row["index"], row["fields"], row["answer"], tuple(row["demonstrations"]))
        for row in read_jsonl(folder / "rows.jsonl")
    ]


def render_prompt(template: str, fields: Mapping[str, Any]) -> str:
    """Fill `{field}` from a row; `{{` and `}}` stand for braces.

    Attributes, indices, conversions and format specs are refused. Raises JobFailed("config") for a
    malformed template and JobFailed("data") for a field that the row lacks or leaves empty (null).
    """
    parts = []
    for literal, name in _parse(template):
        parts.append(literal)
        if name is None:
            continue
        if name not in fields:
            held = ", ".join(fields) or "none"
            raise JobFailed(
                "data", f"the prompt names {{{name}}}, but the row has no such field (it has: {held})"
            )
        if fields[name] is None:
            raise JobFailed("data", f"the prompt names {{{name}}}, but the row's `{name}` is null")
        parts.append(str(fields[name]))
    return "".join(parts)


@lru_cache(maxsize=64)
def _parse(template: str) -> tuple[tuple[str, str | None], ...]:
    parts = []
    try:
        for literal, name, spec, conversion in string.Formatter().parse(template):
            if name is not None and (spec or conversion or not name.isidentifier()):
                raise JobFailed("config", f"prompt template: `{{{name}}}` is not the plain name of a field")
            parts.append((literal, name))
    except ValueError as error:
        raise JobFailed(
            "config", f"prompt template {template!r}: {error}; write {{{{ and }}}} for braces"
        ) from error
    return tuple(parts)


def fewshot_prefix(template: str, pool: Sequence[Row], evaluated: Sequence[Row], k: int, seed: int) -> str:
    """Return what stands before every problem: `k` exemplars and a blank line after each; "" for k = 0.

    An exemplar is its prompt followed by its first demonstration, or by its answer if it has none. The
    pool's rows are ranked by a digest of seed and prompt, so that the choice does not hang on their order;
    a prompt that is itself evaluated, or that came up before, is passed over.
    Raises JobFailed("data") when fewer than `k` are left.
    """
    if k == 0:
        return ""
    barred = {render_prompt(template, row.fields) for row in evaluated}
    exemplars: dict[str, str] = {}
    for row in pool:
        prompt = render_prompt(template, row.fields)
        solution = row.demonstrations[0] if row.demonstrations else row.answer
        if solution is not None and prompt not in barred:
            exemplars.setdefault(prompt, prompt + solution)
    if len(exemplars) < k:
        raise JobFailed(
            "data",
            f"{k} few-shot examples are asked for, but only {len(exemplars)} of the pool's {len(pool)} rows "
            "can serve: different problems, each with a demonstration or an answer, that are not evaluated",
        )
    chosen = sorted(exemplars, key=lambda prompt: hashlib.sha256(f"{seed}\n{prompt}".encode()).digest())[:k]
    return "".join(exemplars[prompt] + BLANK_LINE for prompt in chosen)
