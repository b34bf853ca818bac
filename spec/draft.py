"""What of a spec is valid, as one Spec, so that more can be checked."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import Any

from pydantic import BaseModel

from exc.spec.data import Data, Task
from exc.spec.experiment import Branches, Contrast, Evaluation, Replicates, Report, Spec
from exc.spec.nodes import Mapping, Path, Sequence, plain
from exc.spec.places import span_node
from exc.spec.references import ModelRef, Selector
from exc.spec.trunks import Trunk

NAMED: dict[str, type[BaseModel]] = {"data": Data, "tasks": Task, "trunks": Trunk, "evaluations": Evaluation}
LISTED: dict[str, type[BaseModel]] = {"branches": Branches, "replicates": Replicates}
# What takes the place of an entry at fault in a list.
_NEUTRAL: dict[str, BaseModel] = {
    "branches": Branches(trunks=()),
    "replicates": Replicates(num=1, on=Selector(trunks=())),
}
_BASE = ModelRef(recipe="base")
_CONTRAST = Contrast(a=_BASE, b=_BASE)


def assemble(root: Mapping, entries: Map[Path, BaseModel], head: Spec, report: Report) -> Spec:
    """The spec from its valid entries, by path; `head` has what is no section."""
    values: dict[str, Any] = {name: getattr(head, name) for name in Spec.model_fields}
    for section in NAMED:
        paths = [(section, name) for name in _names(root, section)]
        values[section] = {path[1]: entries[path] for path in paths if path in entries}
    for section, neutral in _NEUTRAL.items():
        values[section] = _items(root, entries, (section,), neutral)
    if (given := root.entries.get("branches")) is None or plain(given) is None:
        values["branches"] = None
    recipes = {name: _stages(root, entries, name) for name in _names(root, "recipes")}
    values["recipes"] = {name: stages for name, stages in recipes.items() if stages}
    contrasts = _items(root, entries, ("report", "contrasts"), _CONTRAST)
    values["report"] = report.model_copy(update={"contrasts": contrasts})
    return Spec.model_construct(None, **values)


def _items(
    root: Mapping, entries: Map[Path, BaseModel], path: Path, neutral: BaseModel
) -> tuple[BaseModel, ...]:
    """The items of a list; in place of one at fault, one that selects nothing, so that places stay."""
    node = span_node(root, path)
    if not isinstance(node, Sequence):
        return ()
    return tuple(entries.get((*path, index), neutral) for index in range(len(node.items)))


def _stages(root: Mapping, entries: Map[Path, BaseModel], recipe: str) -> tuple[BaseModel, ...]:
    """The stages of a recipe; none if any of them is at fault."""
    node = span_node(root, ("recipes", recipe))
    num = len(node.items) if isinstance(node, Sequence) else 0
    stages = [entries.get(("recipes", recipe, index)) for index in range(num)]
    return tuple(stage for stage in stages if stage is not None) if None not in stages else ()


def _names(root: Mapping, section: str) -> list[str]:
    node = root.entries.get(section)
    return list(node.entries) if isinstance(node, Mapping) else []
