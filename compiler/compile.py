"""Experiment -> Plan. Pure: no clock, no disk, no network; everything of the world comes in as Facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from exc.compiler.batch import grpo_batch, sft_batch
from exc.compiler.branches import output_of
from exc.compiler.build import Draft
from exc.compiler.continuing import continuation
from exc.compiler.estimate import estimates
from exc.compiler.evaluations import add_evaluations, shows
from exc.compiler.facts import Facts
from exc.compiler.identity import TRAINING_KINDS, digest_of_all
from exc.compiler.plan import Job, Plan, lazy_json
from exc.compiler.points import point_of, tokens_before
from exc.compiler.resources import Allotment, Resources, split_classes
from exc.compiler.sampling import BLOCK_SIZE
from exc.compiler.smoke import add_smokes
from exc.compiler.trunks import resolve_checkpoints
from exc.compiler.world import World
from exc.spec.experiment import Experiment, FigureOf
from exc.spec.profiles import Profile, Tracker
from exc.spec.published import FolderModel, HubModel
from exc.spec.recipes import Stage
from exc.spec.references import BestStep, ModelRef, Selector
from exc.spec.trunks import Trunk


def compile_plan(
    experiment: Experiment,
    facts: Facts,
    profile: Profile,
    *,
    profile_name: str = "local",
    root: str = "..",
    warnings: tuple[tuple[str, str], ...] = (),
    overrides: tuple[str, ...] = (),
) -> Plan:
    """Expand a checked experiment into its plan. `root` is the spec's folder seen from the plan folder.

    `warnings` are (code, text) of findings; those that the spec accepts are listed with the reason.
    `overrides` are the lines that say what an entry changes of the one it is `like`.
    """
    world = World(experiment, facts)
    cells = add_evaluations(world)
    drafts = world.jobs.drafts
    allotment = Allotment(profile)
    resources = [allotment.of(draft) for draft in drafts]
    _derive(drafts, resources)
    classes = split_classes(drafts, resources)
    drafts, resources, classes = add_smokes(drafts, resources, classes, allotment)
    estimates(drafts)
    plan = Plan(
        experiment=experiment.spec.experiment,
        seed=experiment.spec.seed,
        root=root,
        spec=experiment.file.rsplit("/", 1)[-1],
        profile=_profile(profile_name, profile),
        jobs=tuple(_job(*parts) for parts in zip(drafts, classes, resources, strict=True)),
        report={**_report(world, cells, warnings), "overrides": list(overrides)},
    )
    return replace(plan, digest=plan_digest(plan))


def plan_digest(plan: Plan) -> str:
    """The digest of all that was reviewed; where in the spec it was written is not part of it."""
    data = lazy_json(plan)
    del data["digest"]
    jobs = data.pop("jobs")
    return digest_of_all(chain([data], map(_unplaced, jobs)))


def _unplaced(job: dict[str, Any]) -> dict[str, Any]:
    del job["source"]
    return job


def _derive(drafts: Sequence[Draft], resources: Sequence[Resources]) -> None:
    """Add to each config what follows from what the job gets. Drafts that shared a config still do."""
    made: dict[tuple[int, int], Mapping[str, Any]] = {}
    before = [draft.config for draft in drafts]  # keeps the ids below from being used again
    for draft, config, given in zip(drafts, before, resources, strict=True):
        key = id(config), id(given)
        if key not in made:
            made[key] = {**config, **_derived(draft.kind, config, given.get("micro_batch_size"))}
        draft.config = made[key]


def _derived(kind: str, config: Mapping[str, Any], micro: int | None) -> dict[str, Any]:
    """The fields of TRL's configs that follow from the batch, the world size and the micro-batch."""
    out: dict[str, Any] = {} if micro is None else {"micro_batch_size": micro}
    if kind in ("pretrain", "sft", "dpo"):
        out["derived"] = sft_batch(config["batch_size"], micro, 1)
    elif kind == "grpo":
        generations, prompts = config["num_generations"], config["prompts_per_rollout"]
        out["derived"] = grpo_batch(generations, prompts, config["updates_per_rollout"], micro, 1)
    return out


def _job(draft: Draft, cls: str, resources: Resources) -> Job:
    training = draft.kind in TRAINING_KINDS
    kept = {step: draft.kept[step] for step in sorted(draft.kept)}
    return Job(
        id=draft.id,
        kind=draft.kind,
        cls=cls,
        identity=kept[max(kept)] if training else draft.digest,
        config=draft.config,
        needs=tuple(draft.needs),
        computation=draft.digest if training else "",
        kept=kept,
        resources=resources,
        estimate=draft.estimate,
        source=tuple(draft.source),
        aliases=tuple(draft.aliases),
    )


def _profile(name: str, profile: Profile) -> dict[str, Any]:
    retries = profile.retries.model_dump(by_alias=True, exclude_none=True)
    return {
        "name": name,
        "backend": profile.backend,
        "store": profile.store,
        "slots": profile.slots,
        **({} if profile.gpus is None else {"gpus": profile.gpus}),
        **({"retries": retries} if retries else {}),
        "save_interval_s": profile.save_interval,
        "env": list(profile.env),
        "setup": list(profile.setup),
        **({"trackers": [_set(one) for one in profile.trackers]} if profile.trackers else {}),
    }


def _set(tracker: Tracker) -> dict[str, Any]:
    settings: dict[str, Any] = tracker.model_dump(exclude_none=True)
    return settings


def _report(
    world: World, cells: list[dict[str, Any]], warnings: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    spec = world.spec
    accept = spec.accept
    return {
        "title": spec.report.title or spec.experiment,
        "description": spec.description,
        "confidence": spec.report.confidence,
        "trunks": {name: _trunk(world, name, trunk) for name, trunk in spec.trunks.items()},
        "evaluations": {name: _evaluation(evaluation) for name, evaluation in spec.evaluations.items()},
        "recipes": {
            name: [
                {
                    "name": stage.name,
                    "kind": stage.kind,
                    "from": _starts(stage, index),
                    **({"repeats": stage.repeats} if stage.repeats is not None else {}),
                }
                for index, stage in enumerate(stages)
            ]
            for name, stages in spec.recipes.items()
        },
        "cells": cells,
        "contrasts": [
            {"a": _side(contrast.a), "b": _side(contrast.b), "varies": list(contrast.varies)}
            for contrast in spec.report.contrasts
        ],
        "figures": [_figure(world, entry, cells) for entry in spec.report.figures],
        "accepted": [
            {"code": code, "reason": accept[code], "finding": text}
            for code, text in warnings
            if code in accept
        ],
        "warnings": [text for code, text in warnings if code not in accept],
    }


def _figure(world: World, entry: FigureOf, cells: list[dict[str, Any]]) -> str | dict[str, Any]:
    """A figure's name; of one that shows a part, also the places of the cells in it."""
    if entry.on == Selector():
        return entry.figure
    places = [index for index, cell in enumerate(cells) if shows(world, entry.on, cell)]
    return {
        "figure": entry.figure,
        "on": entry.on.model_dump(exclude_none=True, mode="json"),
        "cells": places,
    }


def _trunk(world: World, name: str, trunk: Trunk) -> dict[str, Any]:
    """A trunk's run. Steps are its own; the learning rate's are counted from `start_step`."""
    pretrain = trunk.pretrain
    if pretrain is None:
        asked = resolve_checkpoints(world, name).steps
        return {
            "tokens": trunk.tokens_at(trunk.total_steps),
            "total_steps": trunk.total_steps,
            "tokens_before": 0,
            "checkpoints": [[text, step] for text, step in asked],
        }
    start = point_of(world, trunk.from_, None) if trunk.from_ is not None else None
    begins = continuation(world, pretrain, start)
    steps = resolve_checkpoints(world, name).steps  # [what was asked, the step it became]
    out: dict[str, Any] = {
        "tokens_per_step": pretrain.tokens_per_step,
        "total_steps": pretrain.total_steps,
        "tokens_before": tokens_before(world, name),
        "lr": begins.lr,
        "checkpoints": [[asked, step] for asked, step in sorted(steps, key=lambda pair: pair[1])],
    }
    if start is not None:
        out |= {"from": output_of(world, start).label, "start_step": begins.start_step}
    return out


def _starts(stage: Stage, index: int) -> str:
    """What a stage starts from, in words."""
    if stage.merge is not None:
        return ", ".join(str(ref) for ref in stage.merge.of)
    if isinstance(stage.body, HubModel | FolderModel):
        return stage.body.repo if isinstance(stage.body, HubModel) else stage.body.path
    if stage.from_ is None or stage.from_.recipe == "prev":
        return "base" if index == 0 else "the stage before"
    return str(stage.from_)


def _side(ref: ModelRef) -> str | dict[str, Any]:
    """A side of a contrast: a recipe's name where that says it all."""
    data = ref.model_dump(exclude_none=True)
    if isinstance(ref.step, BestStep):
        data["step"] = ref.step.best.name
    return data["recipe"] if set(data) == {"recipe"} else data


def _evaluation(evaluation: Any) -> dict[str, Any]:
    body = getattr(evaluation, evaluation.kind)
    if evaluation.kind == "bits_per_byte":
        return {"kind": evaluation.kind, "data": body.data, "metrics": ["bits_per_byte"]}
    return {
        "kind": evaluation.kind,
        "task": body.task,
        "split": body.split,
        "k": sorted(body.k),
        "num_samples": body.num_samples,
        "block_size": BLOCK_SIZE,
        "limit": body.limit,
        "max_new_tokens": body.max_new_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "num_fewshot": body.num_fewshot.model_dump(),
        "metrics": [f"pass@{k}" for k in sorted(body.k)],
    }
