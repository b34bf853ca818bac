"""`like:` copies an entry of the same kind; what the copy overrides is recorded, to be printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from exc.spec.cells import base_of, split_stage
from exc.spec.copying import Override, in_cell, merged, replaced, without
from exc.spec.diagnostics import CellSpan, Diagnostics, did_you_mean, one_of
from exc.spec.experiment import EVALUATION_KINDS
from exc.spec.nodes import Mapping, Node, Path, Scalar, Sequence, plain
from exc.spec.paired import LENGTHS, PAIRED_KINDS, SIDES
from exc.spec.recipes import STAGE_KINDS
from exc.spec.shape import is_dropped

# What belongs to the place of an entry, and does not go with a copy.
OWN_KEYS = frozenset({"from", "at", "step", "keep", "on"})
PRETRAIN = "pretrain"  # the kind that trunks and stages share, and may copy from each other
# Of pre-training: what a model brings along that it starts from, and what is said of one.
_WITH_MODEL, _OF_MODEL = frozenset({"model", "tokenizer"}), frozenset({"continues"})


@dataclass(frozen=True)
class Copied:
    """The spec without `like`, what was overridden, and the entries whose `like` could not be followed."""

    root: Mapping
    overrides: tuple[Override, ...]
    failed: frozenset[Path]
    sources: dict[Path, Path]  # entry -> the entry that it is a copy of


def copy_likes(root: Mapping, diagnostics: Diagnostics) -> Copied:
    """Follow every `like:` of a spec in the models' shape."""
    copier = _Copier(root, diagnostics)
    entries = dict(root.entries)
    recipes, evaluations = entries.get("recipes"), entries.get("evaluations")
    if isinstance(recipes, Mapping):
        entries["recipes"] = Mapping(
            {name: copier.recipe(name, node) for name, node in recipes.entries.items()},
            recipes.keys,
            recipes.span,
        )
    trunks = entries.get("trunks")
    if isinstance(trunks, Mapping):
        entries["trunks"] = Mapping(
            {name: copier.trunk(name, node) for name, node in trunks.entries.items()},
            trunks.keys,
            trunks.span,
        )
    if isinstance(evaluations, Mapping):
        resolved = {name: copier.evaluation(name, node) for name, node in evaluations.entries.items()}
        entries["evaluations"] = Mapping(resolved, evaluations.keys, evaluations.span)
    return Copied(
        Mapping(entries, root.keys, root.span),
        tuple(copier.overrides),
        frozenset(copier.failed),
        copier.sources,
    )


@dataclass
class _Copier:
    root: Mapping
    diagnostics: Diagnostics
    overrides: list[Override] = field(default_factory=list)
    failed: set[Path] = field(default_factory=set)
    done: dict[Path, Mapping] = field(default_factory=dict)
    sources: dict[Path, Path] = field(default_factory=dict)
    open: list[Path] = field(default_factory=list)  # the entries that are being followed, for cycles

    def recipe(self, name: str, node: Node) -> Node:
        if not isinstance(node, Sequence):
            return node
        items = [
            self._entry(("recipes", name, index), item) if isinstance(item, Mapping) else item
            for index, item in enumerate(node.items)
        ]
        return Sequence(items, node.span)

    def trunk(self, name: str, node: Node) -> Node:
        return self._entry(("trunks", name), node) if isinstance(node, Mapping) else node

    def evaluation(self, name: str, node: Node) -> Node:
        return self._entry(("evaluations", name), node) if isinstance(node, Mapping) else node

    def _entry(self, path: Path, node: Mapping) -> Mapping:
        """The entry with its copies in place; as it stands, and noted as failed, where they cannot be had."""
        if path not in self.done:
            self.open.append(path)
            self.done[path] = self._followed(path, node)
            self.open.pop()
        return self.done[path]

    def _followed(self, path: Path, node: Mapping) -> Mapping:
        if path[0] == "evaluations":
            like = node.entries.get("like")
            return node if like is None else self._copied(path, (), node, like)
        entries = dict(node.entries)
        for kind in STAGE_KINDS:
            body = entries.get(kind)
            if not isinstance(body, Mapping):
                continue
            whole = _sides_alike(body) if kind in PAIRED_KINDS else {}
            for side, own in whole.items():
                body = replaced(body, side, self._copied(path, (kind, side), own, own.entries["like"]))
            if "like" in body.entries:
                body = self._copied(path, (kind,), body, body.entries["like"], frozenset(whole))
            entries[kind] = body
        return Mapping(entries, node.keys, node.span)

    def _copied(
        self, path: Path, inner: Path, own: Mapping, like: Node, left: frozenset[str] = frozenset()
    ) -> Mapping:
        """The entry's own values over those of what `like` names; keys in `left` do not go with the copy."""
        own = without(own, {"like"})
        source = self._source(path, inner, own, like)
        if source is None:
            self.failed.add(path)
            return own
        if len(inner) == 2 and "lora" in source.entries and "lora" not in own.entries:
            self._has_adapters(like)
        copy = without(source, self._left(path, inner) | left)
        if isinstance(own.span, CellSpan):  # what is wrong with the copy may be so in this cell alone
            copy = in_cell(copy, own.span)
        said = [] if self._is_later_round(path) else self.overrides
        return merged((*path, *inner), copy, own, said)

    def _left(self, path: Path, inner: Path) -> frozenset[str]:
        """The keys that do not go with a copy."""
        if len(inner) == 2:  # the side of a stage, whose length and adapters the stage says
            return OWN_KEYS | {LENGTHS[str(inner[1])], "lora"}
        if inner != (PRETRAIN,):
            return OWN_KEYS
        owner = self._node(path)
        is_new = path[0] == "trunks" and isinstance(owner, Mapping) and "from" not in owner.entries
        return OWN_KEYS | (_OF_MODEL if is_new else _WITH_MODEL)

    def _has_adapters(self, like: Node) -> None:
        self.diagnostics.error(
            "bad-value",
            f"`{plain(like)}` has `lora`, and a side of a stage has no adapters of its own",
            like.span,
            hint="write `lora` beside `rl` and `sft`, which then train the same adapters; `lora: null` "
            "beside this `like` leaves them out",
        )

    def _source(self, path: Path, inner: Path, own: Mapping, like: Node) -> Mapping | None:
        """What `like` names, its own copies followed; None when it cannot be had."""
        names = dict(self._targets(str(path[0])))
        if inner == (PRETRAIN,):
            names = {**dict(self._targets("recipes")), **dict(self._targets("trunks"))}
        if not isinstance(like, Scalar) or not isinstance(like.value, str):
            form = _form(inner)
            self.diagnostics.error("wrong-type", "`like` names an entry", like.span, expected=form)
            return None
        target = names.get(like.value)
        if target is None and self._is_lost(like.value):
            return None
        if target is None:
            self._unknown(
                like,
                inner,
                [
                    name
                    for name, entry in names.items()
                    if entry != path and not self._is_numbered(name, entry)
                ],
            )
            return None
        if target in self.open:
            self._cycle(target, names)
            return None
        node = self._node(target)
        if not isinstance(node, Mapping):
            return None
        found = self._entry(target, node)
        if target in self.failed:
            return None
        if len(inner) < 2:
            self.sources[path] = target
        if not inner:
            wanted = [kind for kind in EVALUATION_KINDS if kind in own.entries and kind not in found.entries]
            return self._same_kind(like, wanted, EVALUATION_KINDS, found, found)
        kind = SIDES[str(inner[1])] if len(inner) == 2 else str(inner[0])
        wanted = [kind] if kind not in found.entries else []
        body = found.entries.get(kind)
        return self._same_kind(like, wanted, STAGE_KINDS, found, body)

    def _is_lost(self, name: str) -> bool:
        """Whether the recipe of a `recipe.stage` has a stage that could not be read, which is reported."""
        parts = split_stage(name)
        if parts is None:
            return False
        node = self._node(("recipes", parts[0])) or self._node(("recipes", base_of(parts[0])))
        return node is not None and (not isinstance(node, Sequence) or any(map(is_dropped, node.items)))

    def _same_kind(
        self, like: Scalar, wanted: list[str], kinds: tuple[str, ...], found: Mapping, body: Node | None
    ) -> Mapping | None:
        if wanted:
            kind = next((kind for kind in kinds if kind in found.entries), None)
            if kind is not None:  # an entry of no kind is reported where it stands
                self.diagnostics.error(
                    "like-kind",
                    f"`{like.value}` is of kind `{kind}`",
                    like.span,
                    expected=f"an entry of kind `{wanted[0]}`",
                )
            return None
        return body if isinstance(body, Mapping) else None

    def _unknown(self, like: Scalar, inner: Path, names: list[str]) -> None:
        what = "stage" if inner else "evaluation"
        if inner == (PRETRAIN,):
            what = "trunk or stage"
        hint = did_you_mean(str(like.value), names)
        if inner and hint is None and "." not in str(like.value):
            hint = "a stage is named by `recipe.stage`"
        self.diagnostics.error(
            "unknown-reference",
            f"there is no {what} `{like.value}`",
            like.span,
            expected=one_of(names) if names else f"another {what}, but there is none",
            hint=hint,
        )

    def _cycle(self, target: Path, names: dict[str, Path]) -> None:
        labels = {path: name for name, path in names.items()}
        chain = [*self.open[self.open.index(target) :], target]
        message = f"these copy each other: {' -> '.join(labels[path] for path in chain)}"
        hint = "write one of them out"
        if len(chain) == 2:
            message = f"`{labels[target]}` copies itself"
            hint = "name another one; of a file that this one extends, an entry of the same name is replaced"
        self.diagnostics.error("like-cycle", message, self._like_of(target).span, hint=hint)

    def _is_numbered(self, name: str, path: Path) -> bool:
        """Whether this is one round of a repeated stage, which has a name without the number, too."""
        stage = self._node(path)
        if not isinstance(stage, Mapping) or "repeats" not in stage.entries:
            return False
        return not name.endswith(f".{plain(stage.entries['repeats'])}")

    def _is_later_round(self, path: Path) -> bool:
        """Whether this is a repeated stage, and not of the first round, which says the same."""
        stage = self._node(path[:3])
        if path[0] != "recipes" or not isinstance(stage, Mapping) or "repeats" not in stage.entries:
            return False
        name, repeats = plain(stage.entries["name"]), plain(stage.entries["repeats"])
        return name != f"{repeats}-1"

    def _like_of(self, path: Path) -> Node:
        node = self._node(path)
        assert isinstance(node, Mapping)
        bodies = [node, *(node.entries[kind] for kind in STAGE_KINDS if kind in node.entries)]
        for body in bodies[1:]:
            bodies += _sides_alike(body).values() if isinstance(body, Mapping) else ()
        return next(
            body.entries["like"] for body in bodies if isinstance(body, Mapping) and "like" in body.entries
        )

    def _node(self, path: Path) -> Node | None:
        """The entry as it is written."""
        node: Node | None = self.root
        for step in path:
            if isinstance(node, Mapping) and isinstance(step, str):
                node = node.entries.get(step)
            elif isinstance(node, Sequence) and isinstance(step, int):
                node = node.items[step]
        return node

    def _targets(self, section: str) -> Iterator[tuple[str, Path]]:
        """The names that `like` may say, and where their entries stand."""
        node = self.root.entries.get(section)
        if not isinstance(node, Mapping):
            return
        for name, entry in node.entries.items():
            if section in ("evaluations", "trunks"):
                yield name, (section, name)
            elif isinstance(entry, Sequence):
                for index, item in enumerate(entry.items):
                    if not isinstance(item, Mapping):
                        continue
                    for key in ("repeats", "name"):  # of a repeated stage, any round: all are written alike
                        if isinstance(label := item.entries.get(key), Scalar):
                            yield f"{name}.{label.value}", (section, name, index)


def _sides_alike(body: Mapping) -> dict[str, Mapping]:
    """The sides of a stage's body that are copies of a stage, by name."""
    sides = {side: body.entries.get(side) for side in SIDES}
    return {side: own for side, own in sides.items() if isinstance(own, Mapping) and "like" in own.entries}


def _form(inner: Path) -> str:
    """What a `like` says, in words."""
    if inner == (PRETRAIN,):
        return "the name of a trunk, or `recipe.stage`"
    return "`recipe.stage`" if inner else "the name of an evaluation"
