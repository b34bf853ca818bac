"""Published checkpoints on the hub: which there are, and which of them a spec asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exc.compiler.ladder import make_ladder
from exc.compiler.schedules import ScheduleError
from exc.lock import Lock, LockError, Refs, Wanted, list_refs
from exc.spec.diagnostics import MAX_LISTED, Diagnostics
from exc.spec.experiment import Experiment
from exc.spec.experiment import Path as SpecPath
from exc.spec.ladders import Names
from exc.spec.trunks import Trunk
from exc.spec.words import listed, plural


def ladders(draft: Experiment) -> Iterator[tuple[str, Names]]:
    """The trunks whose checkpoints are published on the hub, and how these are called."""
    for name, trunk in draft.spec.trunks.items():
        if trunk.hub is not None and (names := trunk.hub.names) is not None:
            yield name, names


def published(name: str, trunk: Trunk, refs: Refs) -> Iterator[tuple[SpecPath, Wanted]]:
    """The checkpoints of a trunk that its schedule asks for; none while its repositories are not listed."""
    assert trunk.hub is not None
    names = trunk.hub.names
    if names is None or any(place not in refs for place in names.places) or trunk.checkpoints is None:
        return
    ladder = make_ladder(names, refs)
    try:
        steps = ladder.resolve(trunk.checkpoints).steps
    except ScheduleError:
        return  # which is an error at its place in the spec
    for _, step in steps:
        rung = ladder.at(step)
        wanted = Wanted(
            f"{rung.place}@{rung.name}", rung.place, rung.name, commit=refs[rung.place][rung.name]
        )
        yield _place(name, trunk), wanted


def _place(name: str, trunk: Trunk) -> SpecPath:
    hub: Any = trunk.hub
    return "trunks", name, "hub", "preset" if hub.preset else "repo" if hub.repo else "repos"


def list_all(draft: Experiment, refs: dict[str, Mapping[str, str]], diagnostics: Diagnostics) -> list[str]:
    """List what is not in `refs` yet; gives a line for each trunk. Raises Unreachable."""
    said = []
    for name, names in ladders(draft):
        missing = [place for place in names.places if place not in refs]
        for repo in missing:
            try:
                refs[repo] = list_refs(repo)
            except LockError as error:
                place = _place(name, draft.spec.trunks[name])
                where = (*place, names.places.index(repo)) if place[-1] == "repos" else place
                diagnostics.error("unknown-on-hub", str(error), draft.span(*where))
        if missing and all(place in refs for place in names.places):
            said.append(f"{name}: {_described(names, refs)}")
    return said


def _described(names: Names, refs: Refs) -> str:
    ladder = make_ladder(names, refs)
    said = plural(len(ladder.rungs), "checkpoint")
    if ladder.rungs:
        said += f" from {ladder.shown(ladder.steps[0])} to {ladder.shown(ladder.last)}"
    if ladder.strays:
        said += f"; {plural(len(ladder.strays), 'name')} beside them: {listed(ladder.strays, MAX_LISTED)}"
    return said


def warn_unlisted(draft: Experiment, refs: Refs, lock: Lock, diagnostics: Diagnostics) -> None:
    """Warn of each trunk whose checkpoints were not listed, or not all locked that its schedule asks for."""
    hint = "run `exc lock` where the hub can be reached"
    for name, names in ladders(draft):
        trunk = draft.spec.trunks[name]
        span = draft.span(*_place(name, trunk))
        if any(place not in refs for place in names.places):
            known = "which steps there are is taken from a list in exc"
            taken = known if names.steps else "any step is taken for one"
            message = (
                f"the checkpoints of `{name}` are not locked: {taken}, and the plan can be read, but not run"
            )
            diagnostics.warning("unlocked", message, span, hint=hint)
            continue
        lacking = [wanted.revision for _, wanted in published(name, trunk, refs) if wanted.key not in lock]
        if lacking:
            shown = listed(lacking, MAX_LISTED)
            message = (
                f"of the checkpoints of `{name}` these are not locked: {shown}; "
                "the plan can be read, but not run"
            )
            diagnostics.warning("unlocked", message, span, hint=hint)
