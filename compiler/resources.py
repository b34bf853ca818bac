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
        self._given: dict[tuple[object, ...], Resources] = {}

    def of(self, draft: Draft) -> Resources:
        key = (draft.kind, draft.cls, *draft.selector.items())
        if key not in self._given:
            self._given[key] = self._merged({**draft.selector, "kind": draft.kind, "job_class": draft.cls})
        return self._given[key]

    def _merged(self, facts: Mapping[str, str]) -> Resources:
        out: dict[str, Any] = {"cpus": DEFAULT_CPUS}
        for conditions, values in self._entries:
            if all(key in facts and includes(said, facts[key]) for key, said in conditions.items()):
                out |= values
        return out


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
