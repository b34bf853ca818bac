"""Checks of batches: whether they can be split evenly, at the planned number of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from exc.compiler.batch import grpo_batch, sft_batch
from exc.compiler.build import Draft
from exc.compiler.resources import Allotment
from exc.compiler.scope import Scope
from exc.spec.cells import base_of
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment, Path
from exc.spec.places import value_span
from exc.spec.profiles import Profile
from exc.spec.recipes import Dpo, Grpo, PretrainStage, Sft, Stage

WORLD = 1  # processes of a job

Split = Callable[[int | None], object]  # from a micro-batch to TRL's fields; ValueError where it does not go


def check_batches(scope: Scope) -> None:
    """Batches that no micro-batch could split."""
    for place, stage in scope.stages():
        body = stage.body
        if isinstance(body, Grpo):
            try:
                _grpo(body)(None)
            except ValueError as error:
                name = "num_generations" if body.num_generations < 2 else "updates_per_rollout"
                if name not in body.model_fields_set:
                    name = "prompts_per_rollout"
                scope.error("batch-arithmetic", str(error), ("recipes", *place, "grpo", name))


def check_micro_batches(draft: Experiment, profile: Profile, diagnostics: Diagnostics) -> None:
    """Report batches that the profile's `micro_batch_size` does not divide, or would train otherwise."""
    allotment = Allotment(profile)
    for path, jobs, split in _batches(draft):
        for job in jobs:
            micro = allotment.of(job).get("micro_batch_size")
            try:
                split(None)
            except ValueError:
                break  # reported by check_batches
            try:
                split(micro)
            except ValueError as error:
                hint = "`micro_batch_size` stands in the profile"
                diagnostics.error("batch-arithmetic", str(error), value_span(draft.tree, path), hint=hint)
                break


def _batches(draft: Experiment) -> Iterator[tuple[Path, list[Draft], Split]]:
    """Every batch of the spec, with jobs as a profile sees them: one per trunk."""
    trunks = draft.spec.trunks
    for name, trunk in trunks.items():
        if trunk.pretrain is None:
            continue
        job = _job("pretrain", "pretrain", {"trunk": name})
        yield ("trunks", name, "pretrain", "batch_size"), [job], _sft(trunk.pretrain.batch_size)
    for recipe, stages in draft.spec.recipes.items():
        for index, stage in enumerate(stages):
            path: Path = ("recipes", recipe, index, stage.kind)
            jobs = [_stage_job(recipe, stage, trunk) for trunk in trunks]
            if isinstance(stage.body, Sft | Dpo | PretrainStage):
                yield (*path, "batch_size"), jobs, _sft(stage.body.batch_size)
            elif isinstance(stage.body, Grpo):
                yield (*path, "prompts_per_rollout"), jobs, _grpo(stage.body)


def _stage_job(recipe: str, stage: Stage, trunk: str) -> Draft:
    return _job(
        stage.kind, f"{base_of(recipe)}.{stage.repeats or stage.name}", {"trunk": trunk, "recipe": recipe}
    )


def _job(kind: str, cls: str, selector: dict[str, str]) -> Draft:
    return Draft("", kind, cls, {}, [], "", False, selector)


def _sft(batch_size: int) -> Split:
    return lambda micro: sft_batch(batch_size, micro, WORLD)


def _grpo(body: Grpo) -> Split:
    sizes = (body.num_generations, body.prompts_per_rollout, body.updates_per_rollout)

    def split(micro: int | None) -> object:
        fields = grpo_batch(*sizes, micro, WORLD)
        setting = _by_micro_batch(body.args)
        if setting is not None and fields != grpo_batch(*sizes, None, WORLD):
            raise ValueError(
                f"`{setting}` is computed over what a device takes at once: with micro_batch_size {micro} it "
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
