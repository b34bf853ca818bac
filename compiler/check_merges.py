"""Checks of merges: an average needs models of one shape that read the same tokens."""

from __future__ import annotations

from exc.compiler.scope import Place, Scope
from exc.spec.recipes import Merge
from exc.spec.references import ModelRef
from exc.spec.trunks import Pretrain


def check_merges(scope: Scope) -> None:
    for place, stage in scope.stages():
        if isinstance(stage.body, Merge):
            for own in dict.fromkeys(trunk for trunk, _, recipe in scope.planned if recipe == place[0]):
                if _reports_unlike(scope, place, stage.body, own):
                    break


def _reports_unlike(scope: Scope, place: Place, merge: Merge, own: str) -> bool:
    """Compare every parent's trunk with the first one's."""
    trunks = [_origin(scope, ref, place, own, ()) for ref in merge.of]
    first = trunks[0]
    for index, trunk in enumerate(trunks):
        if first is None or trunk is None or trunk == first:
            continue
        difference = _difference(scope.spec.trunks[first].pretrain, scope.spec.trunks[trunk].pretrain)
        if difference is not None:
            path = ("recipes", *place, "merge", "of", index)
            message = f"`{first}` and `{trunk}` cannot be averaged: {difference}"
            scope.error("merge-parents", message, path, "models of one shape and one tokenizer", key=True)
            return True
    return False


def _difference(one: Pretrain, other: Pretrain) -> str | None:
    """In what two trunks differ that forbids an average."""
    first, second = one.model or {}, other.model or {}
    for field in {**first, **second}:
        if first.get(field) != second.get(field):
            values = (first.get(field, "left out"), second.get(field, "left out"))
            return f"`{field}` is {values[0]} in one and {values[1]} in the other"
    if one.tokenizer != other.tokenizer:
        return "they have different tokenizers"
    if one.tokenizer is not None and one.tokenizer.bpe is not None and set(one.data) != set(other.data):
        return "their tokenizers are trained on different data"
    return None


def _origin(scope: Scope, ref: ModelRef, reader: Place, own: str, seen: tuple[Place, ...]) -> str | None:
    """The trunk that a model descends from; None where that cannot be told."""
    trunk = ref.trunk or own
    if trunk not in scope.spec.trunks:
        return None
    place: Place | None
    if ref.recipe == "prev" or (ref.recipe is None and ref.trunk is None and ref.at is None):
        place = (reader[0], reader[1] - 1) if reader[1] else None
    elif ref.recipe in (None, "base"):
        place = None
    else:
        place = scope.target(ref)
        if place is None:
            return None
    if place is None:
        return trunk
    if place in seen:
        return None
    stage = scope.stage(place)
    start = stage.body.of[0] if isinstance(stage.body, Merge) else stage.from_ or ModelRef(recipe="prev")
    return _origin(scope, start, place, trunk, (*seen, place))
