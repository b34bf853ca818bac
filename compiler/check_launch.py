"""Checks of profiles that spread weights over processes, by FSDP or DeepSpeed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exc.compiler.build import Draft, draft_for_profile
from exc.compiler.resources import Allotment, LaunchFiles
from exc.compiler.sharding import fault_of_settings, fault_of_stage
from exc.compiler.stage_configs import stage_drafts
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment, Path
from exc.spec.paired import PAIRED_KINDS
from exc.spec.places import owner_span
from exc.spec.profiles import TOGETHER, Profile

_WAYS = ("fsdp", "deepspeed")
_LEAVE_OUT = "leave `launch` out for jobs of kind {kind}: each process then has all weights"


def check_whole_weights(
    draft: Experiment, profile: Profile, files: LaunchFiles, diagnostics: Diagnostics
) -> None:
    """Report the stages and trunks whose weights the profile spreads in a way that cannot be saved whole."""
    allotment = Allotment(profile, files)
    for path, name, body, jobs in _trained(draft):
        faults = (_fault(job.kind, body, allotment.of(job), diagnostics) for job in jobs)
        fault = next((each for each in faults if each is not None), None)
        if fault is not None:
            hint = _LEAVE_OUT.format(kind=jobs[0].kind)
            diagnostics.error("spread-weights", f"`{name}` {fault}", owner_span(draft.tree, path), hint=hint)


def _fault(kind: str, body: Any, given: Mapping[str, Any], diagnostics: Diagnostics) -> str | None:
    """Why a job with these resources cannot be saved, if it cannot."""
    launch = given.get("launch") or {}
    way = next((way for way in _WAYS if launch.get(way)), None)
    if way is None:
        return None
    spread = f"which the profile spreads by `launch: {{{way}: ...}}`"
    if kind in PAIRED_KINDS:
        return f"changes whole weights, {spread}"
    if way == "deepspeed":
        return f"saves and goes on from whole weights, {spread}; `fsdp` is what can gather them"
    settings = launch["settings"]
    if not settings and diagnostics.has_errors:  # the file may be what is wrong
        return None
    fault = fault_of_settings(settings) or fault_of_stage(body)
    if fault is None and not given.get("gpus"):
        fault = "accelerate spreads weights over GPUs alone, and `gpus` is not said"
    return fault and f"cannot have `launch: {{fsdp: {launch['fsdp']}}}`: {fault}"


def _trained(draft: Experiment) -> Iterator[tuple[Path, str, Any, list[Draft]]]:
    """What trains in several processes: its place, its name, what it says, and the jobs that it is."""
    for trunk, run in draft.spec.trunks.items():
        if run.pretrain is not None:
            jobs = [draft_for_profile("pretrain", "pretrain", {"trunk": trunk})]
            yield ("trunks", trunk, "pretrain"), trunk, run.pretrain, jobs
    for recipe, stages in draft.spec.recipes.items():
        for index, stage in enumerate(stages):
            if stage.kind in TOGETHER:
                jobs = stage_drafts(recipe, stage, draft.spec.trunks)
                place = ("recipes", recipe, index, stage.kind)
                yield place, f"{recipe}.{stage.name}", stage.body, jobs
