"""Which resources a job gets from the profile, and which class it is therefore in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exc.compiler.build import Draft
from exc.spec.profiles import Profile, Resources

DEFAULT_CPUS = 1


def resources_of(draft: Draft, profile: Profile) -> dict[str, Any]:
    """The profile's entries that match the job, merged: more conditions win, then the later entry."""
    out: dict[str, Any] = {"cpus": DEFAULT_CPUS}
    matching = [entry for entry in profile.resources if _matches(entry, draft)]
    for entry in sorted(matching, key=_num_conditions):
        out |= entry.model_dump(exclude={"on"}, exclude_none=True)
    return out


def _conditions(entry: Resources) -> dict[str, str]:
    return entry.on.model_dump(exclude_none=True)


def _num_conditions(entry: Resources) -> int:
    return len(_conditions(entry))


def _matches(entry: Resources, draft: Draft) -> bool:
    facts = {**draft.selector, "kind": draft.kind, "job_class": draft.cls}
    return all(facts.get(name) == wanted for name, wanted in _conditions(entry).items())


def split_classes(drafts: Sequence[Draft], resources: Sequence[dict[str, Any]]) -> list[str]:
    """The class name of each job: its own, with a number where members of one name get unlike resources."""
    variants: dict[str, list[dict[str, Any]]] = {}
    names = []
    for draft, given in zip(drafts, resources, strict=True):
        seen = variants.setdefault(draft.cls, [])
        if given not in seen:
            seen.append(given)
        index = seen.index(given)
        names.append(draft.cls if index == 0 else f"{draft.cls}.{index + 1}")
    return names
