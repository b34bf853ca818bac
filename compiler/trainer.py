"""The run of a trainer of one's own as jobs: one for each checkpoint, all in one folder of work."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from exc.compiler.build import Output
from exc.compiler.points import at_checkpoint, point_of, pretraining_seed
from exc.compiler.rows import file_configs
from exc.compiler.trunks import checkpoint_steps
from exc.compiler.world import World

TRAINER = "trainer"  # the kind of these jobs
MODEL, ORDER = (
    "model",
    "resumes",
)  # roles: what it starts from; the checkpoint before, which is only waited for


def trainer_segment(world: World, trunk: str, step: int) -> Output:
    """The model at one checkpoint; its job comes behind that of the checkpoint before."""
    output: Output = world.once((TRAINER, trunk, step), lambda: _segment(world, trunk, step))
    return output


def _segment(world: World, trunk: str, step: int) -> Output:
    # Branches are taken from checkpoints, and a run may start from a branch's model: a loop among modules.
    from exc.compiler.branches import output_of

    spec, kept = world.spec.trunks[trunk], checkpoint_steps(world, trunk)
    inputs: dict[str, tuple[Output, str]] = {}
    start = output_of(world, point_of(world, spec.from_, None)) if spec.from_ is not None else None
    if start is not None:
        inputs[MODEL] = (start, MODEL)
    if before := bisect_left(kept, step):
        inputs[ORDER] = (trainer_segment(world, trunk, kept[before - 1]), MODEL)
    draft = world.jobs.add(
        TRAINER,
        f"{trunk}/pretrain/{step}",
        TRAINER,
        {**world.once(("trainer-config", trunk), lambda: _config(world, trunk)), "step": step},
        inputs,
        source=world.line("trunks", trunk, "command"),
        trained=start is not None and start.job.trained,
        selector={"trunk": trunk},
    )
    return world.jobs.final(draft, step)


def _config(world: World, trunk: str) -> dict[str, Any]:
    """What all segments share. `resume` and `keep` are for the trainer to know, and no part of identity."""
    run, kept = world.spec.trunks[trunk].command, checkpoint_steps(world, trunk)
    assert run is not None
    return {
        "run": run.run,
        "resume": run.resume,
        "files": file_configs(world, run.files),
        "leaves": run.leaves,
        "convert": run.convert,
        "tokens_per_step": run.tokens_per_step,
        "total_steps": run.total_steps,
        "seed": pretraining_seed(world, at_checkpoint(trunk, kept[0])),
        "keep": list(kept),
    }
