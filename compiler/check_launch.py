"""Checks of profiles that spread weights over processes, by FSDP or DeepSpeed."""

from __future__ import annotations

from collections.abc import Iterator

from exc.compiler.build import Draft
from exc.compiler.resources import Allotment
from exc.spec.cells import base_of
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment, Path
from exc.spec.paired import PAIRED_KINDS
from exc.spec.places import owner_span
from exc.spec.profiles import TOGETHER, Profile

_WAYS = ("fsdp", "deepspeed")


def check_whole_weights(draft: Experiment, profile: Profile, diagnostics: Diagnostics) -> None:
    """Report the stages and trunks whose weights the profile spreads: none can be saved that way."""
    allotment = Allotment(profile)
    for path, name, jobs in _trained(draft):
        launches = [allotment.of(job).get("launch") or {} for job in jobs]
        ways = [way for launch in launches for way in _WAYS if launch.get(way)]
        if not ways:
            continue
        kind = jobs[0].kind
        fault = "changes whole weights" if kind in PAIRED_KINDS else "saves and goes on from whole weights"
        message = f"`{name}` {fault}, which the profile spreads by `launch: {{{ways[0]}: ...}}`"
        hint = f"leave `launch` out for jobs of kind {kind}: each process then has all weights"
        diagnostics.error("spread-weights", message, owner_span(draft.tree, path), hint=hint)


def _trained(draft: Experiment) -> Iterator[tuple[Path, str, list[Draft]]]:
    """What trains in several processes: its place, its name, and the jobs that a profile may select."""
    for trunk, run in draft.spec.trunks.items():
        if run.pretrain is not None:
            yield ("trunks", trunk, "pretrain"), trunk, [_job("pretrain", "pretrain", {"trunk": trunk})]
    for recipe, stages in draft.spec.recipes.items():
        for index, stage in enumerate(stages):
            if stage.kind in TOGETHER:
                cls = f"{base_of(recipe)}.{stage.repeats or stage.name}"
                jobs = [
                    _job(stage.kind, cls, {"trunk": each, "recipe": recipe}) for each in draft.spec.trunks
                ]
                yield ("recipes", recipe, index, stage.kind), f"{recipe}.{stage.name}", jobs


def _job(kind: str, cls: str, selector: dict[str, str]) -> Draft:
    return Draft("", kind, cls, {}, [], "", False, selector)
