"""Samples judged by a verifier, and the metrics of an evaluation."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.jsonl import read_jsonl, write_jsonl
from exc.runtime.stages.judging import DEFAULT_TIMEOUT_S, load_judge
from exc.runtime.stages.passk import answer_entropy, majority, majority_at_k, pass_at_k
from exc.runtime.stages.prompts import Row, read_rows
from exc.runtime.stages.verifiers import Verdict

Sample = Mapping[str, Any]


def run(ctx: JobContext) -> None:
    """Write scores.jsonl (a line a sample) and problems.jsonl (a line a problem) and publish the metrics.

    Raises JobFailed("data") when samples are missing or doubled, and JobFailed("verifier") when more than
    `max_unverifiable` (a share) of the samples could not be judged.
    """
    num_samples = ctx.config["num_samples"]
    _check_k(ctx.config["k"], num_samples)
    samples = read_samples(ctx.inputs, num_samples)
    rows = {row.index: row for row in read_rows(ctx.inputs["rows"])}
    scores: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    for problem, verdicts in judged(ctx, samples, rows):
        drawn = samples[problem]
        scores += [_score_line(sample, verdict) for sample, verdict in zip(drawn, verdicts, strict=True)]
        problems.append(_problem_line(problem, verdicts, ctx.config["k"]))

    def write(folder: Path) -> None:
        write_jsonl(folder / "scores.jsonl", scores)
        write_jsonl(folder / "problems.jsonl", problems)

    every = [sample for drawn in samples.values() for sample in drawn]
    metrics = _metrics(every, scores, problems, ctx.config["k"], num_samples)
    ctx.publish(write, metrics=metrics, counts=Counts(samples=len(scores)))


def judged(
    ctx: JobContext, samples: Mapping[int, Sequence[Sample]], rows: Mapping[int, Row]
) -> Iterator[tuple[int, list[Verdict]]]:
    """The verdicts on each problem's samples, in order; checks that enough could be judged."""
    total = sum(map(len, samples.values()))
    most = ctx.config.get("max_unverifiable", 0.05)
    timeout_s = ctx.config.get("verifier_timeout", DEFAULT_TIMEOUT_S)
    errors: list[str] = []
    num_timed_out = 0
    with load_judge(ctx.config["verifier"], ctx.root, timeout_s, ctx.should_stop) as judge:
        for number, (problem, drawn) in enumerate(sorted(samples.items()), start=1):
            if problem not in rows:
                raise JobFailed(
                    "data", f"there are samples of problem {problem}, which is not among the rows"
                )
            verdicts = judge.judge([(sample["text"], rows[problem]) for sample in drawn])
            errors += [verdict.error or "" for verdict in verdicts if not verdict.verifiable]
            num_timed_out += sum(verdict.timed_out for verdict in verdicts)
            if num_timed_out > most * total:
                break  # each takes its time, and whatever comes it stays too many
            yield problem, verdicts
            if number % 100 == 0 or number == len(samples):
                ctx.emit("progress", step=number, total=len(samples))
                if ctx.should_stop():
                    raise Stopped
    _check_verifiable(errors, total, most)


def _check_k(ks: Sequence[int], num_samples: int) -> None:
    for k in ks:
        if not 1 <= k <= num_samples:
            raise JobFailed("config", f"pass@{k} cannot be estimated from {num_samples} samples a problem")


def read_samples(inputs: Mapping[str, Path], num_samples: int) -> dict[int, list[Sample]]:
    """Gather the first `num_samples` samples of every problem from the blocks, in order."""
    roles = [role for role in inputs if re.fullmatch(r"samples:\d+", role)]
    found: dict[int, dict[int, Sample]] = defaultdict(dict)
    for role in sorted(roles, key=lambda role: int(role.removeprefix("samples:"))):
        for sample in read_jsonl(inputs[role] / "samples.jsonl"):
            drawn = found[sample["problem"]]
            if sample["sample"] in drawn:
                raise JobFailed(
                    "data", f"sample {sample['sample']} of problem {sample['problem']} is there twice"
                )
            drawn[sample["sample"]] = sample
    if not found:
        raise JobFailed("data", "there are no samples to score")
    wanted = range(num_samples)
    for problem, drawn in found.items():
        missing = [index for index in wanted if index not in drawn]
        if missing:
            raise JobFailed("data", f"problem {problem} lacks {len(missing)} of its {num_samples} samples")
    return {problem: [drawn[index] for index in wanted] for problem, drawn in found.items()}


def _score_line(sample: Sample, verdict: Verdict) -> dict[str, Any]:
    return {
        "problem": sample["problem"],
        "sample": sample["sample"],
        "parsed": verdict.parsed,
        "correct": verdict.correct,
        "verifiable": verdict.verifiable,
    }


def _problem_line(problem: int, verdicts: Sequence[Verdict], ks: Sequence[int]) -> dict[str, Any]:
    answers = [verdict.parsed for verdict in verdicts if verdict.parsed is not None]
    votes = [(verdict.parsed, verdict.correct) for verdict in verdicts]
    return {
        "problem": problem,
        "num_samples": len(verdicts),
        "num_correct": sum(verdict.correct for verdict in verdicts),
        "num_parsed": len(answers),
        "distinct_answers": len(set(answers)),
        "entropy": answer_entropy(answers),
        "majority": majority(votes),
        "majority_at": {str(k): float(majority_at_k(votes, k)) for k in ks if k > 1},
    }


def _check_verifiable(errors: Sequence[str], num_scores: int, most: float) -> None:
    """Raise JobFailed("verifier") when more than the share `most` of the samples could not be judged."""
    if len(errors) > most * num_scores:
        share = len(errors) / num_scores
        raise JobFailed(
            "verifier",
            f"{len(errors)} of {num_scores} samples ({share:.1%}) could not be judged, which is more than "
            f"max_unverifiable = {most:g}; the first: {errors[0]}",
        )


def _metrics(
    samples: Sequence[Sample],
    scores: Sequence[Mapping[str, Any]],
    problems: Sequence[Mapping[str, Any]],
    ks: Sequence[int],
    num_samples: int,
) -> dict[str, float]:
    passes = {f"pass@{k}": fmean(pass_at_k(num_samples, p["num_correct"], k) for p in problems) for k in ks}
    return {
        **passes,
        **{f"maj@{k}": fmean(p["majority_at"][str(k)] for p in problems) for k in ks if k > 1},
        f"maj@{num_samples}": fmean(p["majority"] for p in problems),
        "parse_rate": fmean(score["parsed"] is not None for score in scores),
        "stop_rate": fmean(sample["finish"] == "stop" for sample in samples),
        "truncation_rate": fmean(sample["finish"] == "length" for sample in samples),
        "unverifiable_rate": fmean(not score["verifiable"] for score in scores),
        "distinct": fmean(p["distinct_answers"] for p in problems),
        "entropy": fmean(p["entropy"] for p in problems),
        "mean_tokens": fmean(sample["num_tokens"] for sample in samples),
    }
