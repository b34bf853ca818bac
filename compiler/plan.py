"""The compiler's one output: a Plan, a frozen DAG of jobs, and its form on disk (plan.json)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

FORMAT = 1
PLAN_FILE = "plan.json"
SMOKE = "smoke"  # the kind of a smoke run, and the role in which jobs wait for theirs; never hashed


class PlanError(Exception):
    """A plan folder that cannot be read; the message says which file and what to do."""


def short_ref(ref: str) -> str:
    """An artifact's `kind/identity` with as much of the identity as tells it from others."""
    kind, _, identity = ref.partition("/")
    return f"{kind}/{identity[:12]}"


@dataclass(frozen=True, slots=True)
class Need:
    """One input of a job: an artifact of another job, or one output folder inside it."""

    role: str
    job: str
    artifact: str  # "kind/identity", the artifact's place in the store
    output: str  # sub-folder of the artifact that is read; "" is the artifact's folder itself


@dataclass(frozen=True, slots=True)
class Job:
    """One node of the plan. What determines its result is in `config` and `needs`; resources never are."""

    id: str
    kind: str
    cls: str
    identity: str
    config: Mapping[str, Any]
    needs: tuple[Need, ...] = ()
    computation: str = ""  # training kinds: the key of resume state; "" means the identity serves
    kept: Mapping[int, str] = field(default_factory=dict)  # training kinds: kept step -> artifact identity
    resources: Mapping[str, Any] = field(default_factory=dict)
    estimate: Mapping[str, float] = field(default_factory=dict)
    source: tuple[str, ...] = ()  # "file:line:column" of the spec lines it came from
    aliases: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Short: a config is hundreds of lines."""
        return f"<Job {self.id}: {self.kind} {self.identity[:12]}>"

    @property
    def artifact(self) -> str:
        return f"{self.kind}/{self.identity}"

    @property
    def work_key(self) -> str:
        """Where resume state and the writer's lease live in the store."""
        return self.computation or self.identity

    @property
    def inputs(self) -> tuple[Need, ...]:
        """What it reads: its needs, without what only has to be done before it."""
        return tuple(need for need in self.needs if need.role != SMOKE)

    def artifacts(self) -> tuple[str, ...]:
        """Every artifact the job must leave; it is done when all of them are there."""
        if not self.kept:
            return (self.artifact,)
        return tuple(f"{self.kind}/{identity}" for identity in self.kept.values())


@dataclass(frozen=True)
class Plan:
    """Jobs in topological order, with all that the runtime and the report need. Never mutated."""

    experiment: str
    seed: int
    root: str  # the spec's folder, relative to the plan folder
    spec: str  # the spec's file name
    profile: Mapping[str, Any]
    jobs: tuple[Job, ...]
    report: Mapping[str, Any]
    digest: str = ""  # of everything a reviewer read, source positions aside

    @cached_property
    def by_id(self) -> Mapping[str, Job]:
        names = {job.id: job for job in self.jobs}
        for job in self.jobs:
            for alias in job.aliases:
                names.setdefault(alias, job)
        return names

    def job(self, job_id: str) -> Job:
        """The job of this id or alias. Raises KeyError."""
        return self.by_id[job_id]

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain data: what members of a class have in common is written once."""
    data = lazy_json(plan)
    data["jobs"] = list(data["jobs"])
    return data


def lazy_json(plan: Plan) -> dict[str, Any]:
    """`to_json` with `jobs` as an iterator, for who needs each of many only once."""
    members: dict[str, list[Job]] = {}
    for job in plan.jobs:
        members.setdefault(job.cls, []).append(job)
    common = {cls: _common(_unlike(job.config for job in jobs)) for cls, jobs in members.items()}
    return {
        "format": FORMAT,
        "experiment": plan.experiment,
        "seed": plan.seed,
        "root": plan.root,
        "spec": plan.spec,
        "digest": plan.digest,
        "profile": dict(plan.profile),
        "classes": {
            cls: {"kind": jobs[0].kind, "resources": dict(jobs[0].resources), "config": common[cls]}
            for cls, jobs in members.items()
        },
        "jobs": _jobs_json(plan.jobs, common),
        "report": dict(plan.report),
    }


def _jobs_json(jobs: Iterable[Job], common: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    own: dict[tuple[str, int], dict[str, Any]] = {}
    for job in jobs:
        key = job.cls, id(job.config)
        if key not in own:
            own[key] = without(job.config, common[job.cls])
        yield _job_json(job, own[key])


def _job_json(job: Job, config: Mapping[str, Any]) -> dict[str, Any]:
    """A job as plain data, needs aside, which orjson writes as they are. `config` is its own part."""
    out: dict[str, Any] = {"id": job.id, "class": job.cls, "identity": job.identity}
    if job.computation:
        out["computation"] = job.computation
        out["kept"] = {str(step): identity for step, identity in job.kept.items()}
    out["needs"] = job.needs
    out["config"] = config
    if job.estimate:
        out["estimate"] = job.estimate
    if job.aliases:
        out["aliases"] = job.aliases
    out["source"] = job.source
    return out


def from_json(data: Mapping[str, Any]) -> Plan:
    """The inverse of `to_json`. Raises PlanError when the data is of another format."""
    if data.get("format") != FORMAT:
        raise PlanError(
            f"plan format {data.get('format')!r} is not {FORMAT}: run `exc compile` with this version of exc"
        )
    classes = data["classes"]
    configs: dict[tuple[str, bytes], dict[str, Any]] = {}  # jobs share equal ones, as when they were made
    jobs = []
    for item in data["jobs"]:
        name = item["class"]
        key = name, orjson.dumps(item["config"])
        if key not in configs:
            configs[key] = merged(classes[name]["config"], item["config"])
        jobs.append(_job_from_json(item, classes[name], configs[key]))
    return Plan(
        experiment=data["experiment"],
        seed=data["seed"],
        root=data["root"],
        spec=data["spec"],
        profile=data["profile"],
        jobs=tuple(jobs),
        report=data["report"],
        digest=data["digest"],
    )


def _job_from_json(item: Mapping[str, Any], cls: Mapping[str, Any], config: Mapping[str, Any]) -> Job:
    return Job(
        id=item["id"],
        kind=cls["kind"],
        cls=item["class"],
        identity=item["identity"],
        config=config,
        needs=tuple(Need(**need) for need in item["needs"]),
        computation=item.get("computation", ""),
        kept={int(step): identity for step, identity in item.get("kept", {}).items()},
        resources=cls["resources"],
        estimate=item.get("estimate", {}),
        source=tuple(item["source"]),
        aliases=tuple(item.get("aliases", ())),
    )


def read_plan(folder: Path) -> Plan:
    """Read plan.json in `folder`. Raises PlanError with what is wrong and what to do."""
    path = folder / PLAN_FILE
    try:
        return from_json(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no plan here; make one with `exc compile`") from None
    except NotADirectoryError:
        raise PlanError(f"{folder} is a file, not a plan folder; `exc compile` writes one") from None
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(
            f"{path}: not a plan that exc wrote ({error!r}); write it anew with `exc compile`"
        ) from None


def dump(data: Any) -> bytes:
    """Plain data as readable JSON, the same bytes for the same data."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


_MISSING = object()


def _unlike(configs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The configs without repeats of one object: many jobs share theirs."""
    return list({id(config): config for config in configs}.values())


def _common(configs: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What all configs share, maps compared key by key, everything else as a whole."""
    first, rest = configs[0], configs[1:]
    out: dict[str, Any] = {}
    for key, value in first.items():
        others = [config.get(key, _MISSING) for config in rest]
        if all(other is value or _same(other, value) for other in others):
            out[key] = value
        elif isinstance(value, dict) and all(isinstance(other, dict) for other in others):
            out[key] = _common([value, *others])
    return out


def _same(a: Any, b: Any) -> bool:
    """Whether two values are written alike: 1 and 1.0 are equal and yet not the same."""
    if type(a) is not type(b) or a != b:
        return False
    return not isinstance(a, dict | list) or orjson.dumps(a) == orjson.dumps(b)


def without(config: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """What `config` says beyond `common`."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        if key not in common:
            out[key] = value
        elif isinstance(value, dict) and value is not common[key] and value != common[key]:
            out[key] = without(value, common[key])
    return out


def merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`common` overlaid with `own`, maps merged deep: the inverse of `without`."""
    out = dict(common)
    for key, value in own.items():
        base = out.get(key)
        out[key] = merged(base, value) if isinstance(base, Mapping) and isinstance(value, Mapping) else value
    return out
