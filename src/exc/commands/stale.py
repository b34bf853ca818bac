"""Whether a plan is still what spec, profile, code and data say; if not, what the difference is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from exc.commands.terminal import show_diagnostics
from exc.compiler.compile import plan_digest
from exc.compiler.diff import FieldChange, PlanDiff, diff_plans, shown
from exc.compiler.plan import PLAN_FILE, Job, Plan
from exc.pipeline import compile_spec, edited_scripts
from exc.runtime.wording import compile_command, here
from exc.spec.experiment import Experiment
from exc.spec.paired import PAIRED_KINDS, SIDES
from exc.spec.recipes import sides
from exc.spec.words import plural

MOST = 8  # lines of difference before "and N more"


def why_stale(plan: Plan, folder: Path, typed: str) -> list[str]:
    """The lines that say why a plan must not run, none if it may. `typed`: its folder as the user wrote."""
    spec = folder / plan.root / plan.spec
    again = compile_command(plan, folder)
    if not spec.exists():
        return [f"{typed}: its spec {plan.spec} is not where it was ({plan.root}); a plan goes with its spec"]
    compiled = compile_spec(Path(here(spec.resolve())), folder, plan.profile["name"])
    if compiled.plan is None or compiled.experiment is None:
        show_diagnostics(compiled)
        return [f"{typed}: the spec has errors since the plan was made; mend them and run `{again}`"]
    if compiled.plan.digest != plan.digest:
        lines = difference(diff_plans(plan, compiled.plan), compiled.experiment)
        return [
            f"{typed}: the plan is not what {plan.spec} says now:",
            *lines,
            f"review the change and run `{again}`",
        ]
    edited = edited_scripts(plan, folder)
    if plan_digest(plan) != plan.digest:
        edited.append(PLAN_FILE)
    if edited:
        return [f"{typed}: {', '.join(edited)} changed since exc wrote it; `{again}` writes it anew"]
    return []


def difference(diff: PlanDiff, experiment: Experiment | None) -> list[str]:
    """What changed between two plans, as lines: fields with their spec line and the jobs each concerns."""
    settings = [change for change in diff.settings if not change.field.startswith("report.cells")]
    lines = [f"  {_setting(change, experiment)}" for change in settings]
    names = digest_names(changed.job for changed in diff.changed)
    by_field: dict[tuple[str, str], list[Job]] = {}
    read_only: list[Job] = []
    for changed in diff.changed:
        for field in changed.fields:
            key = (shown_change(field, names), where(experiment, changed.job, field))
            by_field.setdefault(key, []).append(changed.job)
        if not changed.fields:
            read_only.append(changed.job)
    for (field_text, line), jobs in by_field.items():
        lines.append(f"  {field_text} ({line}): {_jobs(jobs)}")
    if read_only:
        lines.append(f"  changed because of what they read: {_jobs(read_only)}")
    if diff.added:
        lines.append(f"  new: {_jobs(diff.added)}")
    if diff.removed:
        lines.append(f"  no longer planned: {_jobs(diff.removed)}")
    if not lines:
        lines.append("  only the report, or the order of what is in it, differs")
    return lines if len(lines) <= MOST else [*lines[:MOST], f"  and {len(lines) - MOST} more"]


def _setting(change: FieldChange, experiment: Experiment | None) -> str:
    """A difference outside of jobs; that of a trunk's checkpoints by their steps."""
    parts = change.field.split(".")
    if parts[:2] != ["report", "trunks"] or parts[3:] != ["checkpoints"]:
        return str(change)
    old, new = (", ".join(str(step) for _, step in steps) for steps in (change.old, change.new))
    line = f" ({experiment.where('trunks', parts[2], 'checkpoints')})" if experiment is not None else ""
    return f"checkpoints of {parts[2]} {old} -> {new}{line}"


def _jobs(jobs: Iterable[Job]) -> str:
    ids = [job.id for job in jobs]
    names = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
    return f"{plural(len(ids), 'job')} ({names})"


def where(experiment: Experiment | None, job: Job, change: FieldChange) -> str:
    """The spec line of a job's field, as near as it can be told; else, or without a spec, that of the job."""
    path = _path(experiment, job) if experiment is not None else None
    if experiment is None or path is None:
        return job.source[0]
    if change.field in ("seed", "fewshot_seed") and not _pins_a_seed(experiment, job):
        return experiment.where("seed")
    field = tuple(part.partition("[")[0] for part in change.field.split("."))
    of_side = field[0] in SIDES and job.kind in PAIRED_KINDS
    within = field[1:] if of_side else field
    task = _task(experiment, path, field[:1] if of_side else ()) if within[0] in _OF_A_TASK else None
    if task is not None:
        return experiment.where("tasks", task, *within)
    return experiment.where(*path, *_SPELLED.get(change.field, field))


def _pins_a_seed(experiment: Experiment, job: Job) -> bool:
    """Whether a job's seed may stand in the spec, and does not follow from that of the experiment."""
    spec = experiment.spec
    trunk = spec.trunks.get(job.id.partition("/")[0]) if job.kind in ("pretrain", "trainer") else None
    own = trunk.run.seed if trunk and trunk.run else None
    return any(entry.seeds for entry in spec.replicates) or own is not None


# Fields of a stage's or evaluation's config that its task says.
_OF_A_TASK = frozenset({"prompt", "stop", "verifier", "rewards", "max_unverifiable", "verifier_timeout"})
# Fields of a pre-training config -> where the trunk says them.
_SPELLED = {
    "lr.total_steps": ("tokens",),
    **{f"lr.{name}": ("schedule", name) for name in ("shape", "peak", "floor")},
    **{f"lr.{name}_steps": ("schedule", name) for name in ("warmup", "decay")},
}


def _task(experiment: Experiment, path: tuple[str | int, ...], side: tuple[str, ...] = ()) -> str | None:
    """The task of the stage, of a side of it, or of the evaluation at `path`."""
    spec, name = experiment.spec, str(path[1])
    if path[0] == "data":
        samples = spec.data[name].samples
        return samples.task if samples is not None else None
    if path[0] == "recipes":
        read = sides(spec.recipes[name][int(path[2])].body).get(side)
        return read.task if read is not None else None
    body = spec.evaluations[name].pass_at_k
    return body.task if body is not None else None


def _path(experiment: Experiment, job: Job) -> tuple[str | int, ...] | None:
    """Where in the spec the body of a job's stage or evaluation stands."""
    spec = experiment.spec
    parts = job.id.split("/")
    if len(parts) == 5 and parts[2] in spec.recipes:
        names = [stage.name for stage in spec.recipes[parts[2]]]
        if parts[4] in names:
            index = names.index(parts[4])
            return ("recipes", parts[2], index, spec.recipes[parts[2]][index].kind)
    if (data := _data(experiment, job)) in spec.data:
        return ("data", data) if job.kind == "derive" else ("data", data, "samples")
    part = job.id.rpartition(".")[0] if job.kind == "sample" else job.id  # without the number of its block
    if part.endswith(f".{job.kind}"):
        of = part.removesuffix(f".{job.kind}")
        evaluation = next((name for name in spec.evaluations if of.endswith(f".{name}")), None)
        if evaluation is not None:
            return ("evaluations", evaluation, spec.evaluations[evaluation].kind)
    if job.kind == "contamination":
        return ("evaluations", parts[1], job.kind)
    if job.kind in ("pretrain", "trainer"):
        return ("trunks", parts[0], "pretrain" if job.kind == "pretrain" else "command")
    return None


def _data(experiment: Experiment, job: Job) -> str:
    """The data source that a job makes, or samples for; "" where there is none."""
    if job.kind in ("derive", "rate"):
        return str(job.config["data"])
    if job.kind != "sample" or not job.cls.startswith("data."):
        return ""
    return next((name for name in experiment.spec.data if f"data/{name}." in job.id), "")


def shown_change(change: FieldChange, names: Mapping[str, str]) -> str:
    """`field old -> new`, values as a person writes them; of a digest, what it is of."""
    if isinstance(change.new, str) and change.new in names:
        return f"{names[change.new]} has changed"
    return f"{change.field} {shown(change.old)} -> {shown(change.new)}"


def digest_names(jobs: Iterable[Job]) -> dict[str, str]:
    """Digests in the configs of jobs -> the files, or the user's modules, that they are of."""
    names: dict[str, str] = {}
    pending: list[object] = [job.config for job in jobs]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(value.values())
            if value.get("sha256") and value.get("path"):
                names[value["sha256"]] = str(value["path"])
            if value.get("code") and value.get("target"):
                names[value["code"]] = f"the code of {str(value['target']).partition(':')[0]}"
        elif isinstance(value, list | tuple):
            pending.extend(value)
    return names
