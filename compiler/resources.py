"""Which resources a job gets from the profile, and which class it is therefore in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from exc.compiler.build import Draft
from exc.compiler.launch import processes
from exc.compiler.plan import merged
from exc.spec.cells import includes
from exc.spec.profiles import OWN_NODES, TOGETHER, Profile
from exc.spec.profiles import Resources as ResourcesEntry

DEFAULT_CPUS = 1
_SPREAD = ("processes", "launch")
ALONE = ("nodes", *_SPREAD)  # what a job has not that runs in one process

Resources = Mapping[str, Any]  # as a profile names them; shared by jobs, and never changed


# (fsdp or deepspeed, file as the profile names it) -> its settings
LaunchFiles = Mapping[tuple[str, str], Mapping[str, Any]]


def _given(entry: ResourcesEntry, files: LaunchFiles) -> dict[str, Any]:
    """What an entry says. Of `slurm` only what was written: the rest is the profile's."""
    out: dict[str, Any] = entry.model_dump(exclude={"on", "slurm"}, exclude_none=True)
    if entry.slurm is not None:
        out["slurm"] = entry.slurm.model_dump(exclude_none=True, exclude_defaults=True)
    for way, name in out.get("launch", {}).copy().items():
        out["launch"]["settings"] = dict(files.get((way, name), {}))
    return out


class Allotment:
    """What a profile gives each job: its entries that match, merged; more conditions win, then the later."""

    def __init__(self, profile: Profile, files: LaunchFiles = MappingProxyType({})) -> None:
        entries = [
            (entry.on.model_dump(exclude_none=True), _given(entry, files)) for entry in profile.resources
        ]
        self._entries = sorted(entries, key=lambda entry: len(entry[0]))
        self._given: dict[tuple[object, ...], tuple[Resources, bool]] = {}
        self.may_smoke = any(values.get("smoke") or values.get("gpus") for _, values in entries)

    def of(self, draft: Draft) -> Resources:
        return self._of(draft)[0]

    def smokes(self, draft: Draft) -> bool:
        """Whether a smoke run comes before such a job, if its kind can have one."""
        return self._of(draft)[1]

    def of_smoke(self, facts: Mapping[str, str], stands_for: Resources, kind: str) -> Resources:
        """What a smoke run gets: what one process of the jobs gets, and what entries say of itself."""
        own = [
            values
            for conditions, values in self._entries
            if conditions.keys() & {"kind", "job_class"} and _match(conditions, facts)
        ]
        out = _without(stands_for, ALONE)
        per_node = processes(kind, stands_for)
        out |= {"gpus": max(1, out["gpus"] // per_node)} if out.get("gpus") else {}
        for values in own:
            _overlay(out, {name: value for name, value in values.items() if name != "smoke"})
        return out

    def _of(self, draft: Draft) -> tuple[Resources, bool]:
        key = (draft.kind, draft.cls, *draft.selector.items())
        if key not in self._given:
            given = self._merged({**draft.selector, "kind": draft.kind, "job_class": draft.cls})
            smoke = given.pop("smoke", None)
            if draft.kind not in TOGETHER:
                given = _without(given, _SPREAD if draft.kind in OWN_NODES else ALONE)
            # What needs its weights spread cannot be tried in one process.
            by_default = given.get("gpus", 0) > 0 and "launch" not in given
            self._given[key] = given, by_default if smoke is None else smoke
        return self._given[key]

    def _merged(self, facts: Mapping[str, str]) -> dict[str, Any]:
        out: dict[str, Any] = {"cpus": DEFAULT_CPUS}
        for conditions, values in self._entries:
            if _match(conditions, facts):
                _overlay(out, values)
        return out


def _without(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def _overlay(under: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put `over` on `under`: maps are merged, a way to launch replaces the other."""
    for name, value in over.items():
        before = under.get(name)
        if isinstance(value, dict) and isinstance(before, dict) and name != "launch":
            under[name] = merged(before, value)
        else:
            under[name] = value


def _match(conditions: Mapping[str, str], facts: Mapping[str, str]) -> bool:
    return all(key in facts and includes(said, facts[key]) for key, said in conditions.items())


def split_classes(drafts: Sequence[Draft], resources: Sequence[Resources]) -> list[str]:
    """The class name of each job: its own, with a number where members of one name get unlike resources."""
    variants: dict[str, list[Resources]] = {}
    names = []
    for draft, given in zip(drafts, resources, strict=True):
        seen = variants.setdefault(draft.cls, [])
        if given not in seen:
            seen.append(given)
        index = seen.index(given)
        names.append(draft.cls if index == 0 else f"{draft.cls}.{index + 1}")
    return names
