"""Data that jobs make: rows that were transformed, and a model's samples judged by the task's verifier.

Such data is identified by its recipe: what the jobs read and do, never by the rows that come out.
"""

from __future__ import annotations

from typing import Any

from exc.compiler.build import Output
from exc.compiler.data_graph import aliased, depends_on, grouped_by, is_made
from exc.compiler.identity import source_digest
from exc.compiler.origins import PREVIOUS
from exc.compiler.published import FETCH, data_config
from exc.compiler.reader import Reader
from exc.compiler.rows import judging_config, source_config
from exc.compiler.sampling import num_blocks, num_exemplars, sample_config, sample_inputs
from exc.compiler.world import World
from exc.spec.cells import base_of
from exc.spec.data import Data, HubData, Samples
from exc.spec.references import BASE, ModelRef

JOB = "job"  # the kind of a source whose rows are the output of a job
SOURCE = "source"  # the role in which they are read

Inputs = dict[str, tuple[Output, str]]


def read_data(
    world: World, name: str, reader: Reader | None = None, role: str = SOURCE
) -> tuple[dict[str, Any], Inputs]:
    """A data source as the config of a job that reads it, and the job's input where another one makes it."""
    made = made_output(world, name, reader)
    if made is None:
        return source_config(world, aliased(world.spec, name)), {}
    config = {"name": name, "kind": JOB, "role": role}
    if (group := grouped_by(world.spec, name)) is not None:
        config["grouped_by"] = group
    return config, {role: (made, "")}


def read_all(
    world: World, names: list[str], reader: Reader | None = None
) -> tuple[list[dict[str, Any]], Inputs]:
    """Several sources at once, in an order and with roles that do not depend on their names."""
    keyed = []
    for name in names:
        made = made_output(world, name, reader)
        key = (
            source_digest(source_config(world, aliased(world.spec, name))) if made is None else made.identity
        )
        keyed.append((key, name))
    configs: list[dict[str, Any]] = []
    inputs: Inputs = {}
    for index, (_, name) in enumerate(sorted(keyed, key=lambda pair: pair[0])):
        config, read = read_data(world, name, reader, f"{SOURCE}:{index}")
        configs.append(config)
        inputs |= read
    return configs, inputs


def made_output(world: World, name: str, reader: Reader | None) -> Output | None:
    """The job that makes the rows of a source for a reader; None where they are read as they are."""
    name = aliased(world.spec, name)
    data = world.spec.data[name]
    if not is_made(data):
        return None
    job_id = placed(world, name, reader, f"data/{name}")
    return world.once(("data", job_id), lambda: _make(world, name, data, reader, job_id))


def placed(world: World, name: str, reader: Reader | None, path: str) -> str:
    """The id of a job that reads a source, with the parts of the reader that the source depends on."""
    parts = world.once(("depends", name), lambda: depends_on(world.spec, name))
    if reader is None or not parts:
        return path
    prefix = f"{reader.trunk}/{reader.at}/" if parts & {"checkpoint", "stage"} else ""
    if "stage" in parts:
        return f"{prefix}{path}.{reader.recipe}.r{reader.replicate}.{reader.stage}"
    return f"{prefix}{path}.r{reader.replicate}" if "replicate" in parts else f"{prefix}{path}"


def _make(world: World, name: str, data: Data, reader: Reader | None, job_id: str) -> Output:
    if data.hub is not None:
        if not data.is_transformed:
            return _fetch(world, name, data.hub, job_id)
        fetched = _fetch(world, name, data.hub, f"{job_id}.fetched")
        return _derive(world, name, data, _job(name), {SOURCE: (fetched, "")}, job_id)
    if data.samples is None:
        if data.data is not None:
            source, inputs = read_data(world, data.data, reader)
        else:
            source, inputs = source_config(world, name), {}
        return _derive(world, name, data, source, inputs, job_id)
    if not data.is_transformed:
        return _rate(world, name, data.samples, reader, job_id)
    rated = _rate(world, name, data.samples, reader, f"{job_id}.rated")
    return _derive(world, name, data, _job(name), {SOURCE: (rated, "")}, job_id)


def _job(name: str) -> dict[str, Any]:
    return {"name": name, "kind": JOB, "role": SOURCE}


def _fetch(world: World, name: str, hub: HubData, job_id: str) -> Output:
    line = world.line("data", name, "hub")
    return world.jobs.final(
        world.jobs.add(FETCH, job_id, "data.fetch", data_config(world, hub), {}, source=line)
    )


def _derive(
    world: World, name: str, data: Data, source: dict[str, Any], inputs: Inputs, job_id: str
) -> Output:
    config = {
        "data": name,
        "source": source,
        "where": {
            column: condition.model_dump(mode="json", by_alias=True, exclude_none=True)
            for column, condition in data.where.items()
        },
        "group_by": data.group_by,
        "drop": data.drop,
        "take": data.take,
        "pairs": data.pairs.model_dump() if data.pairs is not None else None,
    }
    line = world.line("data", name)
    return world.jobs.final(world.jobs.add("derive", job_id, "derive", config, inputs, source=line))


def _rate(world: World, name: str, samples: Samples, reader: Reader | None, job_id: str) -> Output:
    """The sample jobs that an evaluation of this model would have, and the job that judges what they drew."""
    model = _model(world, samples.from_, reader)
    inputs = sample_inputs(world, samples, model, reader)
    line = world.line("data", name, "samples")
    selector = {"recipe": BASE, **model.job.selector}
    blocks: Inputs = {}
    for block in range(num_blocks(samples)):
        draft = world.jobs.add(
            "sample",
            f"{job_id}.sample.{block}",
            f"data.{base_of(name)}.sample",
            sample_config(world, samples, num_exemplars(samples, model), block),
            inputs,
            source=line,
            trained=model.job.trained,
            selector=selector,
        )
        blocks[f"samples:{block}"] = (world.jobs.final(draft), "")
    task = world.spec.tasks[samples.task]
    config = world.once(
        ("rate", name),
        lambda: {
            "data": name,
            **judging_config(world, task),
            "num_samples": samples.num_samples,
            "max_unverifiable": task.max_unverifiable,
        },
    )
    read = {"rows": inputs["rows"], **blocks}
    rated = world.jobs.add("rate", job_id, "rate", config, read, source=line, selector=selector)
    return world.jobs.final(rated)


def _model(world: World, ref: ModelRef, reader: Reader | None) -> Output:
    """The model that is sampled: `prev` is what the reader starts from. Without a reader, `ref` says all."""
    # Branches read data, and data is sampled from branches: a loop among these modules.
    from exc.compiler.branches import resolve_ref
    from exc.compiler.selection import Branch
    from exc.compiler.trunks import checkpoint_at

    if reader is not None:
        branch = Branch(reader.trunk, reader.at, reader.recipe, reader.replicate)
        start = world.spec.recipes[reader.recipe][reader.index].from_
        own = start if ref == PREVIOUS and start is not None else ref
        return resolve_ref(world, own, branch, reader.index)
    assert ref.trunk is not None
    assert ref.at is not None
    branch = Branch(ref.trunk, checkpoint_at(world, ref.trunk, ref.at), ref.recipe or BASE, 0)
    return resolve_ref(world, ref, branch, 0)
