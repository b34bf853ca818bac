"""Checks of merges: an average needs models of one shape that read the same tokens."""

from __future__ import annotations

from exc.compiler.origins import model_origin
from exc.compiler.scope import Place, Scope
from exc.spec.recipes import Merge
from exc.spec.trunks import Pretrain


def check_merges(scope: Scope) -> None:
    for place, stage in scope.stages():
        if isinstance(stage.body, Merge):
            for own in dict.fromkeys(trunk for trunk, _, recipe in scope.planned if recipe == place[0]):
                if _reports_unlike(scope, place, stage.body, own):
                    break


def _reports_unlike(scope: Scope, place: Place, merge: Merge, own: str) -> bool:
    """Compare every parent's trunk with the first one's."""
    found = [(where, model_origin(scope.spec, ref, (own, *place))) for where, ref in merge.parents]
    first = found[0][1]
    for where, trunk in found:
        if first is None or trunk is None or trunk == first:
            continue
        one, other = scope.spec.trunks[first].pretrain, scope.spec.trunks[trunk].pretrain
        difference = _difference(one, other) if one is not None and other is not None else None
        if difference is not None:
            path = ("recipes", *place, "merge", *where)
            what = "averaged" if merge.method == "linear" else "merged"
            message = f"`{first}` and `{trunk}` cannot be {what}: {difference}"
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
