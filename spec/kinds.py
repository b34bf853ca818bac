"""Whether an entry has exactly one of the keys that give it its kind."""

from __future__ import annotations

from pydantic import BaseModel

from exc.spec.data import KINDS as DATA_KINDS
from exc.spec.data import Data
from exc.spec.diagnostics import Diagnostics, Label, nearest, one_of
from exc.spec.expected import keys_of
from exc.spec.experiment import EVALUATION_KINDS, Evaluation
from exc.spec.nodes import Mapping, Path, plain
from exc.spec.places import owner_name, owner_span
from exc.spec.recipes import STAGE_KINDS, Stage
from exc.spec.trunks import TRUNK_KINDS, Tokenizer, Trunk

TOKENIZER_KINDS = ("bpe", "path", "hub")
KINDS: dict[type[BaseModel], tuple[str, ...]] = {
    Data: DATA_KINDS,
    Stage: STAGE_KINDS,
    Evaluation: EVALUATION_KINDS,
    Tokenizer: TOKENIZER_KINDS,
    Trunk: TRUNK_KINDS,
}


def kinds_given(node: Mapping, model: type[BaseModel]) -> list[str]:
    """The kinds of an entry, in the order written; none where its model has no kinds."""
    return [key for key in node.entries if key in KINDS.get(model, ())]


def check_kind(
    root: Mapping,
    path: Path,
    node: Mapping,
    model: type[BaseModel],
    diagnostics: Diagnostics,
    *,
    failed: bool,
) -> bool:
    """Whether the entry at `path` has one kind; else it is reported. Of a `failed` one nothing is missing."""
    given, kinds = kinds_given(node, model), KINDS[model]
    empty = [kind for kind in given if plain(node.entries[kind]) is None]
    for kind in empty:
        diagnostics.error(
            "wrong-type", f"`{kind}` is empty", node.keys[kind], expected="its settings, indented below it"
        )
    if empty:
        return False
    if len(given) > 1:
        first, second = node.keys[given[0]], node.keys[given[1]]
        hint = f"to replace what `{first.file}` says, write `{given[0]}: null` beside it"
        merged = first.file != second.file
        diagnostics.error(
            "bad-value",
            f"`{given[0]}` and `{given[1]}` are both given",
            second,
            expected=f"only {one_of(kinds)}",
            hint=hint if merged else None,
            labels=[Label(first, "in a file that this one extends")] if merged else (),
        )
    elif not given and not failed and not _stands_for_kind(node, model):
        message = f"{owner_name(root, path)} has no kind"
        diagnostics.error("missing-key", message, owner_span(root, path), expected=one_of(kinds))
    return len(given) == 1


def _stands_for_kind(node: Mapping, model: type[BaseModel]) -> bool:
    """Whether an unknown key, which is reported as such, seems to be meant as the kind."""
    valid, known = keys_of(model), {field.alias or name for name, field in model.model_fields.items()}
    near = [nearest(key, valid) for key in node.entries if key not in known]
    return any(name is None or name in KINDS[model] for name in near)
