"""Jobs as a person names them: an id, an alias, a unique beginning, a pattern; a recipe or a trunk.

A job's id says where it stands: `trunk/at/recipe/rN/stage`, `trunk/pretrain/step`, with `.evaluation` and so
on behind. No name of a spec holds a slash, so that an id can be taken apart again.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from exc.compiler.plan import Job, Plan
from exc.runtime.outputs import no_such_job

_MOST_NAMED = 5
_BRANCH_PARTS = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the experiment a job stands; empty where it stands for no one of them."""

    trunk: str = ""
    checkpoint: str = ""
    recipe: str = ""
    replicate: str = ""


def place_of(name: str) -> Place:
    """What a job's id or alias says."""
    parts = name.split("/")
    if len(parts) >= _BRANCH_PARTS and parts[3][:1] == "r" and parts[3][1:].isdigit():
        return Place(parts[0], parts[1], parts[2], parts[3][1:])
    if len(parts) == 3 and parts[1] in ("pretrain", "fetch"):
        return Place(parts[0], parts[2].split(".")[0], "base" if "." in parts[2] else "")
    return Place(parts[0]) if len(parts) > 1 and parts[0] not in ("tasks", "data") else Place()


def is_pattern(wanted: str) -> bool:
    return any(sign in wanted for sign in "*?")


def names_of(job: Job) -> Iterator[str]:
    yield job.id
    yield from job.aliases


def find_jobs(plan: Plan, wanted: str) -> list[Job]:
    """The jobs that an id, an alias, a pattern (`*`, `?`) or the beginning of an id means, in plan order.

    Raises LookupError, with the nearest names, if there is none.
    """
    if wanted in plan.by_id:
        return [plan.job(wanted)]
    if is_pattern(wanted):
        # Brackets stand in names of matrix cells, and mean themselves.
        pattern = wanted.replace("[", "[[]")
        found = [job for job in plan.jobs if any(fnmatchcase(name, pattern) for name in names_of(job))]
    else:
        found = [job for job in plan.jobs if any(name.startswith(wanted) for name in names_of(job))]
    if found:
        return found
    raise no_such_job(plan, wanted)


def find_one(plan: Plan, wanted: str) -> Job:
    """The one job that is meant. Raises LookupError if there is none, or more than one, naming them."""
    found = find_jobs(plan, wanted)
    first = min(found, key=lambda job: len(job.id))
    # Evaluations are named after the job whose model they measure: that job is the one meant.
    if all(job is first or job.id.startswith(f"{first.id}.") for job in found):
        return first
    named = "".join(f"\n  {job.id}" for job in found[:_MOST_NAMED])
    more = f"\n  and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    raise LookupError(f"{wanted} could be {len(found)} jobs:{named}{more}")


def jobs_of_recipe(plan: Plan, recipe: str) -> list[Job]:
    """Jobs that belong to a recipe, or to a cell of its matrix, and to no other. Raises LookupError."""
    return _jobs_of(plan, recipe, "recipe", lambda place: place.recipe)


def jobs_of_trunk(plan: Plan, trunk: str) -> list[Job]:
    """Jobs that belong to a trunk, its branches included, and to no other. Raises LookupError."""
    return _jobs_of(plan, trunk, "trunk", lambda place: place.trunk)


def _jobs_of(plan: Plan, wanted: str, what: str, part: Callable[[Place], str]) -> list[Job]:
    owners = {job.id: {part(place_of(name)) for name in names_of(job)} for job in plan.jobs}
    found = [job for job in plan.jobs if all(_is_cell(owner, wanted) for owner in owners[job.id])]
    if found:
        return found
    known = sorted({owner for some in owners.values() for owner in some if owner})
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known[:_MOST_NAMED])}"
    raise LookupError(f"the plan of {plan.experiment} has no {what} {wanted}{hint if known else ''}")


def _is_cell(owner: str, wanted: str) -> bool:
    """Whether this is the name, or that of one of its matrix cells: `name[k=v]`."""
    return owner == wanted or owner.startswith(f"{wanted}[")
