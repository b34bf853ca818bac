"""Samples of a model judged by the task's verifier, as rows of data: one for each problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.jsonl import write_jsonl
from exc.runtime.stages.prompts import Row, read_rows
from exc.runtime.stages.score import judged, read_samples
from exc.runtime.stages.sources import ROWS_FILE
from exc.runtime.stages.verifiers import Verdict


def run(ctx: JobContext) -> None:
    """Write rows.jsonl: each problem's fields, how many samples are right, and the texts of distinct ones.

    `demonstrations` holds the right completions in the order drawn, `wrong` the wrong ones; what could not be
    judged is in neither. Raises JobFailed("verifier") when that is more than `max_unverifiable` (a share),
    and JobFailed("data") when samples are missing or doubled.
    """
    samples = read_samples(ctx.inputs, ctx.config["num_samples"])
    rows = {row.index: row for row in read_rows(ctx.inputs["rows"])}
    rated: list[dict[str, Any]] = []
    verdicts: list[Verdict] = []
    for problem, found in judged(ctx, samples, rows):
        rated.append(_rated(rows[problem], samples[problem], found))
        verdicts += found

    def write(folder: Path) -> None:
        write_jsonl(folder / ROWS_FILE, rated)

    ctx.publish(write, metrics=_metrics(rows, rated, verdicts), counts=Counts(samples=len(verdicts)))


def _rated(row: Row, drawn: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    num_correct = sum(verdict.correct for verdict in verdicts)
    own = {
        "num_samples": len(verdicts),
        "num_correct": num_correct,
        "share_correct": num_correct / len(verdicts),
        "demonstrations": _texts(drawn, verdicts, correct=True),
        "wrong": _texts(drawn, verdicts, correct=False),
    }
    if taken := own.keys() & row.fields.keys():
        name = min(taken)
        raise JobFailed("config", f"the task has a field `{name}`, which rated rows have of their own")
    return {**row.fields, **own}


def _texts(drawn: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict], *, correct: bool) -> list[str]:
    """The distinct completions that are right, or wrong, in the order drawn."""

    def chosen() -> Iterator[str]:
        for sample, verdict in zip(drawn, verdicts, strict=True):
            if verdict.verifiable and verdict.correct is correct:
                yield sample["text"]

    return list(dict.fromkeys(chosen()))


def _metrics(
    rows: Mapping[int, Row], rated: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict]
) -> dict[str, float]:
    return {
        "rows_in": len(rows),
        "rows_out": len(rated),
        "share_correct": fmean(row["share_correct"] for row in rated),
        "parse_rate": fmean(verdict.parsed is not None for verdict in verdicts),
        "unverifiable_rate": fmean(not verdict.verifiable for verdict in verdicts),
        "rows_with_right": sum(bool(row["demonstrations"]) for row in rated),
        "rows_with_both": sum(bool(row["demonstrations"] and row["wrong"]) for row in rated),
    }
