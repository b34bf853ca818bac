"""What of a spec is named on the hub, and whether the lock says what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from exc.compiler.facts import LockedRepo
from exc.lock import Lock, LockError, Wanted, read_lock, resolve, write_lock
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment
from exc.spec.experiment import Path as SpecPath


def named(draft: Experiment) -> Iterator[tuple[SpecPath, Wanted]]:
    """Everything on the hub that the spec names, with the place of its name."""
    spec = draft.spec
    for source, data in spec.data.items():
        if data.hub is not None:
            part = f"{data.hub.config}/{data.hub.split}"
            yield (
                ("data", source, "hub", "repo"),
                Wanted(data.hub.key, data.hub.repo, data.hub.revision, part),
            )
    for name, trunk in spec.trunks.items():
        if trunk.hub is not None:
            yield ("trunks", name, "hub", "repo"), Wanted(trunk.hub.key, trunk.hub.repo, trunk.hub.revision)
    for recipe, stages in spec.recipes.items():
        for index, stage in enumerate(stages):
            if stage.hub is not None:
                path: SpecPath = ("recipes", recipe, index, "hub", "repo")
                yield path, Wanted(stage.hub.key, stage.hub.repo, stage.hub.revision)


def locked(draft: Experiment, root: Path, diagnostics: Diagnostics) -> Mapping[str, LockedRepo]:
    """What the lock holds of what the spec names; of what it lacks, a warning each."""
    wanted = list(named(draft))
    if not wanted:
        return {}
    try:
        lock = read_lock(root)
    except LockError as error:
        diagnostics.error("damaged-lock", str(error))
        return {}
    for path, name in wanted:
        if name.key not in lock:
            diagnostics.warning(
                "unlocked",
                f"{name.repo} at `{name.revision}` is not locked: the plan can be read, but not run",
                draft.span(*path),
                hint="run `exc lock` where the hub can be reached",
            )
    return {name.key: lock[name.key] for _, name in wanted if name.key in lock}


def update_lock(draft: Experiment, root: Path, *, anew: bool, diagnostics: Diagnostics) -> list[str]:
    """Resolve what the lock lacks, or with `anew` everything, and write it; gives a line for each change.

    Names that the hub does not know are errors at their place. Raises LockError and Unreachable.
    """
    before = _before(root, anew=anew)
    lock, said = dict({} if anew else before), []
    try:
        for path, wanted in named(draft):
            if wanted.key in lock:
                continue
            try:
                lock[wanted.key] = resolve(wanted)
            except LockError as error:
                diagnostics.error("unknown-on-hub", str(error), draft.span(*path))
                continue
            said.append(f"{wanted.key}: {lock[wanted.key].commit}")
    finally:  # what was learnt before the hub went away is kept, and so is what was known of the rest
        if said:
            rest = {name.key: before[name.key] for _, name in named(draft) if name.key in before}
            write_lock(root, {**rest, **lock})
    return said


def _before(root: Path, *, anew: bool) -> Lock:
    """What was locked; where everything is resolved anew, a damaged lock says nothing. Raises LockError."""
    try:
        return read_lock(root)
    except LockError:
        if anew:
            return {}
        raise
