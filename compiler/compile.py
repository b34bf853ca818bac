"""Experiment -> Plan. Pure: no clock, no disk, no network; everything of the world comes in as Facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from exc.compiler.batch import grpo_batch, sft_batch
from exc.compiler.branches import output_of
from exc.compiler.build import Draft
from exc.compiler.contamination import add_contamination
from exc.compiler.continuing import continuation
from exc.compiler.estimate import estimates
from exc.compiler.evaluation_facts import evaluation_facts
from exc.compiler.evaluations import add_evaluations, shows
from exc.compiler.facts import Facts
from exc.compiler.identity import TRAINING_KINDS, digest_of_all
from exc.compiler.ladder import ladder_of
from exc.compiler.launch import world_size
from exc.compiler.plan import Job, Plan, lazy_json
from exc.compiler.points import point_of, tokens_before
from exc.compiler.resources import Allotment, Resources, split_classes
from exc.compiler.smoke import add_smokes
from exc.compiler.trunks import resolve_checkpoints, tokens_at, total_steps
from exc.compiler.world import World
from exc.spec.experiment import Experiment
from exc.spec.figures import FigureOf
from exc.spec.paired import PAIRED_KINDS, SIDES
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
    found_in = add_contamination(world)
    drafts = world.jobs.drafts
    allotment = Allotment(profile, facts.launch)
    resources = [allotment.of(draft) for draft in drafts]
    _derive(drafts, resources)
    classes = split_classes(drafts, resources)
    drafts, resources, classes = add_smokes(drafts, resources, classes, allotment)
    estimates(drafts, facts.vocabularies)
    plan = Plan(
        experiment=experiment.spec.experiment,
        seed=experiment.spec.seed,
        root=root,
        spec=experiment.file.rsplit("/", 1)[-1],
        profile=profile_data(profile_name, profile),
        jobs=tuple(_job(*parts) for parts in zip(drafts, classes, resources, strict=True)),
        report={
            **_report(world, cells, warnings),
            **({"contamination": found_in} if found_in is not None else {}),
            "overrides": list(overrides),
        },
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
            made[key] = {**config, **_derived(draft.kind, config, given)}
        draft.config = made[key]


def _derived(kind: str, config: Mapping[str, Any], given: Resources) -> dict[str, Any]:
    """The fields of TRL's configs that follow from the batch, the world size and the micro-batch."""
    micro, world = given.get("micro_batch_size"), world_size(kind, given)
    out: dict[str, Any] = {} if micro is None else {"micro_batch_size": micro}
    if config.get("engine") == "vllm" and "vllm" in given:
        out["vllm"] = dict(given["vllm"])
    if kind in ("pretrain", "sft", "dpo", "kto"):
        out["derived"] = sft_batch(config["batch_size"], micro, world)
    elif kind in ("grpo", "rloo"):
        generations, prompts = config["num_generations"], config["prompts_per_rollout"]
        out["derived"] = grpo_batch(generations, prompts, config["updates_per_rollout"], micro, world)
    elif kind in PAIRED_KINDS:
        parts = {side: _derived(of, config[side], given) for side, of in SIDES.items()}
        out["derived"] = {side: part["derived"] for side, part in parts.items()}
        out |= {"vllm": parts["rl"]["vllm"]} if "vllm" in parts["rl"] else {}
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


def profile_data(name: str, profile: Profile) -> dict[str, Any]:
    """A profile as a plan carries it."""
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
        **(_cluster(profile) if profile.backend == "slurm" else {}),
    }


def _cluster(profile: Profile) -> dict[str, Any]:
    """What only jobs of a cluster need."""
    settings = profile.slurm.model_dump(exclude_none=True)
    container = profile.container
    return {
        "slurm": settings,
        **({} if container is None else {"container": container.model_dump(exclude_none=True)}),
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
        "evaluations": {
            name: evaluation_facts(world.facts, evaluation) for name, evaluation in spec.evaluations.items()
        },
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
    """A figure's name; of one that is told more, what it is told, and the places of the cells in a part."""
    told = entry.model_dump(exclude_defaults=True, exclude={"figure", "on"}, mode="json")
    if entry.on != Selector():
        told["on"] = entry.on.model_dump(exclude_none=True, mode="json")
        told["cells"] = [index for index, cell in enumerate(cells) if shows(world, entry.on, cell)]
    return {"figure": entry.figure, **told} if told else entry.figure


def _trunk(world: World, name: str, trunk: Trunk) -> dict[str, Any]:
    """A trunk's run. Steps are its own; the learning rate's are counted from `start_step`."""
    pretrain = trunk.pretrain
    if pretrain is None:
        return _untold(world, name, trunk)
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


def _untold(world: World, name: str, trunk: Trunk) -> dict[str, Any]:
    """A trunk of which exc knows the checkpoints alone: made by others, or by a trainer of one's own."""
    steps, total = resolve_checkpoints(world, name).steps, total_steps(world, name)
    out: dict[str, Any] = {
        "tokens": tokens_at(world, name, total),
        "total_steps": total,
        "tokens_before": tokens_before(world, name),
        "checkpoints": [[asked, step] for asked, step in steps],
    }
    if (ladder := ladder_of(world, name)) is not None:
        rungs = [ladder.at(step) for _, step in steps]
        out["published"] = [{"name": rung.name, "place": rung.place, "tokens": rung.tokens} for rung in rungs]
        out |= {"listed": len(ladder.rungs) if ladder.is_listed else None, "strays": len(ladder.strays)}
    if trunk.command is not None:
        out["tokens_per_step"] = trunk.tokens_per_step
        start = point_of(world, trunk.from_, None) if trunk.from_ is not None else None
        out |= {} if start is None else {"from": output_of(world, start).label}
    return out


def _starts(stage: Stage, index: int) -> str:
    """What a stage starts from, in words."""
    if stage.merge is not None:
        return ", ".join(str(ref) for _, ref in stage.merge.parents)
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
