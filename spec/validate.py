"""Every entry of a spec against its model, each on its own, so that one mistake hides no other."""

from __future__ import annotations

from collections.abc import Container, Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from exc.spec.base import NAME, RESERVED
from exc.spec.diagnostics import Diagnostics, Span
from exc.spec.draft import LISTED, NAMED, assemble
from exc.spec.expected import keys_of
from exc.spec.experiment import Contrast, Report, Spec
from exc.spec.kinds import KINDS, check_kind, kinds_given
from exc.spec.model_errors import Fault, faults, is_misspelt, missing_key, name_fault, says, unknown_key
from exc.spec.nodes import Mapping, Node, Path, Sequence, plain
from exc.spec.numbers import check_numbers
from exc.spec.places import name_of, span_node, value_span
from exc.spec.recipes import Stage
from exc.spec.shape import is_dropped
from exc.spec.stage_hints import key_hint
from exc.spec.trunks import Tokenizer, Trunk

M = TypeVar("M", bound=BaseModel)

# What an entry of the draft is called where its own name or version is at fault.
_FALLBACK = {"version": 1, "experiment": "experiment"}


@dataclass(frozen=True)
class Validated:
    """What of a spec is valid, or would be without the values at fault.

    `entries` has the models by path; `broken` the paths of entries of which something was reported;
    `reported` the places of numbers that nothing can hold; `failed` the entries that could not be copied.
    """

    root: Mapping
    entries: Map[Path, BaseModel]
    broken: frozenset[Path]
    reported: frozenset[Span]
    draft: Spec
    failed: frozenset[Path] = frozenset()
    sources: Map[Path, Path] = field(default_factory=dict)  # entry -> the entry that it is a copy of


def validate(
    root: Mapping,
    failed: Iterable[Path],
    sources: Map[Path, Path],
    diagnostics: Diagnostics,
    cells: Container[Path] = (),
) -> Validated:
    """Check the tree, in the models' shape. Of entries in `failed` nothing is said to be missing.

    `sources`: entry -> the entry that it is `like`, which alone reports what both lack. `cells`: the entries
    that are cells of a matrix, whose names no person may write.
    """
    return _Validator(root, frozenset(failed), sources, diagnostics, cells).run()


@dataclass
class _Validator:
    root: Mapping
    failed: frozenset[Path]
    sources: Map[Path, Path]
    diagnostics: Diagnostics
    cells: Container[Path]
    entries: dict[Path, BaseModel] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)
    reported: set[Span] = field(default_factory=set)  # leaves that are no value of any type

    def run(self) -> Validated:
        self.reported = check_numbers(self.root, self.diagnostics)
        for key in self.root.entries:
            if key not in Spec.model_fields:
                span = self.root.keys[key]
                self.diagnostics.add(unknown_key(key, keys_of(Spec), span, key_hint(Spec, key)))
        for section, model in NAMED.items():
            for name in self._named(section):
                self._entry(model, (section, name))
        for name in self._named("recipes"):
            self._recipe(name)
        for section, model in LISTED.items():
            for path in self._listed((section,)):
                self._entry(model, path)
        for path in self._listed(("report", "contrasts")):
            self._entry(Contrast, path)
        draft = self._draft()
        broken, reported = frozenset(self.broken), frozenset(self.reported)
        return Validated(self.root, self.entries, broken, reported, draft, self.failed, self.sources)

    def _named(self, section: str) -> list[str]:
        """The names of a section's entries, which are checked."""
        node = self.root.entries.get(section)
        if not isinstance(node, Mapping):
            if node is not None and plain(node) is not None:
                self._wrong((section,), node, "a mapping of names")
            return []
        for name, key in node.keys.items():
            if name not in node.entries or (section, name) in self.cells:
                continue
            if not NAME.match(name) or name in RESERVED:
                self.diagnostics.add(name_fault(name, key))
                self.broken.add((section, name))
        return list(node.entries)

    def _listed(self, path: Path) -> list[Path]:
        node = span_node(self.root, path)
        if isinstance(node, Sequence):
            return [(*path, index) for index in range(len(node.items))]
        if node is not None and plain(node) is not None:
            self._wrong(
                path, node, "a list, or a whole number above 0" if path == ("replicates",) else "a list"
            )
        return []

    def _wrong(self, path: Path, node: Node, expected: str, hint: str | None = None) -> None:
        message = says(name_of(path), node)
        self.diagnostics.error(
            "wrong-type", message, value_span(self.root, path), expected=expected, hint=hint
        )
        self.broken.add(path)

    def _recipe(self, name: str) -> None:
        path: Path = ("recipes", name)
        node = span_node(self.root, path)
        if path in self.failed:
            self.broken.add(path)
            return
        if not isinstance(node, Sequence):
            assert node is not None
            dash = "start each stage with `- `" if isinstance(node, Mapping) and node.entries else None
            self._wrong(path, node, "a list of stages", dash)
            return
        if not node.items:
            self.diagnostics.error(
                "bad-value", f"the recipe `{name}` has no stages", node.span, expected="at least one"
            )
            self.broken.add(path)
        for index, item in enumerate(node.items):
            if is_dropped(item):
                self.broken.add((*path, index))
            else:
                self._entry(Stage, (*path, index))

    def _entry(self, model: type[M], path: Path) -> None:
        """Validate one entry; where it has faults, what is left of it without them."""
        node = span_node(self.root, path)
        assert node is not None
        whole = True
        if model in KINDS and isinstance(node, Mapping):
            whole = self._one_kind(path, node, model)
        if model is Trunk:
            whole = self._tokenizer_kind(path) and whole
        data = plain(node)
        try:
            valid: M | None = _read(model, data)
        except ValidationError as error:
            self.broken.add(path)
            removable = self._report(error, model, path)
            valid = _without(model, data, removable) if removable is not None else None
        if path in self.failed or not whole:
            self.broken.add(path)
        elif valid is not None:
            self.entries[path] = valid

    def _report(self, error: ValidationError, model: type[BaseModel], path: Path) -> list[Path] | None:
        """Report an entry's faults; return what to leave out of it, None if nothing of it is left."""
        removable: list[Path] | None = []
        node = span_node(self.root, path)
        surplus = kinds_given(node, model)[1:] if isinstance(node, Mapping) else []
        for fault in faults(error, model, self.root, path, KINDS.get(model, ())):
            in_surplus = fault.path[:1] != () and fault.path[0] in surplus
            if not in_surplus and not self._is_hidden(fault, path):
                self.diagnostics.add(fault.diagnostic)
            if fault.removable is None:
                removable = None
            elif removable is not None:
                removable.append(fault.removable)
        return removable

    def _is_hidden(self, fault: Fault, path: Path) -> bool:
        """Whether what is wrong was reported already, where the value stands or where it was copied from."""
        if fault.diagnostic.code != "missing-key":
            return fault.diagnostic.span in self.reported
        copied = self.sources.get(path)
        return path in self.failed or (copied is not None and self._is_copied(path, copied, fault.path))

    def _is_copied(self, path: Path, copied: Path, lacking: Path) -> bool:
        """Whether a key is missing in what was copied, and not in something that the copy says itself."""
        theirs = span_node(self.root, (*copied, *lacking[:-1]))
        if not isinstance(theirs, Mapping) or lacking[-1] in theirs.entries:
            return False
        own = span_node(self.root, (*path, *lacking[:-1]))
        is_body = len(lacking) == 2  # the settings of its kind, which are merged key by key
        return is_body or (own is not None and str(own.span) == str(theirs.span))

    def _tokenizer_kind(self, path: Path) -> bool:
        tokenizer: Path = (*path, "pretrain", "tokenizer")
        node = span_node(self.root, tokenizer)
        return not isinstance(node, Mapping) or self._one_kind(tokenizer, node, Tokenizer)

    def _one_kind(self, path: Path, node: Mapping, model: type[BaseModel]) -> bool:
        return check_kind(self.root, path, node, model, self.diagnostics, failed=path in self.failed)

    def _check_trunks(self) -> None:
        node, wanted = self.root.entries.get("trunks"), "at least one trunk"
        if node is None:
            if not is_misspelt(Spec, ("trunks",), self.root):
                self.diagnostics.add(missing_key(self.root, ("trunks",), wanted))
        elif not plain(node) and ("trunks",) not in self.broken:
            self.diagnostics.error(
                "missing-key", "`trunks` is empty", self.root.keys["trunks"], expected=wanted
            )

    def _draft(self) -> Spec:
        """The spec as far as it is valid."""
        self._check_trunks()
        return assemble(self.root, self.entries, self._head(), self._report_entry())

    def _head(self) -> Spec:
        """The values of the root that are no sections."""
        sections = {*NAMED, *LISTED, "recipes", "report"}
        data = {
            key: plain(node)
            for key, node in self.root.entries.items()
            if key not in sections and key in Spec.model_fields
        }
        try:
            return _read(Spec, {**data, "trunks": {}})
        except ValidationError as error:
            self.broken.add(())
            for fault in faults(error, Spec, self.root, (), ()):
                if fault.diagnostic.span not in self.reported:
                    self.diagnostics.add(fault.diagnostic)
            for item in error.errors(include_url=False, include_input=False):
                data.pop(str(item["loc"][0]), None)
            return _read(Spec, {**_FALLBACK, **data, "trunks": {}})

    def _report_entry(self) -> Report:
        node = self.root.entries.get("report")
        if node is None or plain(node) is None:
            return Report()
        data = plain(node)
        path: Path = ("report",)
        if isinstance(data, dict):
            data.pop("contrasts", None)
        try:
            report = _read(Report, data)
        except ValidationError as error:
            self.broken.add(path)
            removable = self._report(error, Report, path)
            report = (_without(Report, data, removable) if removable is not None else None) or Report()
        return report


def _read(model: type[M], data: object) -> M:
    return model.model_validate(data, by_alias=True, by_name=False)


def _without(model: type[M], data: Any, paths: list[Path]) -> M | None:
    """The entry without the values at `paths`, if that makes it valid."""
    for path in sorted(paths, key=lambda path: [(isinstance(s, str), s) for s in path], reverse=True):
        owner: Any = data
        for step in path[:-1]:
            owner = owner.get(step) if isinstance(owner, dict) else owner[step]
        if isinstance(owner, dict):
            owner.pop(path[-1], None)
    try:
        return _read(model, data)
    except ValidationError:
        return None
