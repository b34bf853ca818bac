"""Who reads which data: stages, trunks and evaluations; and the models that are sampled for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exc.compiler.data_graph import under
from exc.spec.data import Split
from exc.spec.experiment import Evaluation, Path, Spec
from exc.spec.recipes import Body, PretrainStage, Stage, sides
from exc.spec.references import ModelRef

Place = tuple[str, int]  # a recipe and the index of a stage in it
NO_STAGE: Place = ("", -1)  # the reader of what no stage reads


@dataclass(frozen=True, slots=True)
class Reading:
    """A data source that is read, and where the spec says so. `place` None: no branch reads it."""

    name: str
    path: Path
    what: str  # the reader, in words
    place: Place | None = None
    split: Split | None = None  # the task's split through which it is read
    at_key: bool = False


def readings(spec: Spec) -> Iterator[Reading]:
    for recipe, stages in spec.recipes.items():
        for index, stage in enumerate(stages):
            yield from stage_readings(spec, (recipe, index), stage)
    for name, trunk in spec.trunks.items():
        for source in trunk.pretrain.data if trunk.pretrain is not None else ():
            path: Path = ("trunks", name, "pretrain", "data", source)
            yield Reading(source, path, f"the mixture of `{name}`", at_key=True)
    for name, evaluation in spec.evaluations.items():
        yield from evaluation_readings(spec, name, evaluation)


def stage_readings(spec: Spec, place: Place, stage: Stage) -> Iterator[Reading]:
    body: Body = stage.body
    path: Path = ("recipes", *place, stage.kind)
    what = f"`{place[0]}.{stage.name}`"
    for where, side in sides(body).items():
        split = _split(spec, side.task, side.split)
        if split is not None:
            yield Reading(split.data, (*path, *where, "task"), what, place, split)
    if isinstance(body, PretrainStage):
        for source in body.data:
            yield Reading(source, (*path, "data", source), what, place, at_key=True)


def evaluation_readings(spec: Spec, name: str, evaluation: Evaluation) -> Iterator[Reading]:
    what = f"the evaluation `{name}`"
    if (asked := evaluation.pass_at_k) is not None:
        path: Path = ("evaluations", name, "pass_at_k")
        split = _split(spec, asked.task, asked.split)
        if split is not None:
            yield Reading(split.data, (*path, "task"), what, split=split)
        pool = spec.tasks[asked.task].fewshot if asked.task in spec.tasks else None
        if pool is not None and (asked.num_fewshot.base or asked.num_fewshot.trained):
            yield Reading(pool.data, (*path, "num_fewshot"), what, split=pool, at_key=True)
    elif (sought := evaluation.contamination) is not None:
        split = _split(spec, sought.task, sought.split)
        if split is not None:
            yield Reading(split.data, ("evaluations", name, "contamination", "task"), what, split=split)
    elif (text := evaluation.bits_per_byte) is not None:
        yield Reading(text.data, ("evaluations", name, "bits_per_byte", "data"), what)


def sampled_references(spec: Spec) -> Iterator[tuple[Path, Place, ModelRef]]:
    """The reference of every data source to the model that is sampled, once for each stage that reads it."""
    sampled = {name: data.samples.from_ for name, data in spec.data.items() if data.samples is not None}
    if not sampled:
        return
    readers: dict[str, dict[Place, None]] = {name: {} for name in sampled}
    for reading in readings(spec):
        for name in under(spec, reading.name) if reading.place is not None else ():
            if name in readers and reading.place is not None:
                readers[name][reading.place] = None
    for name, ref in sampled.items():
        for place in readers[name] or [NO_STAGE]:
            yield ("data", name, "samples", "from"), place, ref


def _split(spec: Spec, task: str, split: str) -> Split | None:
    found = spec.tasks.get(task)
    return found.splits.get(split) if found is not None else None
