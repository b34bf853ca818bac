"""Checks of stages with two sides: steps that end in no mean."""

from __future__ import annotations

from exc.compiler.scope import Scope
from exc.spec.experiment import Path
from exc.spec.paired import Parallel


def check_means(scope: Scope) -> None:
    """What a `parallel` stage keeps, and what others read of it, must be steps that end in a mean."""
    for place, stage in scope.stages():
        body = stage.body
        if not isinstance(body, Parallel) or body.max_steps % body.sync_every:
            continue
        apart = [step for step in scope.kept.get(place, ()) if step % body.sync_every]
        if apart:
            keep: Path = ("recipes", *place, stage.kind, "keep")
            message = f"step {apart[0]} ends in no mean: the sides meet every {body.sync_every} steps"
            hint = f"such as `keep: {{every: {body.sync_every}}}`, or another `sync_every`"
            scope.error("between-means", message, keep, hint=hint, key=True)
    for path, _, ref in scope.references():
        _check_read(scope, path, ref.step, scope.target(ref))
    for path, ref in scope.trunk_starts():
        _check_read(scope, path, ref.step, scope.target(ref))


def _check_read(scope: Scope, path: Path, step: object, place: tuple[str, int] | None) -> None:
    body = scope.stage(place).body if place is not None else None
    if not isinstance(body, Parallel) or not isinstance(step, int) or step % body.sync_every == 0:
        return
    assert place is not None
    name = f"`{place[0]}.{scope.stage(place).name}`"
    message = f"step {step} of {name} ends in no mean: its sides meet every {body.sync_every} steps"
    scope.error("between-means", message, (*path, "step"), f"a multiple of {body.sync_every}")
