"""Gathers what was measured: for every cell of the plan its counts by problem, or why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from exc.compiler.plan import Job, Plan
from exc.runtime.adoption import Adoption, adoptions_of
from exc.runtime.report.harness_units import Parts, read_harness_units
from exc.runtime.report.missing import Missing, Reasons
from exc.runtime.report.statistics import Floats, Ints, pass_at_k
from exc.runtime.store import Store, StoreError

# Evaluation kind -> the file of its units, the field that numbers them, the fields that count.
UNIT_FILES = {
    "pass_at_k": ("problems.jsonl", "problem", ("num_samples", "num_correct")),
    "bits_per_byte": ("documents.jsonl", "document", ("num_bytes", "bits")),
}
LOGGED = "logged"  # in place of an evaluation's kind: what was logged of training


@dataclass(frozen=True, slots=True)
class Units:
    """Counts of each problem or document, ordered by its number."""

    ids: Ints
    counts: Mapping[str, Floats]
    values: Mapping[str, Floats] = field(default_factory=dict)  # metrics that each unit has itself
    parts: Parts = field(default_factory=dict)  # metrics of some of the units, above and below the line
    groups: Ints | None = None  # the task of each, where they are of several


@dataclass(frozen=True, slots=True)
class Cell:
    """One model under one evaluation: where it stands in the study, and what was measured or why not."""

    number: int  # its place in the plan's list
    evaluation: str
    kind: str
    trunk: str
    at: int  # the trunk's step
    tokens: int  # that the trunk had seen
    arm: str  # the recipe, with matrix values, and the snapshot where it is not the last
    recipe: str
    replicate: int
    step: int | str | None  # text: the name of a choice among the kept steps
    final: bool
    model_job: str
    model_artifact: str
    job: str
    artifact: str
    seeds: tuple[int, ...]
    source: tuple[str, ...]  # the spec lines of the model's job
    units: Units | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    missing: Missing | None = None
    note: str = ""  # what is odd about a number that is there
    adopted: tuple[Adoption, ...] = ()  # what of it was made elsewhere

    @property
    def point(self) -> tuple[str, str, int, str]:
        """What replicates have in common."""
        return (self.evaluation, self.trunk, self.at, self.arm)


def metric_names(evaluation: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics of an evaluation that have intervals, those that stand for it first."""
    named = [str(name) for name in evaluation.get("metrics", ())]
    if evaluation["kind"] == "pass_at_k":
        chances = [f"pass@{k}" for k in sorted(evaluation["k"])]
        return tuple(dict.fromkeys([*chances, *named]))
    return ("bits_per_byte",) if evaluation["kind"] == "bits_per_byte" else tuple(named)


def ratio(units: Units, metric: str) -> tuple[Floats, Floats]:
    """A metric's two parts of every unit, above and below the line. Raises ValueError without them."""
    if metric == "bits_per_byte":
        return units.counts["bits"], units.counts["num_bytes"]
    if metric in units.parts:
        return units.parts[metric]
    if metric in units.values:
        return units.values[metric], np.ones_like(units.values[metric])
    if not metric.startswith("pass@"):
        raise ValueError(f"{metric} is not counted by unit")
    k = int(metric.removeprefix("pass@"))
    counts = [units.counts[name].astype(np.int64) for name in ("num_samples", "num_correct")]
    above = pass_at_k(counts[0], counts[1], k)
    return above, np.ones_like(above)


def is_counted(units: Units | None, metric: str) -> bool:
    """Whether the units of a cell give a metric, so that its interval can be one over them."""
    if units is None:
        return False
    return (
        metric in units.values
        or metric in units.parts
        or metric == "bits_per_byte"
        or metric.startswith("pass@")
    )


def noun_of(cell: Cell) -> str:
    """What the n of a number counts."""
    return {"bits_per_byte": "document", LOGGED: "step"}.get(cell.kind, "problem")


def gather(
    plan: Plan, store: Store, evaluations: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Cell]:
    """Every cell of the plan's report, in its order. `evaluations`: by default as the plan has them."""
    reasons = Reasons(plan, store)
    found = plan.report["evaluations"] if evaluations is None else evaluations
    return [
        _fill(_place(number, data, plan), found[data["evaluation"]], store, reasons)
        for number, data in enumerate(plan.report["cells"])
    ]


def job_of(plan: Plan, model: str) -> Job | None:
    """The job that made a model, which is named by its job's id, and `@step` for a snapshot of it."""
    return plan.by_id.get(model) or plan.by_id.get(model.rpartition("@")[0])


def _place(number: int, data: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """What the plan alone says of a cell."""
    matrix = data.get("matrix") or {}
    recipe = data["recipe"]
    arm = recipe
    if matrix and "[" not in recipe:
        arm += "[" + ",".join(f"{name}={value}" for name, value in matrix.items()) + "]"
    if data.get("step") is not None and not data["final"]:
        arm += f"@{data['step']}"
    model = data["model"]
    job = job_of(plan, model["job"])
    return {
        "number": number,
        "arm": arm,
        "recipe": recipe,
        "model_job": model["job"],
        "model_artifact": model["artifact"],
        "seeds": tuple(data.get("seeds") or ()),
        "source": job.source if job else (),
        **{
            key: data[key]
            for key in ("evaluation", "trunk", "at", "tokens", "replicate", "final", "job", "artifact")
        },
        "step": data.get("step"),
    }


def _fill(place: dict[str, Any], evaluation: Mapping[str, Any], store: Store, reasons: Reasons) -> Cell:
    kind, _, identity = place["artifact"].partition("/")
    place = {**place, "kind": evaluation["kind"]}
    if not store.has(kind, identity):
        return Cell(**place, missing=reasons.why(place["job"]))
    try:
        artifact = store.read(kind, identity)
        units = _read_units(artifact.path, evaluation)
        metrics = dict(artifact.metrics)
        note = _disagreement(units, metrics, metric_names(evaluation)) or _choice(place["step"])
    except StoreError as error:
        return Cell(**place, missing=Missing("damaged", str(error).splitlines()[0], place["job"]))
    except ValueError as error:
        return Cell(
            **place, missing=Missing("damaged", f"the artifact {place['artifact']}: {error}", place["job"])
        )
    return Cell(**place, units=units, metrics=metrics, note=note, adopted=adoptions_of(artifact.record))


def _choice(step: int | str | None) -> str:
    """What must be known of a snapshot that was chosen by its result."""
    if not isinstance(step, str):
        return ""
    by = step.removeprefix("best.")
    return f"the step that did best by {by}, out of all that were kept: there its number is biased upwards"


def _read_units(folder: Path, evaluation: Mapping[str, Any]) -> Units | None:
    """Raises ValueError with what is wrong with the file of units."""
    if evaluation["kind"] == "lm_eval":
        numbers, tasks, parts = read_harness_units(folder, evaluation)
        return Units(numbers, {}, parts=parts, groups=tasks)
    if evaluation["kind"] not in UNIT_FILES:
        return None
    name, number, fields = UNIT_FILES[evaluation["kind"]]
    try:
        lines = (folder / name).read_bytes().splitlines()
    except OSError as error:
        raise ValueError(f"{name} cannot be read ({error.strerror})") from None
    try:
        rows = [orjson.loads(line) for line in lines if line.strip()]
        ids = np.array([row[number] for row in rows], dtype=np.int64)
        columns = {key: np.array([row[key] for row in rows], dtype=np.float64) for key in fields}
        values = {metric: [_of_unit(row, metric) for row in rows] for metric in metric_names(evaluation)}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is not as it was written ({error!r})") from None
    order = np.argsort(ids, kind="stable")
    if not ids.size or np.unique(ids).size != ids.size:
        raise ValueError(f"{name} is empty or names a {number} twice")
    known = {metric: found for metric, found in values.items() if None not in found}
    return Units(
        ids[order],
        {key: column[order] for key, column in columns.items()},
        {metric: np.array(found, dtype=np.float64)[order] for metric, found in known.items()},
    )


def _of_unit(row: Mapping[str, Any], metric: str) -> float | None:
    """What one problem gives to the mean of a metric of its answers; None where the file does not say."""
    if metric.startswith("maj@"):
        k = metric.removeprefix("maj@")
        whole = k == str(row["num_samples"])
        return row.get("majority") if whole else (row.get("majority_at") or {}).get(k)
    name = {"distinct": "distinct_answers", "entropy": "entropy"}.get(metric)
    return row.get(name) if name is not None else None


def _disagreement(units: Units | None, metrics: Mapping[str, float], names: tuple[str, ...]) -> str:
    """A recorded metric that the counts beside it do not give. Raises ValueError where they give none."""
    if units is None:
        return ""
    for name in names:
        if not is_counted(units, name):
            continue
        above, below = ratio(units, name)
        if not below.sum() > 0:
            raise ValueError(f"{name} cannot be computed: nothing was counted")
        value = float(above.sum() / below.sum())
        if name in metrics and abs(metrics[name] - value) > 1e-6 * max(1.0, abs(value)):
            return (
                f"{name} was recorded as {metrics[name]:.6g}; its counts give {value:.6g}, which is reported"
            )
    return ""
