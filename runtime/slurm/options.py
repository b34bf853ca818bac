"""What an sbatch call is given: the options of its class, and what differs from one call to the next."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from exc.compiler.plan import Job, Plan
from exc.compiler.slurm_options import SIGNAL, sbatch_options
from exc.runtime.attempts import Attempt, failure_of
from exc.runtime.events import EventTail
from exc.runtime.files import names
from exc.runtime.slurm.grouping import ALONE, Call, Spot
from exc.runtime.slurm.parsing import array_text
from exc.runtime.store import Store

_LEAD_S = 90  # where neither the profile nor an earlier attempt says how long a step takes
_SLACK_S = 30
_SHARE = 0.4  # of the time limit, at most, between the signal and the end
_LAST_BYTES = 1 << 16  # of an events file, for the pace of the last steps
_ATTEMPTS = 4  # looked at, of a class
_BAD_NODE_S = 24 * 3600.0  # how long a node is not used again; by then somebody may have mended it
# What a node may be to blame for. Once for what SLURM itself says of a node, twice for the others.
_OF_NODES = {"node": 2, "killed": 1, "error": 1, "disk": 1, "store": 1}


def call_options(
    plan: Plan,
    call: Call,
    name: str,
    *,
    dependency: str,
    held: bool,
    lead_s: int,
    exclude: Collection[str],
    folder: str,
) -> dict[str, str | bool]:
    """Every option of a call, by name with underscores, as submitit takes them; True is a flag.

    `folder` is where it starts, which has to be seen from every node.
    """
    pack = max(len(jobs) for jobs in call.elements.values())
    given = sbatch_options(call.jobs[0].resources, plan.profile, name, pack=pack)
    out: dict[str, str | bool] = {
        (key if key == "open-mode" else key.replace("-", "_")): value or True for key, value in given.items()
    }
    out["kill_on_invalid_dep"] = "yes"
    out["chdir"] = folder
    out["signal"] = f"B:{SIGNAL}@{lead_s}"
    if list(call.elements) != [ALONE]:
        out["array"] = array_text(list(call.elements))
    if dependency:
        out["dependency"] = dependency
    if held:
        out["hold"] = True
    if nodes := [*filter(None, [given.get("exclude", "")]), *sorted(exclude)]:
        out["exclude"] = ",".join(nodes)
    return out


def dependency_text(
    call: Call, ids: Mapping[str, str], packed: Collection[str], whole: Mapping[str, int]
) -> str:
    """A call's dependencies as sbatch takes them; empty if it has none.

    `ids`: call -> SLURM job id. Elements of `packed` calls are waited for however they end, for their exit
    code says nothing of one job in them: each job's inputs decide. `whole`: arrays made just now -> how many
    elements they have; one that is waited for in all of them is named but once.
    """
    plain: dict[str, list[Spot]] = {}
    for spot in sorted(call.every):
        plain.setdefault(spot.call, []).append(spot)
    terms: dict[str, list[str]] = {"afterok": [], "afterany": [], "aftercorr": []}
    for key, spots in plain.items():
        after = "afterany" if key in packed else "afterok"
        if len(spots) == whole.get(key):
            terms[after].append(ids[key])
        else:
            terms[after] += [ref(ids[key], spot.index) for spot in spots]
    terms["aftercorr"] = [ids[key] for key in sorted(call.twins)]
    return ",".join(":".join([kind, *refs]) for kind, refs in terms.items() if refs)


def ref(slurm_id: str, index: int) -> str:
    return slurm_id if index == ALONE else f"{slurm_id}_{index}"


def lead_time(plan: Plan, jobs: Iterable[Job], store: Store, limit_s: float | None) -> int:
    """Seconds before the time limit at which jobs are told to save: enough for the slowest step seen."""
    lead = float(plan.profile.get("slurm", {}).get("grace", _LEAD_S))
    looked = 0
    for job in jobs:
        parent = store.attempts_path(job.identity)
        for number in names(parent):
            if looked >= _ATTEMPTS:
                break
            looked += 1
            lead = max(lead, 2 * _longest_step(Attempt(parent / number)) + _SLACK_S)
    if limit_s is not None:
        lead = min(lead, _SHARE * limit_s)
    return max(1, int(lead))


def _longest_step(attempt: Attempt) -> float:
    """The longest time between two reports of an attempt, in seconds: a step, with a save in it."""
    times = [
        float(event["time"])
        for event in EventTail(attempt.events, _LAST_BYTES).read()
        if event["event"] in ("progress", "saved", "published")
    ]
    return max((after - before for before, after in pairwise(times)), default=0.0)


def bad_nodes(jobs: Iterable[Job], store: Store) -> set[str]:
    """Nodes that these jobs are better not run on again: they have failed there of what a node may cause."""
    blame: dict[str, int] = {}
    now = time.time()
    for job in jobs:
        parent = store.attempts_path(job.identity)
        for number in names(parent):
            record = Attempt(parent / number).read()
            failure = failure_of(record)
            node = str(_place(record).get("node", ""))
            if failure is None or not node or now - _unix(record.get("ended")) > _BAD_NODE_S:
                continue
            blame[node] = blame.get(node, 0) + _OF_NODES.get(failure.kind, 0)
    return {node for node, points in blame.items() if points >= 2}


def _place(record: Mapping[str, Any]) -> Mapping[str, Any]:
    place = record.get("slurm")
    return place if isinstance(place, dict) else {}


def _unix(moment: object) -> float:
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        return 0.0
