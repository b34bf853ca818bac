"""Whether a folder made elsewhere is what a job must leave: told before anything is written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job
from exc.runtime.adopt_harness import counted_metrics
from exc.runtime.files import digest_file
from exc.runtime.stages.passk import pass_at_k
from exc.runtime.store import Store
from exc.spec.paired import PAIRED_KINDS

_CLOSE = 1e-6  # a recorded metric may differ from its counts by what rounding leaves


class AdoptError(Exception):
    """Why something cannot be adopted; the message says what was found, and what to do."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is to be copied into the artifact, by its name there, and the metrics to record."""

    files: Mapping[str, Path]  # name in the artifact -> folder or file
    metrics: Mapping[str, float]


def look(job: Job, folder: Path, store: Store, metrics: Mapping[str, Any]) -> Offer:
    """Examine a folder for a job. `metrics` are those that came with it. Raises AdoptError."""
    check = _CHECKS.get(job.kind)
    if check is None:
        raise AdoptError(
            f"{job.id} is a `{job.kind}` job: what it leaves is soon made here from what it reads. Models "
            f"({', '.join(k for k in _CHECKS if k not in _MEASURES)}) and measurements "
            f"({', '.join(_MEASURES)}) can be adopted"
        )
    return check(job, folder, store, checked_metrics(metrics))


def checked_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Raises AdoptError unless every metric has a name and a finite number."""
    for name, value in metrics.items():
        if not name or isinstance(value, bool) or not isinstance(value, int | float):
            raise AdoptError(f"the metric {name!r} is {value!r}, not a number")
        if not math.isfinite(value):
            raise AdoptError(f"the metric {name} is {value}, not a finite number")
    return dict(metrics)


def _model(job: Job, folder: Path, store: Store, metrics: Mapping[str, float]) -> Offer:
    from exc.runtime.adopt_models import check_model, check_state

    model = folder / "model" if (folder / "model").is_dir() else folder
    check_model(job, model, store)
    files = {"model": model}
    if model != folder and (folder / "state").is_dir():
        check_state(folder / "state")
        files["state"] = folder / "state"
    if model != folder and (folder / "adapter").is_dir():
        files["adapter"] = folder / "adapter"
    return Offer(files, metrics)


def _fetched(job: Job, folder: Path, store: Store, metrics: Mapping[str, float]) -> Offer:
    """A published model that was brought here in another way: every file is the one that was planned."""
    if "part" in job.config.get("hub", ()):
        raise AdoptError(f"{job.id} fetches data, and only models can be adopted in place of a `fetch` job")
    offer = _model(job, folder, store, metrics)
    planned = job.config["hub"]["files"] if "hub" in job.config else job.config["files"]
    for file in planned:
        path = offer.files["model"] / (file["name"] if "name" in file else Path(file["path"]).name)
        there = path.is_file() and path.stat().st_size == file["bytes"]
        if not there or (file["sha256"] and digest_file(path) != file["sha256"]):
            raise AdoptError(f"{path} is not there, or not the file that {job.id} would fetch")
    return offer


def _samples(job: Job, folder: Path, store: Store, metrics: Mapping[str, float]) -> Offer:
    path = _file(folder, "samples.jsonl")
    size, first = job.config["block_size"], job.config["block"] * job.config["block_size"]
    wanted = set(range(first, first + size))
    drawn: dict[int, set[int]] = {}
    lines = list(_lines(path, {"problem": int, "sample": int, "text": str, "finish": str, "num_tokens": int}))
    for number, line in enumerate(lines, start=1):
        mine = drawn.setdefault(line["problem"], set())
        if line["sample"] in mine:
            raise AdoptError(f"{path}:{number}: sample {line['sample']} of problem {line['problem']} twice")
        if line["finish"] not in ("stop", "length"):
            raise AdoptError(f"{path}:{number}: finish is {line['finish']!r}, neither `stop` nor `length`")
        mine.add(line["sample"])
    _all_problems(job, store, set(drawn), path, job.config["limit"])
    for problem, mine in sorted(drawn.items()):
        if mine != wanted:
            raise AdoptError(
                f"{path}: problem {problem} has {len(mine & wanted)} of its samples {first} to "
                f"{first + size - 1}" + (", and others" if mine - wanted else "")
            )
    found = {
        "stop_rate": sum(line["finish"] == "stop" for line in lines) / len(lines),
        "mean_tokens": sum(line["num_tokens"] for line in lines) / len(lines),
    }
    return Offer({"samples.jsonl": path}, {**metrics, **found})


def _scores(job: Job, folder: Path, store: Store, metrics: Mapping[str, float]) -> Offer:
    problems_path, scores_path = _file(folder, "problems.jsonl"), _file(folder, "scores.jsonl")
    num_samples = job.config["num_samples"]
    problems = list(_lines(problems_path, {"problem": int, "num_samples": int, "num_correct": int}))
    right: dict[int, int] = {}
    drawn: dict[int, set[int]] = {}
    for line in _lines(scores_path, {"problem": int, "sample": int, "correct": bool, "verifiable": bool}):
        right[line["problem"]] = right.get(line["problem"], 0) + line["correct"]
        drawn.setdefault(line["problem"], set()).add(line["sample"])
    for number, line in enumerate(problems, start=1):
        where, problem = f"{problems_path}:{number}", line["problem"]
        if line["num_samples"] != num_samples or len(drawn.get(problem, ())) != num_samples:
            raise AdoptError(f"{where}: problem {problem} is not scored on {num_samples} samples, as planned")
        if line["num_correct"] != right[problem]:
            raise AdoptError(
                f"{where}: num_correct is {line['num_correct']}; scores.jsonl has {right[problem]}"
            )
    named = {line["problem"] for line in problems}
    if len(named) != len(problems) or named != set(drawn):
        raise AdoptError(f"{problems_path} and {scores_path} are not about the same problems, each once")
    sampled = next((need.job for need in job.needs if need.role.startswith("samples")), "")
    _all_problems(job, store, named, problems_path, None if sampled else 0, subset=True)
    counted = {
        f"pass@{k}": sum(pass_at_k(num_samples, line["num_correct"], k) for line in problems) / len(problems)
        for k in job.config["k"]
    }
    _agree(metrics, counted, problems_path)
    files = {"scores.jsonl": scores_path, "problems.jsonl": problems_path}
    return Offer(files, {**metrics, **counted})


def _documents(job: Job, folder: Path, store: Store, metrics: Mapping[str, float]) -> Offer:  # noqa: ARG001
    path = _file(folder, "documents.jsonl")
    documents = list(_lines(path, {"document": int, "num_bytes": int, "bits": float}))
    num_bytes = sum(line["num_bytes"] for line in documents)
    if num_bytes <= 0 or len({line["document"] for line in documents}) != len(documents):
        raise AdoptError(f"{path} counts no bytes, or a document twice")
    bits = math.fsum(line["bits"] for line in documents)
    counted = {"bits_per_byte": bits / num_bytes, "num_bytes": float(num_bytes)}
    _agree(metrics, counted, path)
    return Offer({"documents.jsonl": path}, {**metrics, **counted})


def _harness(job: Job, folder: Path, store: Store, metrics: Mapping[str, float]) -> Offer:  # noqa: ARG001
    path = _file(folder, "units.jsonl")
    units = list(_lines(path, {"unit": int, "task": str, "doc": int, "values": dict}))
    counted, fault = counted_metrics(units, job.config, path)
    if fault:
        raise AdoptError(fault)
    _agree(metrics, counted, path)
    more = [name for name in ("samples.jsonl", "results.json") if (folder / name).is_file()]
    files = {"units.jsonl": path, **{name: folder / name for name in more}}
    return Offer(files, {**metrics, **counted})


_MEASURES = ("sample", "score", "bits_per_byte", "lm_eval")
_CHECKS: Mapping[str, Callable[[Job, Path, Store, Mapping[str, float]], Offer]] = {
    **dict.fromkeys(
        ("pretrain", "trainer", "sft", "dpo", "kto", "grpo", "rloo", *PAIRED_KINDS, "merge", "command"),
        _model,
    ),
    "fetch": _fetched,
    "sample": _samples,
    "score": _scores,
    "bits_per_byte": _documents,
    "lm_eval": _harness,
}


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise AdoptError(f"{folder} has no {name}")
    return path


def _lines(path: Path, fields: Mapping[str, type]) -> Iterable[dict[str, Any]]:
    """The objects of a file, each with these fields of these types, numbers finite. At least one."""
    number = 0
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise AdoptError(f"{path}:{number}: not JSON ({error})") from None
        for name, kind in fields.items():
            value = line.get(name) if isinstance(line, dict) else None
            if kind is float and type(value) is int:
                value = line[name] = float(value)
            infinite = isinstance(value, float) and not math.isfinite(value)
            if type(value) is not kind or infinite:
                raise AdoptError(f"{path}:{number}: `{name}` is {value!r}, expected {_WORDS[kind]}")
        yield line
    if not number:
        raise AdoptError(f"{path} is empty")


_WORDS: Mapping[type, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    bool: "true or false",
    dict: "a mapping",
}


def _all_problems(
    job: Job, store: Store, named: set[int], path: Path, limit: int | None, *, subset: bool = False
) -> None:
    """Raises AdoptError where problems are missing, or are not rows of the task; if the rows are known."""
    need = next((need for need in job.needs if need.role == "rows"), None)
    rows = store.ref_path(need.artifact) / "rows.jsonl" if need else None
    if rows is None or not rows.is_file():
        return
    with rows.open("rb") as file:
        indices = [int(json.loads(line)["index"]) for line in file]
    if unknown := sorted(named - set(indices)):
        raise AdoptError(f"{path}: problem {unknown[0]} is not a row of the task, which has {len(indices)}")
    lacking = sorted(set(indices[:limit]) - named)
    if lacking and not subset:
        raise AdoptError(f"{path} lacks {len(lacking)} of the task's problems, the first is {lacking[0]}")


def _agree(metrics: Mapping[str, float], counted: Mapping[str, float], path: Path) -> None:
    for name, value in counted.items():
        if name in metrics and abs(metrics[name] - value) > _CLOSE * max(1.0, abs(value)):
            raise AdoptError(f"{name} is given as {metrics[name]:g}, and {path.name} counts {value:g}")
