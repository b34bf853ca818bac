"""The Python interface, for notebooks: a spec, its plan and its results as values. It never runs a job.

Everything here is re-exported by `exc`. Values are frozen. pandas is needed by `results` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from exc.api_values import Artifact, Experiment, Plan, Sample, Score, SpecError, Status
from exc.compiler import plan as plans
from exc.compiler.plan import Job, PlanError
from exc.pipeline import Compiled, compile_spec
from exc.runtime.adoption import Adoption
from exc.runtime.lineage import Node, lineage, named_artifact
from exc.runtime.places import find_store
from exc.runtime.store import Store, StoreError
from exc.spec.diagnostics import Diagnostic
from exc.spec.render import render_text

if TYPE_CHECKING:
    import pandas

__all__ = [
    "Adoption",
    "Artifact",
    "Experiment",
    "Job",
    "Node",
    "Plan",
    "PlanError",
    "Sample",
    "Score",
    "SpecError",
    "Status",
    "StoreError",
    "artifact",
    "load",
    "plan",
    "read_plan",
    "result_rows",
    "results",
    "samples",
    "status",
]


def load(path: str | Path = "experiment.yaml") -> Experiment:
    """Read and check a spec. Raises SpecError, whose text is the rendered diagnostics, and OSError."""
    compiled = _compiled(Path(path), None, "local")
    assert compiled.experiment is not None
    return Experiment(Path(path), compiled.experiment.spec, _unaccepted(compiled))


def plan(spec: str | Path | Experiment = "experiment.yaml", profile: str = "local") -> Plan:
    """Compile a spec in memory; nothing is written. Raises SpecError."""
    path = spec.path if isinstance(spec, Experiment) else Path(spec)
    folder = path.parent / "plan"
    compiled = _compiled(path, folder, profile)
    assert compiled.plan is not None
    return _placed(compiled.plan, folder)


def read_plan(folder: str | Path = "plan") -> Plan:
    """The plan that `exc compile` wrote. Raises PlanError."""
    return _placed(plans.read_plan(Path(folder)), Path(folder))


def status(plan: Plan | str | Path = "plan", store: str | Path | None = None) -> Status:
    """Where every job of a plan stands, from the store alone."""
    from exc.runtime.adoption import adopted_artifacts
    from exc.runtime.state import WORDS, job_states

    plan, there = _opened(plan, store)
    states = job_states(plan, there)
    adopted = adopted_artifacts(plan, there)
    words = {job: state.word for job, state in states.items()}
    return Status(
        plan.experiment,
        _frozen({word: sum(other == word for other in words.values()) for word in WORDS}),
        _frozen(words),
        _frozen({job: state.failure.message for job, state in states.items() if state.failure is not None}),
        tuple(job.id for job in plan.jobs if any(ref in adopted for ref in job.artifacts())),
    )


def result_rows(plan: Plan | str | Path = "plan", store: str | Path | None = None) -> tuple[Score, ...]:
    """Every metric of every score that is there, in the plan's order, then adopted numbers.

    Raises PlanError, and StoreError on a damaged artifact.
    """
    from exc.runtime.results import result_rows as rows_of

    plan, there = _opened(plan, store)
    return tuple(
        Score(
            **{name: getattr(row, name) for name in ("trunk", "tokens", "recipe", "replicate", "final")},
            **{name: getattr(row, name) for name in ("evaluation", "job", "artifact")},
            step=row.at,
            snapshot=None if isinstance(row.step, str) else row.step,
            best=row.step.removeprefix("best.") if isinstance(row.step, str) else "",
            matrix=_frozen(row.matrix),
            metric=metric,
            value=float(value),
            problems=row.problems if row.problems is not None else _num_units(there, row.artifact),
            identity=row.artifact.partition("/")[2],
            adopted=bool(row.adopted),
        )
        for row in rows_of(plan, there)
        for metric, value in row.metrics.items()
    )


def results(plan: Plan | str | Path = "plan", store: str | Path | None = None) -> pandas.DataFrame:
    """`result_rows` as a data frame, each value of a matrix in a column of its own.

    Raises ImportError without pandas, which `pip install "exc[notebook]"` brings.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "exc.results gives a pandas data frame, and pandas is not installed: "
            'pip install "exc[notebook]"; '
            "exc.result_rows gives the same rows without it"
        ) from error
    rows = result_rows(plan, store)
    matrix = list(dict.fromkeys(name for row in rows for name in row.matrix))
    plain = [one.name for one in fields(Score) if one.name != "matrix"]
    place = plain.index("recipe") + 1
    columns = [*plain[:place], *matrix, *plain[place:]]
    data = [
        {**{name: getattr(row, name) for name in plain}, **{name: row.matrix.get(name) for name in matrix}}
        for row in rows
    ]
    frame = pandas.DataFrame(data, columns=columns)
    whole = ("step", "tokens", "replicate", "snapshot", "problems")
    return frame.astype(dict.fromkeys(whole, "Int64"))


def artifact(plan: Plan | str | Path, job_id: str, store: str | Path | None = None) -> Artifact:
    """What a job left; `JOB@STEP` names one of several kept steps, of which the last is meant otherwise.

    Raises LookupError for an unknown job and StoreError where it is not there or damaged.
    """
    plan, there = _opened(plan, store)
    job, step, identity = named_artifact(plan, job_id)
    nodes = lineage(there, f"{job.kind}/{identity}")
    record = nodes[-1].record
    return Artifact(
        job=job.id,
        kind=job.kind,
        identity=identity,
        step=step,
        path=there.artifact_path(job.kind, identity),
        fields=_frozen(record.get("fields") or {}),
        metrics=_frozen(record["metrics"]),
        counts=_frozen(record.get("counts") or {}),
        inputs=_frozen(record["inputs"]),
        environment=_frozen(record.get("environment") or {}),
        seconds=float(record.get("seconds") or 0.0),
        adopted=nodes[-1].adoptions,
        lineage=nodes,
    )


def samples(plan: Plan | str | Path, job_id: str, store: str | Path | None = None) -> Iterator[Sample]:
    """The completions of a `sample` job, or those of a `score` job with their verdicts, in order.

    Raises LookupError for an unknown job, ValueError for one of another kind, StoreError where it is not
    there.
    """
    plan, there = _opened(plan, store)
    job, _, _ = named_artifact(plan, job_id)
    if job.kind not in ("sample", "score"):
        raise ValueError(
            f"{job.id} is a `{job.kind}` job, which has no samples; `sample` and `score` jobs do"
        )
    there.read(job.kind, job.identity)
    if job.kind == "sample":
        return _drawn(there, [job.artifact])
    blocks = sorted((need for need in job.needs if need.role.startswith("samples:")), key=_block)
    return _judged(there, job, [need.artifact for need in blocks])


def _block(need: plans.Need) -> int:
    return int(need.role.partition(":")[2])


def _drawn(store: Store, refs: Sequence[str]) -> Iterator[Sample]:
    for ref in refs:
        for line in _lines(store.ref_path(ref) / "samples.jsonl"):
            yield Sample(
                **{name: line[name] for name in ("problem", "sample", "text", "finish", "num_tokens")}
            )


def _judged(store: Store, job: Job, refs: Sequence[str]) -> Iterator[Sample]:
    drawn = {(one.problem, one.sample): one for one in _drawn(store, refs)}
    for line in _lines(store.ref_path(job.artifact) / "scores.jsonl"):
        one = drawn.get((line["problem"], line["sample"]))
        text, finish, num_tokens = (one.text, one.finish, one.num_tokens) if one else ("", "", 0)
        verdict = {name: line.get(name) for name in ("parsed", "correct", "verifiable")}
        yield Sample(line["problem"], line["sample"], text, finish, num_tokens, **verdict)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Raises StoreError where the file is gone."""
    from exc.runtime.stages.jsonl import read_jsonl

    if not path.is_file():
        raise StoreError(f"{path} is not there")
    yield from read_jsonl(path)


def _num_units(store: Store, artifact: str) -> int | None:
    """How many problems or documents a score is of."""
    for name in ("problems.jsonl", "documents.jsonl"):
        path = store.ref_path(artifact) / name
        if path.is_file():
            with path.open("rb") as file:
                return sum(1 for line in file if line.strip())
    return None


def _compiled(path: Path, folder: Path | None, profile: str) -> Compiled:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no spec here")
    compiled = compile_spec(path, folder, profile)
    if compiled.plan is None:
        found = _unaccepted(compiled)
        raise SpecError(render_text(found, compiled.sources, color=False, width=100), found)
    return compiled


def _unaccepted(compiled: Compiled) -> tuple[Diagnostic, ...]:
    """Errors, and warnings that the spec does not accept."""
    accepted = compiled.experiment.spec.accept if compiled.experiment is not None else {}
    found = compiled.diagnostics.sorted()
    return tuple(one for one in found if one.severity == "error" or one.code not in accepted)


def _placed(plan: plans.Plan, folder: Path) -> Plan:
    return Plan(**{one.name: getattr(plan, one.name) for one in fields(plans.Plan)}, folder=folder)


def _opened(plan: Plan | str | Path, store: str | Path | None) -> tuple[Plan, Store]:
    """A plan, read where a folder is given, and its store."""
    if not isinstance(plan, Plan):
        plan = read_plan(plan)
    return plan, Store(Path(store)) if store is not None else find_store(plan, plan.folder.absolute())


def _frozen(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(data))
