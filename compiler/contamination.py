"""Jobs that look for the problems of an evaluation in what the study trains on, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exc.compiler.data_graph import aliased, depends_on, reads
from exc.compiler.data_readers import Reading, readings
from exc.compiler.derived import read_data
from exc.compiler.rows import prompt_fields, rows_output
from exc.compiler.world import World
from exc.spec.experiment import Spec
from exc.spec.measures import Contamination
from exc.spec.references import BASE, Selector

KIND = "contamination"


def add_contamination(world: World) -> list[dict[str, Any]] | None:
    """Add a job for each evaluation of this kind and each source that is trained on.

    Gives what the report shows of each; None where no evaluation is of this kind.
    """
    if not any(evaluation.contamination is not None for evaluation in world.spec.evaluations.values()):
        return None
    found = []
    for name, evaluation in world.spec.evaluations.items():
        spec = evaluation.contamination
        if spec is None:
            continue
        for source, what in trained_sources(world.spec, evaluation.on).items():
            found.append(_add(world, name, spec, source, what))
    return found


def trained_sources(spec: Spec, on: Selector) -> dict[str, list[str]]:
    """The sources that something trains on, by name, and what does. `on` selects by trunks and recipes.

    The mixtures of trunks are those of `base`.
    """
    found: dict[str, list[str]] = {}
    for reading in readings(spec):
        if _trains(reading, on):
            for source in _fixed(spec, reading.name):
                by = found.setdefault(aliased(spec, source), [])
                if reading.what not in by:
                    by.append(reading.what)
    return found


def _trains(reading: Reading, on: Selector) -> bool:
    if reading.place is not None:
        return on.recipes is None or reading.place[0] in on.recipes
    if reading.path[0] != "trunks" or (on.recipes is not None and BASE not in on.recipes):
        return False
    return on.trunks is None or reading.path[1] in on.trunks


def _fixed(spec: Spec, name: str) -> Iterator[str]:
    """The source itself; of one that each branch samples from its own model, the sources under it."""
    if not depends_on(spec, name):
        yield name
        return
    for read in reads(spec, name):
        yield from _fixed(spec, read.name)


def _add(world: World, name: str, spec: Contamination, source: str, what: list[str]) -> dict[str, Any]:
    data, inputs = read_data(world, source)
    fields = list(spec.fields or prompt_fields(world.spec.tasks[spec.task].prompt))
    config = {
        "evaluation": name,
        "source": data,
        "fields": fields,
        "limit": spec.limit,
        "ngram": spec.ngram,
    }
    problems = rows_output(world, spec.task, spec.split)
    draft = world.jobs.add(
        KIND,
        f"contamination/{name}/{source}",
        KIND,
        config,
        {"rows": (problems, ""), **inputs},
        source=world.line("evaluations", name),
    )
    output = world.jobs.final(draft)
    return {
        "evaluation": name,
        "data": source,
        "trains": what,
        "job": output.job.id,
        "artifact": output.artifact,
    }
