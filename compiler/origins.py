"""Where a model has its shape and its tokenizer from: the trunk from scratch that it descends from."""

from __future__ import annotations

from exc.compiler.parameters import UnknownSize, num_parameters
from exc.compiler.world import World
from exc.spec.experiment import Spec
from exc.spec.published import FolderModel, HubModel
from exc.spec.recipes import Merge
from exc.spec.references import BASE, ModelRef

PREVIOUS = ModelRef(recipe="prev")  # what a stage starts from unless it says otherwise

Reader = tuple[str, str, int]  # of a reference: trunk, recipe, index of the stage
_Seen = frozenset[str | Reader]


def trunk_origin(spec: Spec, trunk: str, seen: _Seen = frozenset()) -> str | None:
    """The trunk from scratch that a trunk goes back to; None where that cannot be told."""
    if trunk in seen or trunk not in spec.trunks:
        return None
    if spec.trunks[trunk].pretrain is None:
        return None
    start = spec.trunks[trunk].from_
    return trunk if start is None else model_origin(spec, start, None, seen | {trunk})


def stage_origin(spec: Spec, trunk: str, recipe: str, index: int, seen: _Seen = frozenset()) -> str | None:
    """The trunk from scratch that the model of a recipe's stage on a trunk goes back to."""
    reader = (trunk, recipe, index)
    if reader in seen:
        return None
    stage = spec.recipes[recipe][index]
    if isinstance(stage.body, HubModel | FolderModel):
        return None
    start = stage.body.of[0] if isinstance(stage.body, Merge) else stage.from_ or PREVIOUS
    return model_origin(spec, start, reader, seen | {reader})


def model_origin(spec: Spec, ref: ModelRef, reader: Reader | None, seen: _Seen = frozenset()) -> str | None:
    """The trunk from scratch that a model goes back to. `reader` None: a trunk reads the reference."""
    trunk = ref.trunk or (reader[0] if reader is not None else None)
    if trunk is None or trunk not in spec.trunks:
        return None
    own = reader[1] if reader is not None else None
    recipe = own if ref.recipe is None and ref.stage is not None else ref.recipe
    if reader is not None and (recipe == "prev" or (recipe is None and ref.trunk is None and ref.at is None)):
        if reader[2]:
            return stage_origin(spec, trunk, reader[1], reader[2] - 1, seen)
        return trunk_origin(spec, trunk, seen)
    if recipe in (None, BASE):
        return trunk_origin(spec, trunk, seen)
    stages = spec.recipes.get(recipe or "", ())
    names = [stage.name for stage in stages]
    if not names or (ref.stage is not None and ref.stage not in names):
        return None
    index = names.index(ref.stage) if ref.stage is not None else len(names) - 1
    return stage_origin(spec, trunk, recipe or "", index, seen)


def trunk_parameters(world: World, trunk: str) -> int:
    """How many parameters the model of a trunk has. Raises UnknownSize where that is not known exactly."""
    origin = trunk_origin(world.spec, trunk)
    return shape_parameters(world, origin)


def shape_parameters(world: World, origin: str | None) -> int:
    """How many parameters the model of a trunk from scratch has. Raises UnknownSize."""
    if origin is None:
        raise UnknownSize("the model that it starts from cannot be told")
    run = world.spec.trunks[origin].pretrain
    assert run is not None
    model, tokenizer = run.model or {}, run.tokenizer
    size = model.get("vocab_size")
    if size is None and tokenizer is not None and tokenizer.bpe is not None:
        size = tokenizer.bpe.vocab_size
    if size is None and tokenizer is not None and tokenizer.path is not None:
        size = world.facts.vocabularies.get(tokenizer.path)
    if "architecture" not in model:
        raise UnknownSize("its model names no architecture")
    if size is None:
        raise UnknownSize("the size of its tokenizer's vocabulary cannot be told")
    return num_parameters(model, int(size))
