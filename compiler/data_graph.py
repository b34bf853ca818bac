"""What data is made of: the data sources, tasks and models under a source, and whose models these are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from exc.spec.data import Data, Samples, Split
from exc.spec.experiment import Path, Spec
from exc.spec.references import BASE, ModelRef

# What of its reader a source may depend on.
Part = Literal["checkpoint", "replicate", "stage"]


@dataclass(frozen=True, slots=True)
class Read:
    """A data source that another one reads, and where the spec says so."""

    path: Path
    name: str
    split: Split | None = None  # the task's split through which it is read


def aliased(spec: Spec, name: str) -> str:
    """The source whose rows `name` stands for: `data: OTHER` that changes nothing is another name of it."""
    seen = {name}
    while (data := spec.data.get(name)) is not None and data.data is not None and not data.is_transformed:
        name = data.data
        if name in seen:
            return name  # a cycle, which is reported
        seen.add(name)
    return name


def is_made(data: Data) -> bool:
    """Whether jobs make these rows, so that they are not read from where the spec says."""
    elsewhere = data.hub is not None or data.data is not None or data.samples is not None
    return elsewhere or data.is_transformed


def reads(spec: Spec, name: str) -> Iterator[Read]:
    """The sources that a source reads itself: another one, or those of the task that is sampled."""
    data = spec.data.get(name)
    if data is None:
        return
    if data.data is not None:
        yield Read(("data", name, "data"), data.data)
    if data.samples is not None:
        path: Path = ("data", name, "samples")
        for split, key in splits_of(spec, data.samples):
            yield Read((*path, key), split.data, split)


def splits_of(spec: Spec, samples: Samples) -> Iterator[tuple[Split, str]]:
    """The splits that sampling reads, with the key that asks for it: the problems, and the exemplars."""
    task = spec.tasks.get(samples.task)
    if task is None:
        return
    if samples.split in task.splits:
        yield task.splits[samples.split], "task"
    if task.fewshot is not None and (samples.num_fewshot.base or samples.num_fewshot.trained):
        yield task.fewshot, "num_fewshot"


def under(spec: Spec, name: str) -> list[str]:
    """The source and all that is under it, each once."""
    found, waiting = dict.fromkeys([name]), [name]
    while waiting:
        for read in reads(spec, waiting.pop()):
            if read.name not in found:
                found[read.name] = None
                waiting.append(read.name)
    return list(found)


def samples_under(spec: Spec, name: str) -> Iterator[tuple[str, Samples]]:
    """The sources under one, itself too, that are sampled from a model."""
    for source in under(spec, name):
        data = spec.data.get(source)
        if data is not None and data.samples is not None:
            yield source, data.samples


def grouped_by(spec: Spec, name: str) -> str | None:
    """The column by which the rows of a source are grouped last, so that its other columns hold lists."""
    seen: set[str] = set()
    while (data := spec.data.get(name)) is not None and name not in seen:
        if data.group_by is not None:
            return data.group_by
        if data.data is None:
            return None
        seen.add(name)
        name = data.data
    return None


def depends_on(spec: Spec, name: str) -> frozenset[Part]:
    """What of its reader a source depends on, through the models that are sampled for it."""
    parts: set[Part] = set()
    for _, samples in samples_under(spec, name):
        parts |= parts_of(spec, samples.from_)
    return frozenset(parts)


def parts_of(spec: Spec, ref: ModelRef) -> set[Part]:
    """What of its reader a model reference takes, because it does not say."""
    is_named = ref.recipe not in (None, BASE, "prev")
    if ref.recipe == "prev" or (ref.recipe is None and (ref.stage is not None or not (ref.trunk or ref.at))):
        return {"stage"}
    parts: set[Part] = set() if ref.trunk is not None and ref.at is not None else {"checkpoint"}
    if is_named and ref.replicate is None and spec.replicates:
        parts.add("replicate")
    return parts
