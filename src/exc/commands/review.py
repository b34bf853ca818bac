"""`exc plan`, `exc diff`, `exc show`: what will run and why, what changed, what a job is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from exc.commands.stale import difference
from exc.commands.terminal import diagnostics_json, fail, print_json, show_diagnostics
from exc.compiler.classes import WHAT, class_configs, job_classes
from exc.compiler.diff import diff_plans
from exc.compiler.folder import script
from exc.compiler.identity import identity_fields
from exc.compiler.plan import Job, Plan, PlanError, read_plan, short_ref, to_json
from exc.pipeline import Compiled, compile_spec
from exc.runtime.wording import here
from exc.spec.words import plural


def plan(args: argparse.Namespace) -> int:
    """Say of each job whether it runs or is reused, and why."""
    from exc.commands.reasons import print_review, review, review_json
    from exc.runtime.places import find_store
    from exc.runtime.store import StoreError

    spec = Path(args.spec)
    out = Path(args.out) if args.out else spec.parent / "plan"
    compiled = compile_spec(spec, out, args.profile)
    if compiled.plan is None or compiled.experiment is None:
        return _refuse(compiled, json=args.json)
    try:
        verdicts = review(compiled.plan, find_store(compiled.plan, out.absolute()))
    except StoreError as error:
        return fail(str(error))
    if args.json:
        print_json(review_json(verdicts, compiled.experiment))
    else:
        print_review(compiled.plan, verdicts, compiled.experiment)
    return 0


def _refuse(compiled: Compiled, *, json: bool) -> int:
    """Say why there is no plan."""
    if json:
        print_json({"diagnostics": diagnostics_json(compiled)})
    else:
        show_diagnostics(compiled)
    return 1


def diff(args: argparse.Namespace) -> int:
    """Compare two plans, or a plan with what its spec says now."""
    new_folder = Path(args.new or args.old)
    try:
        old, new = read_plan(Path(args.old)), read_plan(new_folder)
    except PlanError as error:
        return fail(str(error))
    spec = Path(here((new_folder / new.root / new.spec).resolve()))
    compiled = compile_spec(spec, new_folder, new.profile["name"])
    experiment = compiled.experiment
    if args.new is not None:
        # The spec tells lines more exactly than the plan, as long as it is still what the plan was made from.
        if compiled.plan is None or compiled.plan.digest != new.digest:
            experiment = None
    elif compiled.plan is None:
        return _refuse(compiled, json=args.json)
    else:
        new = compiled.plan
    found = diff_plans(old, new)
    lines = difference(found, experiment) if found else []
    if args.json:
        print_json({"differ": bool(found), "kept": found.kept, "lines": [line.strip() for line in lines]})
    elif found:
        print("\n".join(line.removeprefix("  ") for line in lines))
        print(f"{plural(found.kept, 'job')} as before")
    else:
        print("no difference")
    return 1 if found else 0


def show(args: argparse.Namespace) -> int:
    """A job: what it is, what it reads and leaves, its config and script."""
    from exc.runtime.selecting import find_one

    try:
        loaded = read_plan(Path(args.plan))
    except PlanError as error:
        return fail(str(error))
    try:
        job = find_one(loaded, args.job)
    except LookupError as error:
        return fail(_what_is_meant(loaded, args.job) or str(error))
    if args.json:
        print_json(_job_json(job))
        return 0
    print(_job_text(loaded, job))
    return 0


def _what_is_meant(plan: Plan, name: str) -> str | None:
    """What a name is that is none of a job: that of a class, or of a step that a job keeps."""
    of_class = [job.id for job in plan.jobs if job.cls == name]
    if of_class:
        return f"`{name}` is a class of {plural(len(of_class), 'job')}; name one, such as `{of_class[0]}`"
    before, _, step = name.rpartition("@")
    if before in plan.by_id:
        return f"the plan has no job `{name}`; `{step}` is a step of `{before}`"
    return None


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "aliases": list(job.aliases),
        "kind": job.kind,
        "class": job.cls,
        "identity": job.identity,
        "computation": job.computation or None,
        "kept": {str(step): identity for step, identity in job.kept.items()},
        "needs": [
            {"role": n.role, "job": n.job, "artifact": n.artifact, "output": n.output} for n in job.needs
        ],
        "hashed": identity_fields(job.kind, job.config),
        "config": job.config,
        "resources": job.resources,
        "estimate": job.estimate,
        "source": list(job.source),
    }


def _job_text(loaded: Plan, job: Job) -> str:
    cls = next(cls for cls in job_classes(loaded) if cls.name == job.cls)
    config = class_configs(to_json(_only(loaded, job)))[job.cls]
    head = [f"{job.id}: {WHAT[job.kind]}"]
    if job.aliases:
        head.append(f"also       {', '.join(job.aliases)}")
    head += [f"spec       {', '.join(job.source)}", f"leaves     {', '.join(job.artifacts())}"]
    if len(job.kept) > 1:
        head.append(f"kept       {', '.join(map(str, job.kept))}")
    lineage = ["lineage", *_lineage(loaded, job)]
    readers = [other.id for other in loaded.jobs if any(need.job == job.id for need in other.needs)]
    if readers:
        lineage.append(f"read by    {', '.join(readers[:6])}{', ...' if len(readers) > 6 else ''}")
    return "\n".join([*head, "", *lineage, "", config, f"# jobs/{job.cls}.sh", script(loaded, cls)])


def _only(loaded: Plan, job: Job) -> Plan:
    """The plan with one job, so that its config is written out whole."""
    return Plan(
        loaded.experiment, loaded.seed, loaded.root, loaded.spec, loaded.profile, (job,), loaded.report
    )


def _lineage(loaded: Plan, job: Job) -> list[str]:
    """What a job reads, and what that reads, as an indented tree; what was shown is not opened again."""
    lines: list[str] = []
    seen: set[str] = set()
    stack = [(1, need) for need in reversed(job.needs)]  # chains are longer than Python recurses
    while stack:
        depth, need = stack.pop()
        reads = loaded.job(need.job).needs
        again = need.job in seen and bool(reads)
        lines.append(
            f"{'  ' * depth}{need.role} <- {need.job} ({short_ref(need.artifact)}){' ...' if again else ''}"
        )
        seen.add(need.job)
        stack += [] if again else [(depth + 1, below) for below in reversed(reads)]
    return lines
