"""Which resources a job gets from the profile, and which class it is therefore in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exc.compiler.build import Draft
from exc.spec.cells import includes
from exc.spec.profiles import Profile

DEFAULT_CPUS = 1

Resources = Mapping[str, Any]  # as a profile names them; shared by jobs, and never changed


class Allotment:
    """What a profile gives each job: its entries that match, merged; more conditions win, then the later."""

    def __init__(self, profile: Profile) -> None:
        entries = [
            (entry.on.model_dump(exclude_none=True), entry.model_dump(exclude={"on"}, exclude_none=True))
            for entry in profile.resources
        ]
        self._entries = sorted(entries, key=lambda entry: len(entry[0]))
        self._given: dict[tuple[object, ...], tuple[Resources, bool]] = {}
        self.may_smoke = any(values.get("smoke") or values.get("gpus") for _, values in entries)

    def of(self, draft: Draft) -> Resources:
        return self._of(draft)[0]

    def smokes(self, draft: Draft) -> bool:
        """Whether a smoke run comes before such a job, if its kind can have one."""
        return self._of(draft)[1]

    def of_smoke(self, facts: Mapping[str, str], stands_for: Resources) -> Resources:
        """What a smoke run gets: what the jobs get that it stands for, and what entries say of itself."""
        own = [
            values
            for conditions, values in self._entries
            if conditions.keys() & {"kind", "job_class"} and _match(conditions, facts)
        ]
        out = dict(stands_for)
        for values in own:
            out |= {name: value for name, value in values.items() if name != "smoke"}
        return out

    def _of(self, draft: Draft) -> tuple[Resources, bool]:
        key = (draft.kind, draft.cls, *draft.selector.items())
        if key not in self._given:
            given = self._merged({**draft.selector, "kind": draft.kind, "job_class": draft.cls})
            smoke = given.pop("smoke", None)
            self._given[key] = given, given.get("gpus", 0) > 0 if smoke is None else smoke
        return self._given[key]

    def _merged(self, facts: Mapping[str, str]) -> dict[str, Any]:
        out: dict[str, Any] = {"cpus": DEFAULT_CPUS}
        for conditions, values in self._entries:
            if _match(conditions, facts):
                out |= values
        return out


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
