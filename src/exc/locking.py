"""What of a spec is named on the hub, and whether the lock says what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from exc.compiler.facts import LockedRepo
from exc.lock import LockError, Refs, Wanted, read_lock, read_refs, resolve, write_lock
from exc.locking_ladders import ladders, list_all, published, warn_unlisted
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment
from exc.spec.experiment import Path as SpecPath
from exc.spec.words import plural

T = TypeVar("T")


def named(draft: Experiment, refs: Refs) -> Iterator[tuple[SpecPath, Wanted]]:
    """Everything on the hub that the spec names, with the place of its name.

    Which published checkpoints these are follows from the names that were listed, `refs`.
    """
    spec = draft.spec
    for source, data in spec.data.items():
        if data.hub is not None and ("data", source) not in draft.unused:
            part = f"{data.hub.config}/{data.hub.split}"
            yield (
                ("data", source, "hub", "repo"),
                Wanted(data.hub.key, data.hub.repo, data.hub.revision, part),
            )
    for name, trunk in spec.trunks.items():
        if trunk.hub is not None and trunk.hub.names is not None:
            yield from published(name, trunk, refs)
        elif trunk.hub is not None and trunk.hub.repo is not None:
            single = trunk.hub.model
            yield ("trunks", name, "hub", "repo"), Wanted(single.key, single.repo, single.revision)
        tokenizer = trunk.pretrain.tokenizer if trunk.pretrain is not None else None
        if tokenizer is not None and tokenizer.hub is not None:
            model = tokenizer.hub
            place = ("trunks", name, "pretrain", "tokenizer", "hub", "repo")
            yield place, Wanted(model.tokenizer_key, model.repo, model.revision, only="tokenizer")
    for recipe, stages in spec.recipes.items():
        for index, stage in enumerate(stages):
            if stage.hub is not None:
                path: SpecPath = ("recipes", recipe, index, "hub", "repo")
                yield path, Wanted(stage.hub.key, stage.hub.repo, stage.hub.revision)


@dataclass(frozen=True, slots=True)
class Locked:
    """What the lock holds of what a spec names."""

    hub: Mapping[str, LockedRepo]
    refs: Refs


def locked(draft: Experiment, root: Path, diagnostics: Diagnostics) -> Locked:
    """What the lock holds of what the spec names; of what it lacks, a warning each."""
    try:
        lock, refs = read_lock(root), read_refs(root)
    except LockError as error:
        if list(named(draft, {})) or any(ladders(draft)):
            diagnostics.error("damaged-lock", str(error))
        return Locked({}, {})
    wanted = list(named(draft, refs))
    warn_unlisted(draft, refs, lock, diagnostics)
    lacking: dict[tuple[str, str], list[SpecPath]] = {}
    for path, name in wanted:
        if name.key not in lock and not name.commit:
            lacking.setdefault((name.repo, name.revision), []).append(path)
    for (repo, revision), paths in lacking.items():
        more = f", of which {plural(len(paths), 'part')} are read," if len(paths) > 1 else ""
        diagnostics.warning(
            "unlocked",
            f"{repo} at `{revision}`{more} is not locked: the plan can be read, but not run",
            draft.span(*paths[0]),
            hint="run `exc lock` where the hub can be reached",
        )
    places = {place for _, names in ladders(draft) for place in names.places}
    return Locked(
        {name.key: lock[name.key] for _, name in wanted if name.key in lock},
        {repo: names for repo, names in refs.items() if repo in places},
    )


def update_lock(draft: Experiment, root: Path, *, anew: bool, diagnostics: Diagnostics) -> list[str]:
    """Resolve what the lock lacks, or with `anew` everything, and write it; gives a line for each change.

    Names that the hub does not know are errors at their place. Raises LockError and Unreachable.
    """
    before = _before(read_lock, root, anew=anew)
    listed = _before(read_refs, root, anew=anew)
    refs, said = dict({} if anew else listed), list[str]()
    lock = dict({} if anew else before)
    try:
        said += list_all(draft, refs, diagnostics)
        for path, wanted in named(draft, refs):
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
            known = {**listed, **refs}
            rest = {name.key: before[name.key] for _, name in named(draft, known) if name.key in before}
            write_lock(root, {**rest, **lock}, known)
    return said


def _before(read: Callable[[Path], Mapping[str, T]], root: Path, *, anew: bool) -> Mapping[str, T]:
    """What was locked; where everything is resolved anew, a damaged lock says nothing. Raises LockError."""
    try:
        return read(root)
    except LockError:
        if anew:
            return {}
        raise
