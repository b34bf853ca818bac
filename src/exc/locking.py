"""What of a spec names models on the hub, and whether the lock says what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from exc.compiler.facts import LockedModel
from exc.lock import Lock, LockError, read_lock, resolve, write_lock
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment
from exc.spec.experiment import Path as SpecPath
from exc.spec.published import HubModel


def hub_models(draft: Experiment) -> Iterator[tuple[SpecPath, HubModel]]:
    """Every model on the hub that the spec names, with its place."""
    for recipe, stages in draft.spec.recipes.items():
        for index, stage in enumerate(stages):
            if stage.hub is not None:
                yield ("recipes", recipe, index, "hub"), stage.hub


def locked_models(draft: Experiment, root: Path, diagnostics: Diagnostics) -> Mapping[str, LockedModel]:
    """What the lock holds of the spec's models; of those that it lacks, a warning each."""
    named = list(hub_models(draft))
    if not named:
        return {}
    try:
        lock = read_lock(root)
    except LockError as error:
        diagnostics.error("damaged-lock", str(error))
        return {}
    for path, model in named:
        if model.key not in lock.models:
            diagnostics.warning(
                "unlocked",
                f"{model.repo} at `{model.revision}` is not locked: the plan can be read, but not run",
                draft.span(*path, "repo"),
                hint="run `exc lock` where the hub can be reached",
            )
    return {model.key: lock.models[model.key] for _, model in named if model.key in lock.models}


def update_lock(draft: Experiment, root: Path, *, anew: bool, diagnostics: Diagnostics) -> list[str]:
    """Resolve what the lock lacks, or with `anew` everything, and write it; gives a line for each change.

    Names that the hub does not know are errors at their place. Raises LockError and Unreachable.
    """
    before = Lock({}) if anew else read_lock(root)
    models, said = dict(before.models), []
    for path, model in hub_models(draft):
        if model.key in models:
            continue
        try:
            models |= resolve([(model.repo, model.revision)])
        except LockError as error:
            diagnostics.error("unknown-on-hub", str(error), draft.span(*path, "repo"))
            continue
        said.append(f"{model.key}: {models[model.key].commit}")
    if said:
        write_lock(root, Lock(models))
    return said
