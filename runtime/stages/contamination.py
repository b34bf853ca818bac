"""Looks for the problems of an evaluation in training data, row by row, in memory that does not grow."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.jsonl import write_jsonl
from exc.runtime.stages.prompts import read_rows
from exc.runtime.stages.sources import Record, read_source

# Words, numbers, and the signs without which two sums are one; all other punctuation is passed over. No sign
# is what is doubled (`**so**`, `--`), nor a hyphen, a stroke or a star before a word: `well-known`, `- item`,
# `*so*`. In scripts that put no spaces between words, a character is a word.
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SIGN = (
    r"[+<>^%]|=(?<!==)(?!=)"
    r"|(?:-(?<!--)(?!-)|/(?<!//)(?!/)|\*(?<!\*\*)(?<![^\W\d_]{2}\*)(?!\*))(?!\s*[^\W\d_]{2})"
)
_WORD = re.compile(rf"[^\W_]+|{_SIGN}", re.ASCII)
_WORD_WIDE = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+|{_SIGN}")
# What looks like a sign is one, and what has no width is not there.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **dict.fromkeys("\u00d7\u22c5\u2217", "*"),
        **dict.fromkeys("\u00f7\u2044\u2215", "/"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff"),
    }
)
_LOOK = 1000  # rows between looks at the clock
_SHOWN = 200  # characters of a problem in found.jsonl

Words = tuple[str, ...]


def words_of(text: str) -> list[str]:
    """The words of a text without case, in one form however they are set: what is compared."""
    if text.isascii():
        return _WORD.findall(text.lower())
    return _WORD_WIDE.findall(unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN))


@dataclass
class Found:
    """Where one problem was found: whether it stands there whole, in how many rows, and first in which."""

    whole: bool
    num_rows: int
    where: str  # of the first row that has it whole, else of the first that has a part
    matched: str  # the words in common

    def to_json(self) -> dict[str, Any]:
        return {"whole": self.whole, "num_rows": self.num_rows, "where": self.where, "matched": self.matched}


@dataclass
class Problems:
    """The problems by the runs of words that give them away: `ngram` words, or a whole short problem."""

    ngram: int
    words: dict[int, Words] = field(default_factory=dict)
    runs: dict[int, dict[Words, list[tuple[int, int]]]] = field(
        default_factory=dict
    )  # length -> run -> places

    def add(self, index: int, words: Words) -> None:
        self.words[index] = words
        length = min(self.ngram, len(words))
        by_run = self.runs.setdefault(length, {})
        for start in range(len(words) - length + 1):
            by_run.setdefault(words[start : start + length], []).append((index, start))

    def hits(self, words: Sequence[str]) -> dict[int, tuple[bool, Words]]:
        """The problems that share a run with a text: whether it stands there whole, and the run."""
        found: dict[int, tuple[bool, Words]] = {}
        for length, by_run in self.runs.items():
            for at in range(len(words) - length + 1):
                run = tuple(words[at : at + length])
                for index, start in by_run.get(run, ()):
                    if found.get(index, (False,))[0]:
                        continue
                    problem, begin = self.words[index], at - start
                    whole = begin >= 0 and tuple(words[begin : begin + len(problem)]) == problem
                    if whole or index not in found:
                        found[index] = (whole, run)
        return found


def run(ctx: JobContext) -> None:
    """Write found.jsonl: a line for each problem that stands in the data, with an example of a row.

    A problem is found where `ngram` of its words in a row stand in a text of a row; one that has fewer words,
    where all of them do. It is whole where all of its words stand there. A job that was stopped goes on
    behind the last rows that it had written down. Raises JobFailed("data") when no problem has a word.
    """
    config = ctx.config
    problems, texts = _problems(ctx)
    state = _State.resume(ctx)
    began = time.monotonic()
    for number, record in enumerate(read_source(config["source"], ctx.root, ctx.inputs), start=1):
        if number <= state.num_rows:
            continue
        state.take(record, problems)
        if number % _LOOK == 0:
            stops = ctx.should_stop()
            if stops or time.monotonic() - began > ctx.save_interval_s:
                state.save()
                began = time.monotonic()
            if stops:
                raise Stopped
            ctx.emit("progress", step=number)

    def write(folder: Path) -> None:
        write_jsonl(folder / "found.jsonl", _lines(state, texts))

    ctx.publish(write, metrics=_metrics(state, problems), counts=Counts(samples=state.num_rows))
    state.path.unlink(missing_ok=True)


def _problems(ctx: JobContext) -> tuple[Problems, dict[int, str]]:
    problems, texts = Problems(ctx.config["ngram"]), dict[int, str]()
    for row in read_rows(ctx.inputs["rows"])[: ctx.config["limit"]]:
        missing = [name for name in ctx.config["fields"] if name not in row.fields]
        if missing:
            raise JobFailed(
                "config", f"the task's rows have no field `{missing[0]}` (they have: {_named(row.fields)})"
            )
        text = " ".join(t for name in ctx.config["fields"] for t in strings(row.fields[name]))
        words = tuple(words_of(text))
        if words:
            problems.add(row.index, words)
            texts[row.index] = text
    if not texts:
        raise JobFailed("data", "no problem has a word that could be looked for")
    return problems, texts


def _named(fields: Mapping[str, Any]) -> str:
    return ", ".join(fields) or "none"


def strings(value: Any) -> Iterator[str]:
    """Every text in a value, lists and maps searched through; numbers stand for themselves."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


@dataclass
class _State:
    """What was found so far, and in how many rows it was looked for."""

    path: Path
    stamp: str
    num_rows: int = 0
    rows_with: int = 0
    found: dict[int, Found] = field(default_factory=dict)

    @classmethod
    def resume(cls, ctx: JobContext) -> _State:
        ctx.work.mkdir(parents=True, exist_ok=True)
        path, stamp = ctx.work / "found.json", json.dumps(dict(ctx.config), sort_keys=True)
        try:
            data = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return cls(path, stamp)
        if data.get("stamp") != stamp:
            return cls(path, stamp)
        found = {int(index): Found(**values) for index, values in data["found"].items()}
        return cls(path, stamp, data["num_rows"], data["rows_with"], found)

    def take(self, record: Record, problems: Problems) -> None:
        hits: dict[int, tuple[bool, Words]] = {}
        for text in strings(record.values):
            for index, (whole, run) in problems.hits(words_of(text)).items():
                if whole or index not in hits:
                    hits[index] = (whole, run)
        self.num_rows += 1
        self.rows_with += bool(hits)
        for index, (whole, run) in hits.items():
            before = self.found.get(index)
            if before is None or (whole and not before.whole):
                num = 0 if before is None else before.num_rows
                self.found[index] = Found(whole, num + 1, record.where, " ".join(run))
            else:
                before.num_rows += 1

    def save(self) -> None:
        data = {
            "stamp": self.stamp,
            "num_rows": self.num_rows,
            "rows_with": self.rows_with,
            "found": {str(index): found.to_json() for index, found in self.found.items()},
        }
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(data), "utf-8")
        part.replace(self.path)


def _lines(state: _State, texts: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    for index, found in sorted(state.found.items()):
        yield {"problem": index, **found.to_json(), "text": texts[index][:_SHOWN]}


def _metrics(state: _State, problems: Problems) -> dict[str, float]:
    return {
        "problems": len(problems.words),
        "found": len(state.found),
        "found_whole": sum(found.whole for found in state.found.values()),
        "share_found": len(state.found) / len(problems.words),
        "rows": state.num_rows,
        "rows_with": state.rows_with,
    }
