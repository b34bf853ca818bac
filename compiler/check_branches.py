"""Checks of branches: what is selected, how often it is repeated, and where on its trunk it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.compiler.continuing import ContinuesError, continuation
from exc.compiler.points import point_of
from exc.compiler.scope import Place, Scope
from exc.compiler.selection import on_branch
from exc.compiler.trunks import checkpoint_at, lr_config
from exc.compiler.world import World
from exc.spec.diagnostics import MAX_LISTED
from exc.spec.experiment import Path
from exc.spec.references import BASE, ModelRef, Selector
from exc.spec.words import listed


def check_branches(scope: Scope) -> None:
    _check_replicates(scope)
    _check_decay(scope)
    if not scope.diagnostics.has_errors:  # else what is missing may be what was meant
        _check_empty(scope)


def _check_replicates(scope: Scope) -> None:
    """Replicate r reads replicate r, or the only one."""
    for path, reader, ref in scope.references():
        target = scope.target(ref)
        if target is None:
            continue
        for (trunk, at, recipe), wanted in scope.planned.items():
            if (
                reader is not None
                and recipe == reader[0]
                and _reports_unequal(scope, path, ref, target, trunk, at, wanted)
            ):
                break


def _reports_unequal(
    scope: Scope, path: Path, ref: ModelRef, target: Place, trunk: str, at: int, wanted: int
) -> bool:
    owner = ref.trunk or trunk
    if owner not in scope.steps:
        return False
    where = (owner, at if ref.at is None else checkpoint_at(scope.world(), owner, ref.at), target[0])
    there = scope.planned.get(where)
    if there is None:
        return False
    if ref.replicate is not None:
        if ref.replicate >= there:
            message = f"`{target[0]}` has {there} replicates there, so there is no replicate {ref.replicate}"
            scope.error("bad-value", message, (*path, "replicate"), f"a number from 0 to {there - 1}")
            return True
        return False
    if 1 < there < wanted:
        scope.error(
            "bad-value",
            f"{wanted} replicates read `{target[0]}`, which has {there} at `{where[0]}`, {where[1]}",
            (*path, "recipe"),
            "as many replicates there, or one",
            "each replicate reads its own, or all the only one; `replicate: N` names one for all",
        )
        return True
    return False


def _check_decay(scope: Scope) -> None:
    """One finding per trunk, at its checkpoints."""
    taken = {(trunk, at) for trunk, at, _ in scope.planned}
    world = scope.world()
    for _, ref in scope.trunk_starts():
        if ref.recipe in (None, BASE) and ref.trunk in scope.steps and ref.at is not None:
            taken.add((ref.trunk, checkpoint_at(world, ref.trunk, ref.at)))
    for name, steps in scope.steps.items():
        falls = _falling(scope, world, name)
        inside = [step for step in steps if falls and falls[0] < step < falls[1] and (name, step) in taken]
        if falls and inside:
            shown = listed(map(str, inside), MAX_LISTED)
            message = (
                f"the learning rate of `{name}` falls from step {falls[0]} to {falls[1]}, "
                f"and branches are taken inside: {shown}"
            )
            hint = "if that is meant, say why: `accept: {mid-decay: REASON}`"
            scope.warning("mid-decay", message, ("trunks", name, "checkpoints"), hint)


def _falling(scope: Scope, world: World, trunk: str) -> tuple[int, int] | None:
    """The last step of a trunk before its learning rate falls, and the step at which it has fallen."""
    run, start_step = scope.spec.trunks[trunk].pretrain, 0
    if run is None:
        return None
    lr = lr_config(run)
    if run.continues.schedule == "continue":
        if scope.diagnostics.has_errors:
            return None  # what it continues may be at fault
        start = scope.spec.trunks[trunk].from_
        try:
            begins = continuation(world, run, point_of(world, start, None) if start is not None else None)
        except ContinuesError:
            return None  # reported where it starts
        lr, start_step = begins.lr, begins.start_step
    start_of_fall = decay_start(lr)
    if start_of_fall is None:
        return None
    return max(start_of_fall - start_step, 0), lr["total_steps"] - start_step


def decay_start(lr: Mapping[str, Any]) -> int | None:
    """The last step before a learning rate falls; None where it never does."""
    if lr["shape"] == "constant" or lr["floor"] == 1:
        return None
    held: int = lr["total_steps"] - lr["decay_steps"] if lr["shape"] == "wsd" else lr["warmup_steps"]
    return held


def _check_empty(scope: Scope) -> None:
    world = scope.world()
    for index, entry in enumerate(scope.spec.branches or ()):
        if not any(on_branch(world, entry, *branch) for branch in scope.planned):
            scope.warning("empty-selection", "these branches select nothing", ("branches", index))
    for index, repeated in enumerate(scope.spec.replicates):
        if not any(on_branch(world, repeated.on, *branch) for branch in scope.planned):
            scope.warning("empty-selection", "this repeats no branch", ("replicates", index))
    for name, evaluation in scope.spec.evaluations.items():
        if evaluation.contamination is None and not _measures(scope, world, evaluation.on):
            message = f"the evaluation `{name}` selects no model"
            scope.warning("empty-selection", message, ("evaluations", name))
    for index, figure in enumerate(scope.spec.report.figures):
        if not _measures(scope, world, figure.on):
            message = f"the figure `{figure.figure}` selects no model"
            scope.warning("empty-selection", message, ("report", "figures", index, "on"))


def _measures(scope: Scope, world: World, on: Selector) -> bool:
    bases = [(trunk, at, BASE) for trunk, steps in scope.steps.items() for at in steps]
    chosen = range(1) if on.replicates is None else on.replicates
    if not isinstance(on.step, tuple) and 0 in chosen and any(on_branch(world, on, *base) for base in bases):
        return True
    return any(
        on_branch(world, on, *branch) and any(replicate < num for replicate in chosen)
        for branch, num in scope.planned.items()
    )
