"""Checks of data that jobs make: it must not be made of itself, and somebody must own its model."""

from __future__ import annotations

from collections.abc import Iterator

from exc.compiler.check_contamination import check_contamination
from exc.compiler.data_graph import depends_on, parts_of, reads, samples_under
from exc.compiler.data_readers import Reading, evaluation_readings, readings, stage_readings
from exc.compiler.scope import Scope
from exc.compiler.trunks import checkpoint_at
from exc.spec.cycles import cycles
from exc.spec.experiment import Path, Spec
from exc.spec.recipes import Merge
from exc.spec.references import BestStep, ModelRef

# ("data", name), ("trunk", name), or ("stage", recipe, index).
Node = tuple[str, str] | tuple[str, str, int]
Edge = tuple[Node, tuple[Path, bool]]  # what is needed; where the spec says so, and whether that is the key


def check_data(scope: Scope) -> None:
    _check_cycles(scope)
    for reading in readings(scope.spec):
        if reading.place is None:
            _check_owned(scope, reading)
    if not scope.diagnostics.has_errors:
        check_contamination(scope)


def _check_owned(scope: Scope, reading: Reading) -> None:
    """What no branch reads must say whose model it is sampled from."""
    if not depends_on(scope.spec, reading.name):
        return
    for name, samples in samples_under(scope.spec, reading.name):
        ref, where = samples.from_, ("data", name, "samples", "from")
        if parts_of(scope.spec, ref) - {"replicate"}:
            message = (
                f"{reading.what} is read by no branch, and the data `{name}` is sampled from a model of the "
                "branch that reads it"
            )
            hint = f"say which model that is: `from: {{trunk: NAME, at: STEP, ...}}` in `data.{name}.samples`"
            if reading.what.startswith("the evaluation"):
                message = message.replace("is read by no branch", "reads for all branches alike")
            scope.error("relative-data", message, reading.path, hint=hint, key=reading.at_key)
        elif (num := _replicates(scope, ref)) > 1:
            message = f"`{ref.recipe}` has {num} replicates there, and this does not say which is sampled"
            hint = f"{reading.what} has no replicate that would decide"
            scope.error("bad-value", message, where, f"`replicate: N` with N from 0 to {num - 1}", hint)


def _replicates(scope: Scope, ref: ModelRef) -> int:
    """How many replicates a reference that leaves the choice open may mean."""
    if ref.recipe is None or ref.replicate is not None or ref.trunk not in scope.steps or ref.at is None:
        return 1
    at = checkpoint_at(scope.world(), ref.trunk, ref.at)
    return scope.planned.get((ref.trunk, at, ref.recipe), 1)


def _check_cycles(scope: Scope) -> None:
    """Data that is made of itself, each cycle once; cycles of stages alone are found elsewhere."""
    starts: list[Node] = [("data", name) for name in scope.spec.data]
    for cycle, (path, at_key) in cycles(starts, lambda node: _needs(scope.spec, node)):
        if any(item[0] == "data" for item in cycle):
            shown = " -> ".join(_shown(scope.spec, item) for item in cycle)
            scope.error("reference-cycle", f"these need each other: {shown}", path, key=at_key)


def _shown(spec: Spec, node: Node) -> str:
    if len(node) == 3:
        return f"{node[1]}.{spec.recipes[node[1]][node[2]].name}"
    return f"{node[0]} `{node[1]}`"


def _needs(spec: Spec, node: Node) -> Iterator[Edge]:
    if len(node) == 3:
        yield from _needs_of_stage(spec, node[1], node[2])
    elif node[0] == "trunk":
        trunk = spec.trunks.get(node[1])
        for source in trunk.pretrain.data if trunk is not None and trunk.pretrain is not None else ():
            yield ("data", source), (("trunks", node[1], "pretrain", "data", source), True)
        if trunk is not None and trunk.from_ is not None:
            yield from _models(spec, trunk.from_, ("trunks", node[1], "from"))
    else:
        for read in reads(spec, node[1]):
            yield ("data", read.name), (read.path, read.path[-1] == "num_fewshot")
        data = spec.data.get(node[1])
        if data is not None and data.samples is not None:
            yield from _models(spec, data.samples.from_, ("data", node[1], "samples", "from"))


def _needs_of_stage(spec: Spec, recipe: str, index: int) -> Iterator[Edge]:
    stage, path = spec.recipes[recipe][index], ("recipes", recipe, index)
    for reading in stage_readings(spec, (recipe, index), stage):
        yield ("data", reading.name), (reading.path, reading.at_key)
    if isinstance(stage.body, Merge):
        for where, ref in stage.body.parents:
            yield from _models(spec, ref, (*path, "merge", *where))
    elif stage.from_ is not None and stage.from_.recipe != "prev":
        yield from _models(spec, stage.from_, (*path, "from"))
    elif index > 0:
        yield ("stage", recipe, index - 1), ((*path, "name"), False)


def _models(spec: Spec, ref: ModelRef, path: Path) -> Iterator[Edge]:
    """What a reference to a model needs: the stage, its trunk, and what chooses its step."""
    stages = spec.recipes.get(ref.recipe or "", ())
    names = [stage.name for stage in stages]
    if names and (ref.stage is None or ref.stage in names):
        index = names.index(ref.stage) if ref.stage is not None else len(names) - 1
        yield ("stage", ref.recipe or "", index), (path, False)
    if ref.trunk is not None:
        yield ("trunk", ref.trunk), (path, False)
    if isinstance(ref.step, BestStep) and ref.step.best.evaluation in spec.evaluations:
        name = ref.step.best.evaluation
        for reading in evaluation_readings(spec, name, spec.evaluations[name]):
            yield ("data", reading.name), (path, False)
