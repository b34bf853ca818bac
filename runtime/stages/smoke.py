"""Stage `smoke`: one tiny run of another stage, on random weights of the right shape, before its jobs begin.

The stage itself does the work, in a context whose artifacts are thrown away. Rows, prompts, verifier, lengths
and micro-batch are the real ones, so that what is wrong with them, or does not fit in memory, shows here.
"""

from __future__ import annotations

import importlib
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.failures import classify
from exc.runtime.stages import STAGES
from exc.runtime.stages.jsonl import read_jsonl, write_jsonl
from exc.runtime.stages.judging import Call, Judge, load_judge
from exc.runtime.stages.model_folder import copy_tokenizer
from exc.runtime.stages.prompts import read_rows
from exc.runtime.stages.verifiers import Verdict
from exc.spec.paired import PAIRED_KINDS, SIDES
from exc.spec.words import plural

TRAINING = ("pretrain", "sft", "grpo", "rloo", "dpo", "kto", *PAIRED_KINDS)
_SEED = 0  # of the weights: any will do
_KIB = 1024  # the unit of ru_maxrss


@dataclass
class Tried:
    """What a tiny run published and judged, and how many bytes it saved."""

    metrics: dict[str, float] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    saved_bytes: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    num_judged: int = 0
    num_parsed: int = 0
    num_unverifiable: int = 0

    def count(self, verdicts: Sequence[Verdict]) -> None:
        self.num_judged += len(verdicts)
        self.num_parsed += sum(verdict.parsed is not None for verdict in verdicts)
        self.num_unverifiable += sum(not verdict.verifiable for verdict in verdicts)

    def rates(self) -> dict[str, float]:
        """The shares of completions that ended by themselves, and that the verifier found an answer in."""
        out = {}
        if "stop_rate" in self.metrics:
            out["stop_rate"] = self.metrics["stop_rate"]
        elif "clipped_ratio" in self.metrics:
            out["stop_rate"] = 1.0 - self.metrics["clipped_ratio"]
        if self.num_judged:
            out["parse_rate"] = self.num_parsed / self.num_judged
            out["unverifiable_rate"] = self.num_unverifiable / self.num_judged
        return out


def run(ctx: JobContext) -> None:
    """Run the stage of the class once and publish a report of it; no model is left.

    Raises JobFailed with the class of what failed, saying which jobs are held back because of it.
    """
    work = ctx.work / "smoke"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tried = Tried()
    began = time.monotonic()
    try:
        _try(ctx, work, tried)
    except Stopped:
        raise
    except Exception as error:
        failure = classify(error)
        raise JobFailed(failure.kind, f"{_held_back(ctx.config)}:\n{failure.message}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _publish(ctx, tried, time.monotonic() - began)


def _held_back(config: Mapping[str, Any]) -> str:
    """Which jobs do not begin because their smoke run failed."""
    classes: Mapping[str, int] = config.get("stands_for", {})
    named = " and ".join(f"{plural(num, 'job')} of class `{cls}`" for cls, num in classes.items())
    return f"the smoke run of {named} failed and holds them back"


def _try(ctx: JobContext, work: Path, tried: Tried) -> None:
    kind, config = ctx.config["of"], ctx.config["config"]
    inner = replace(
        ctx,
        kind=kind,
        config=config,
        inputs=_inputs(ctx, work),
        work=work / "state",
        kept={1: False} if kind in TRAINING else {},
        publish=_Thrown(work / "out", tried),
        emit=lambda event, **fields: ctx.emit(event, **fields) if event == "progress" else None,
    )
    module, _, function = STAGES[kind].partition(":")
    stage: Callable[..., None] = getattr(importlib.import_module(module), function)
    if kind in ("grpo", "rloo", *PAIRED_KINDS):
        stage(inner, judging=lambda *given: _CountingJudge(load_judge(*given), tried))
    else:
        stage(inner)
    if "judged" in ctx.config:
        _judge(replace(inner, config=ctx.config["judged"], emit=lambda *_, **__: None), tried)


def _judge(ctx: JobContext, tried: Tried) -> None:
    """Have what was sampled judged as the job will that counts."""
    from exc.runtime.stages.score import judged

    drawn: dict[int, list[dict[str, Any]]] = {}
    for sample in tried.samples:
        drawn.setdefault(sample["problem"], []).append(sample)
    rows = {row.index: row for row in read_rows(ctx.inputs["rows"])}
    for _, verdicts in judged(ctx, drawn, rows):
        tried.count(verdicts)


@dataclass(frozen=True, slots=True)
class _Thrown:
    """Takes in what a stage publishes: it is written whole, measured, and thrown away."""

    folder: Path
    tried: Tried

    def __call__(
        self,
        write: Callable[[Path], None],
        *,
        step: int | None = None,  # noqa: ARG002
        metrics: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> None:
        self.folder.mkdir()
        write(self.folder)
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        self.tried.saved_bytes = sum(path.stat().st_size for path in files)
        if (samples := self.folder / "samples.jsonl").is_file():
            self.tried.samples = list(read_jsonl(samples))
        self.tried.metrics, self.tried.counts = dict(metrics or {}), counts or Counts()
        shutil.rmtree(self.folder)


class _CountingJudge(Judge):
    """A judge that keeps count of its verdicts."""

    def __init__(self, judge: Judge, tried: Tried) -> None:
        self._judge, self._tried = judge, tried

    def judge(self, calls: Sequence[Call]) -> list[Verdict]:
        verdicts = self._judge.judge(calls)
        self._tried.count(verdicts)
        return verdicts

    def close(self) -> None:
        self._judge.close()


# What the stage reads


def _inputs(ctx: JobContext, work: Path) -> dict[str, Path]:
    """The inputs of the stage: the real ones, some of the rows, and a model of random weights."""
    inputs = dict(ctx.inputs)
    published = inputs.pop("published", None)
    wanted = ctx.config["rows"]
    if isinstance(wanted, Mapping):  # of each side
        for side, kind in SIDES.items():
            role = f"rows:{side}"
            inputs[role] = _some_rows(inputs[role], work / f"rows-{side}", {"of": kind, "rows": wanted[side]})
    elif wanted is not None:
        inputs["rows"] = _some_rows(inputs["rows"], work / "rows", ctx.config)
    if ctx.config["of"] == "pretrain" and published is None:
        return inputs  # the stage makes its own
    folder = work / "model"
    if published is not None:
        write_random_like(published, folder)
    else:
        _write_random(ctx.config["shape"], inputs["tokenizer"], folder)
    return {**inputs, "model": folder}


def _some_rows(source: Path, folder: Path, config: Mapping[str, Any]) -> Path:
    """As many rows as a step reads: half are the first, half the longest, which decide on memory."""
    rows = list(read_jsonl(source / "rows.jsonl"))
    if config["of"] == "sft":  # as the stage does, unless there is none at all, which it explains
        rows = [row for row in rows if row["demonstrations"]] or rows
    num = int(config["rows"])
    first = rows[: num - num // 2]
    rest = sorted(rows[len(first) :], key=_length, reverse=True)[: num // 2]
    taken = [*first, *rest]
    if config["of"] == "kto":  # which needs both labels and two prompts
        taken += _others(rows, taken)
    folder.mkdir()
    write_jsonl(folder / "rows.jsonl", taken)
    return folder


def _others(rows: Sequence[dict[str, Any]], taken: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The first row with another label than all those taken, and the first with other texts beside it."""

    def beside(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row["fields"].items() if name not in ("completion", "label")}

    label, prompt = taken[0]["fields"].get("label"), beside(taken[0])
    found: list[dict[str, Any]] = []
    if all(row["fields"].get("label") == label for row in taken):
        found += [row for row in rows if row["fields"].get("label") != label][:1]
    if all(beside(row) == prompt for row in [*taken, *found]):
        found += [row for row in rows if beside(row) != prompt][:1]
    return found


def _length(row: Mapping[str, Any]) -> int:
    """The characters of a row: whatever its prompt leaves out, longer rows mostly make longer texts."""
    fields = sum(len(str(value)) for value in row["fields"].values())
    return fields + max((len(text) for text in row["demonstrations"]), default=0)


def _write_random(shape: Mapping[str, Any], tokenizer: Path, folder: Path) -> None:
    from exc.runtime.stages.models import load_tokenizer
    from exc.runtime.stages.weights import make_model, write_model

    write_model(make_model(shape, load_tokenizer(tokenizer), _SEED), tokenizer, folder)


def write_random_like(source: Path, folder: Path) -> None:
    """Write a model of random weights with the config, generation config and tokenizer of another.

    Raises JobFailed("config") if transformers cannot build one from that config.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, set_seed

    factory: Any = AutoModelForCausalLM
    set_seed(_SEED)
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=True)
        model = factory.from_config(config, dtype="float32")
    except (OSError, ValueError) as error:
        raise JobFailed("config", f"no model can be built from the config in {source}: {error}") from error
    if (source / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(source, local_files_only=True)
    model.save_pretrained(folder)
    copy_tokenizer(source, folder)


# What is left


def _publish(ctx: JobContext, tried: Tried, seconds: float) -> None:
    """Times and memory are of this machine: they stand in the report, and are no metrics."""
    rates = tried.rates()
    report = {
        "stage": ctx.config["of"],
        "stands_for": dict(ctx.config.get("stands_for", {})),
        "seconds": round(seconds, 3),
        **_peak_memory(),
        "saved_bytes": tried.saved_bytes,
        **rates,
        "metrics": tried.metrics,
        "counts": asdict(tried.counts),
    }

    def write(folder: Path) -> None:
        text = json.dumps(report, indent=1, sort_keys=True) + "\n"
        (folder / "report.json").write_text(text, encoding="utf-8")

    ctx.publish(write, metrics={**tried.metrics, **rates}, counts=tried.counts)


def _peak_memory() -> dict[str, int]:
    """The most memory that this process has held, in bytes, in the machine and on the GPU."""
    out = {"peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        out["peak_gpu_memory_bytes"] = int(torch.cuda.max_memory_allocated())
    return out
