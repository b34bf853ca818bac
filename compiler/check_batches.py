"""Checks of batches: whether they can be split evenly, at the planned number of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from exc.compiler.batch import grpo_batch, kto_batch, sft_batch
from exc.compiler.build import Draft, draft_for_profile
from exc.compiler.launch import world_size
from exc.compiler.resources import Allotment
from exc.compiler.scope import Scope
from exc.compiler.stage_configs import stage_drafts
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment, Path
from exc.spec.paired import RlSide
from exc.spec.places import value_span
from exc.spec.profiles import Profile
from exc.spec.recipes import Grpo, Kto, PretrainStage, Rollouts, sides

# From a micro-batch and a number of processes to TRL's fields; ValueError where it does not go.
Split = Callable[[int | None, int], object]


def check_batches(scope: Scope) -> None:
    """Batches that no micro-batch could split."""
    for place, stage in scope.stages():
        if isinstance(stage.body, Kto) and stage.body.batch_size < 2:
            message = (
                "kto compares completions on a device, so it must hold at least 2 at once: not batch_size 1"
            )
            scope.error("batch-arithmetic", message, ("recipes", *place, "kto", "batch_size"))
        for where, body in sides(stage.body).items():
            if not isinstance(body, Rollouts | RlSide):
                continue
            try:
                _grpo(body)(None, 1)
            except ValueError as error:
                name = "num_generations" if body.num_generations < 2 else "updates_per_rollout"
                if name not in body.model_fields_set:
                    name = "prompts_per_rollout"
                scope.error("batch-arithmetic", str(error), ("recipes", *place, stage.kind, *where, name))


def check_micro_batches(draft: Experiment, profile: Profile, diagnostics: Diagnostics) -> None:
    """Report batches that the profile's processes cannot share, or its `micro_batch_size` not divide.

    And those that would train otherwise so.
    """
    allotment = Allotment(profile)
    for path, jobs, split in _batches(draft):
        for job in jobs:
            given = allotment.of(job)
            fault = _fault(split, given.get("micro_batch_size"), world_size(job.kind, given))
            if fault is None:
                continue
            if fault.message:
                span = value_span(draft.tree, path)
                diagnostics.error("batch-arithmetic", fault.message, span, hint=fault.hint)
            break


@dataclass(frozen=True)
class _Fault:
    message: str  # "" where another check says it
    hint: str


def _fault(split: Split, micro: int | None, world: int) -> _Fault | None:
    """Why a batch cannot be split, if it cannot: in any profile, by its world size, by its micro-batch."""
    tried = (
        ((None, 1), ""),
        (
            (None, world),
            "how many devices share it is for `gpus`, `processes` and `nodes` in the profile to say",
        ),
        ((micro, world), "`micro_batch_size` stands in the profile"),
    )
    for sizes, hint in tried:
        try:
            split(*sizes)
        except ValueError as error:
            return _Fault(str(error) if hint else "", hint)  # the first is reported by check_batches
    return None


def _batches(draft: Experiment) -> Iterator[tuple[Path, list[Draft], Split]]:
    """Every batch of the spec, with jobs as a profile sees them: one per trunk."""
    trunks = draft.spec.trunks
    for name, trunk in trunks.items():
        if trunk.pretrain is None:
            continue
        job = draft_for_profile("pretrain", "pretrain", {"trunk": name})
        yield ("trunks", name, "pretrain", "batch_size"), [job], _sft(trunk.pretrain.batch_size)
    for recipe, stages in draft.spec.recipes.items():
        for index, stage in enumerate(stages):
            path: Path = ("recipes", recipe, index, stage.kind)
            jobs = stage_drafts(recipe, stage, trunks)
            if isinstance(stage.body, PretrainStage):
                yield (*path, "batch_size"), jobs, _sft(stage.body.batch_size)
            for where, body in sides(stage.body).items():
                if isinstance(body, Kto):
                    yield (*path, *where, "batch_size"), jobs, partial(kto_batch, body.batch_size)
                elif isinstance(body, Rollouts | RlSide):
                    yield (*path, *where, "prompts_per_rollout"), jobs, _grpo(body)
                else:
                    yield (*path, *where, "batch_size"), jobs, _sft(body.batch_size)


def _sft(batch_size: int) -> Split:
    return lambda micro, world: sft_batch(batch_size, micro, world)


def _grpo(body: Rollouts | RlSide) -> Split:
    sizes = (body.num_generations, body.prompts_per_rollout, body.updates_per_rollout)

    def split(micro: int | None, world: int) -> object:
        fields = grpo_batch(*sizes, micro, world)
        setting = _by_micro_batch(body.args) if isinstance(body, Grpo | RlSide) else None
        if setting is not None and fields != grpo_batch(*sizes, None, 1):
            cut = f"micro_batch_size {micro}" if world == 1 else f"{world} devices"
            raise ValueError(
                f"`{setting}` is computed over what a device takes at once: with {cut} it "
                "is another loss; leave that out of the profile for this stage"
            )
        return fields

    return split


def _by_micro_batch(args: Mapping[str, Any]) -> str | None:
    """A setting with which TRL's loss depends on how a batch is cut; all others only add in another order."""
    if args.get("loss_type") == "bnpo":
        return "loss_type: bnpo"
    share = args.get("top_entropy_quantile", 1.0)
    return None if share == 1 else f"top_entropy_quantile: {share}"
