"""The plan in numbers and words, for PLAN.md: what runs on what, with which settings, and what is shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exc.compiler.cost_summary import cost_summary
from exc.compiler.data_summary import data_summary
from exc.compiler.diff import shown
from exc.compiler.evaluation_summary import evaluation_row
from exc.compiler.identity import identity_fields
from exc.compiler.learning_rate import make_schedule
from exc.compiler.plan import Job, Plan
from exc.compiler.published import FETCH, unlocked
from exc.compiler.smoke_summary import smoke_summary
from exc.compiler.task_summary import task_summary
from exc.spec.paired import SIDES
from exc.spec.recipes import STAGE_KINDS
from exc.spec.units import format_tokens
from exc.spec.words import listed, plural

# Fields of a stage that its line in PLAN.md says in another way, or that are the task's.
_ELSEWHERE = frozenset({"prompt", "stop", "verifier", "rewards", "seed"})
# Fields of `args` that are read first in a review, and so are shown at their defaults, too.
_ALWAYS = ("learning_rate", "lr_scheduler_type", "max_completion_length", "max_length", "temperature", "beta")
MOST_SHARED = 24  # lines of shared work; the rest is counted


def summary(plan: Plan) -> dict[str, Any]:
    """The values of the PLAN.md template."""
    report = plan.report
    shared = [{"id": job.id, "aliases": _names(job.aliases)} for job in plan.jobs if job.aliases]
    return {
        "title": report["title"],
        "description": report["description"],
        "jobs": plural(len(plan.jobs), "job"),
        "spec": plan.spec,
        "seed": plan.seed,
        "profile": plan.profile["name"],
        "unlocked": unlocked(plan),
        "trunks": [_trunk(plan, name, facts) for name, facts in report["trunks"].items()],
        "tasks": task_summary(plan),
        "recipes": _recipes(plan),
        "evaluations": [evaluation_row(plan, name, facts) for name, facts in report["evaluations"].items()],
        "data": data_summary(plan),
        "smokes": smoke_summary(plan),
        **cost_summary(plan),
        "shared": shared[:MOST_SHARED],
        "more_shared": len(shared) - MOST_SHARED,
        "overrides": report["overrides"],
        "warnings": report["warnings"],
        "accepted": report["accepted"],
    }


def _names(names: Iterable[str], most: int = 4) -> str:
    return listed((f"`{name}`" for name in names), most)


def _ladder(plan: Plan, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Checkpoints that others published: what was asked for, what that became, and what it is called."""
    rungs = facts["published"]
    places = list(dict.fromkeys(rung["place"] for rung in rungs))
    config = plan.job(f"{name}/{FETCH}/{facts['checkpoints'][0][1]}").config
    listed_as = f"{facts['listed']} checkpoints there" if facts["listed"] else "not locked"
    strays = f", {plural(facts['strays'], 'name')} beside them" if facts["strays"] else ""
    origin = f"on the hub: {' and '.join(places)}" if "hub" in config else f"the folder `{places[0]}`"
    rows = [
        {
            "step": step,
            "tokens": format_tokens(rung["tokens"], digits=4) if rung["tokens"] else "unknown",
            "share": f"{step / facts['total_steps']:.0%}",
            "learning_rate": "-",
            "asked": f"{asked}: `{rung['name']}`",
        }
        for (asked, step), rung in zip(facts["checkpoints"], rungs, strict=True)
    ]
    return {"name": name, "summary": f"published {origin}; {listed_as}{strays}.", "checkpoints": rows}


def _trainer(plan: Plan, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A run by a trainer of one's own."""
    per_step, before, total = facts["tokens_per_step"], facts["tokens_before"], facts["total_steps"]
    config = plan.job(f"{name}/pretrain/{facts['checkpoints'][-1][1]}").config
    rows = [
        {
            "step": step,
            "tokens": format_tokens(before + step * per_step, digits=4),
            "share": f"{step / total:.0%}",
            "learning_rate": "-",
            "asked": asked,
        }
        for asked, step in facts["checkpoints"]
    ]
    origin = f"from {facts['from']}, " if "from" in facts else ""
    length = f"{format_tokens(total * per_step, digits=4)} tokens in {total:,} steps"
    return {"name": name, "summary": f"{origin}by `{config['run']}`: {length}.", "checkpoints": rows}


def _published(plan: Plan, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A model that others made: where from, and how far it is said to have been trained."""
    config = plan.job(f"{name}/{FETCH}").config
    hub = config.get("hub")
    origin = f"the folder of `{config['files'][0]['path']}`" if hub is None else f"{hub['repo']} on the hub"
    if hub is not None:
        origin += f" at {hub['commit'] or hub['revision'] + ', which is not locked'}"
    tokens = facts["tokens"]
    said = format_tokens(tokens, digits=4) if tokens else "unknown"
    ((asked, step),) = facts["checkpoints"]
    row = {"step": step, "tokens": said, "share": "100%", "learning_rate": "-", "asked": asked}
    return {"name": name, "summary": f"published: {origin}; tokens: {said}.", "checkpoints": [row]}


def _trunk(plan: Plan, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    if "lr" not in facts:
        made = _ladder if "published" in facts else _trainer if "tokens_per_step" in facts else _published
        return made(plan, name, facts)
    per_step, total, lr = facts["tokens_per_step"], facts["total_steps"], facts["lr"]
    start, before = facts.get("start_step", 0), facts["tokens_before"]
    config = plan.job(f"{name}/pretrain/{facts['checkpoints'][-1][1]}").config
    factor = make_schedule(lr)
    rows = [
        {
            "step": step,
            "tokens": format_tokens(before + step * per_step, digits=4),
            "share": f"{step / total:.0%}",
            "learning_rate": f"{lr['peak'] * factor(start + step - 1):.3g}",
            "asked": asked,
        }
        for asked, step in facts["checkpoints"]
    ]
    weights = sum(source["weight"] for source in config["mixture"])
    mixture = ", ".join(f"{source['weight'] / weights:.0%} {source['name']}" for source in config["mixture"])
    origin = f"{config['model'].get('architecture')} from scratch"
    if "from" in facts:
        origin = f"from {facts['from']}, behind {format_tokens(before, digits=4)} tokens"
    summary = (
        f"{origin}, {format_tokens(total * per_step, digits=4)} tokens "
        f"in {total:,} steps of {config['batch_size']} x {config['sequence_length']}; "
        f"{lr['shape']} learning rate, {_warmup(lr)}peak {lr['peak']:g}"
        f"{f', counted from step {start:,}' if start else ''}; {config['precision']}; "
        f"mixture by tokens: {mixture}."
    )
    return {"name": name, "summary": summary, "checkpoints": rows}


def _warmup(lr: Mapping[str, Any]) -> str:
    return f"{lr['warmup_steps']:,} steps of warm-up, " if lr["warmup_steps"] else ""


def _recipes(plan: Plan) -> list[dict[str, Any]]:
    places: dict[str, dict[str, set[int]]] = {}
    replicates: dict[str, int] = {}
    for cell in plan.report["cells"]:
        places.setdefault(cell["recipe"], {}).setdefault(cell["trunk"], set()).add(cell["at"])
        replicates[cell["recipe"]] = max(replicates.get(cell["recipe"], 0), cell["replicate"] + 1)
    jobs = _first_of_stage(plan)
    out = []
    for name, stages in plan.report["recipes"].items():
        where = "; ".join(f"{trunk} {_steps(ats)}" for trunk, ats in places.get(name, {}).items())
        num = replicates.get(name, 0)
        unmeasured = sorted(_trained_at(plan, name, stages[-1]["name"])) if not where else ()
        if unmeasured:
            where = "; ".join(f"{trunk} {at}" for trunk, at in unmeasured) + "; no evaluation measures it"
        where = f"{where or 'no checkpoint of its own'}{f'; up to {num} replicates' if num > 1 else ''}"
        out.append(
            {
                "name": name,
                "where": where,
                "stages": _rounds(
                    stages, [_stage(plan, stage, jobs.get((name, stage["name"]))) for stage in stages]
                ),
            }
        )
    return out


def _steps(steps: Iterable[int], most: int = 12) -> str:
    listed = [str(step) for step in sorted(steps)]
    return (
        ", ".join(listed)
        if len(listed) <= most
        else f"{listed[0]}, ..., {listed[-1]} ({len(listed)} of them)"
    )


def _trained_at(plan: Plan, recipe: str, stage: str) -> set[tuple[str, int]]:
    """The checkpoints, by trunk and step, on which there is a job for a stage of a recipe."""
    ids = (job_id.split("/") for job in plan.jobs for job_id in (job.id, *job.aliases))
    return {(parts[0], int(parts[1])) for parts in ids if parts[2:3] == [recipe] and parts[4:] == [stage]}


def _first_of_stage(plan: Plan) -> dict[tuple[str, str], Job]:
    """(recipe, stage) -> the first job that does it, under whatever name."""
    out: dict[tuple[str, str], Job] = {}
    for job in plan.jobs:
        for job_id in (job.id, *job.aliases) if job.kind in (*STAGE_KINDS, FETCH) else ():
            parts = job_id.split("/")
            if len(parts) == 5:  # trunk/checkpoint/recipe/replicate/stage
                out.setdefault((parts[2], parts[4]), job)
    return out


def _side(role: str) -> str:
    """`rl ` of the role `rows:rl`, and nothing of `rows`."""
    side = role.partition(":")[2]
    return f"{side} " if side else ""


def _stage(plan: Plan, stage: Mapping[str, Any], job: Job | None) -> dict[str, Any]:
    what = f"{stage['kind']} from {stage['from']}"
    if job is None:
        return {"name": stage["name"], "what": what, "settings": ["not planned"]}
    fields = identity_fields(job.kind, job.config)
    settings = [
        f"{_side(need.role)}task: {config['task']}, split {config['split']}"
        for need in job.needs
        if need.role.partition(":")[0] == "rows" and (config := plan.job(need.job).config)
    ]
    settings += [
        f"{' '.join(path)}: {_setting(path[-1], value)}"
        for path, value in _by_side(_with_args(fields, job.config))
        if path[-1] not in _ELSEWHERE and value
    ]
    if len(kept := _kept(plan, job)) > 1:
        settings.append(f"keeps: {_steps(kept)}")
    return {"name": stage["name"], "what": what, "settings": settings}


def _with_args(fields: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stage, and of each of its sides, with the fields of `args` that are always shown."""
    out = {
        name: _with_args(value, config[name]) if name in SIDES and isinstance(value, Mapping) else value
        for name, value in fields.items()
    }
    args = config.get("args") or {}
    always = {name: args[name] for name in _ALWAYS if args.get(name) is not None}
    return {**out, "args": dict(sorted({**always, **out.get("args", {})}.items()))} if always else out


def _by_side(fields: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The settings of a stage by name; of one that has two sides, those of a side behind its name."""
    for name, value in fields.items():
        if name in SIDES and isinstance(value, Mapping):
            yield from (((name, key), inner) for key, inner in value.items())
        else:
            yield (name,), value


def _rounds(recipe: Iterable[Mapping[str, Any]], stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stages, with what a later round of a repeated block has in common with the first said once."""
    first: dict[str, dict[str, Any]] = {}
    out = []
    for facts, stage in zip(recipe, stages, strict=True):
        before = first.setdefault(facts.get("repeats", facts["name"]), stage)
        if before is not stage and before["settings"] != ["not planned"]:
            own = [line for line in stage["settings"] if line not in before["settings"]]
            stage = {**stage, "settings": [f"as `{before['name']}`", *own]}
        out.append(stage)
    return out


def _kept(plan: Plan, job: Job) -> list[int]:
    """The steps that a stage keeps; pre-training keeps one in each of the jobs that go on from each other."""
    before = [need.job for need in job.needs if need.role == "resumes"]
    return [*(_kept(plan, plan.job(before[0])) if before else []), *job.kept]


def _setting(name: str, value: Any) -> str:
    if name == "files":
        return ", ".join(file for file, _ in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items())
    return shown(value)
