"""What the checks of a whole spec share: the tree, its names and entries, and where to report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel

from exc.spec.cells import base_of
from exc.spec.diagnostics import Diagnostics, Span, did_you_mean, one_of
from exc.spec.experiment import Spec
from exc.spec.model_errors import is_misspelt
from exc.spec.nodes import Mapping, Node, Path, Scalar, Sequence, span_at
from exc.spec.places import owner_span, span_node, value_span
from exc.spec.validate import Validated

M = TypeVar("M", bound=BaseModel)


@dataclass
class Context:
    """Names come from the tree: a reference to an entry that is itself at fault is not a wrong reference."""

    validated: Validated
    diagnostics: Diagnostics
    used: set[tuple[str, str]] = field(default_factory=set)  # (section, name) of everything referred to

    @property
    def root(self) -> Mapping:
        return self.validated.root

    def node(self, *path: str | int) -> Node | None:
        return span_node(self.root, path)

    def text(self, *path: str | int) -> str | None:
        """The text at `path`, or None."""
        node = self.node(*path)
        return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None

    def names(self, *path: str | int) -> list[str]:
        """The keys of the mapping at `path`."""
        node = self.node(*path)
        return list(node.entries) if isinstance(node, Mapping) else []

    def indices(self, *path: str | int) -> range:
        """The places of the list at `path`."""
        node = self.node(*path)
        return range(len(node.items)) if isinstance(node, Sequence) else range(0)

    def models(self, kind: type[M]) -> Iterator[tuple[Path, M]]:
        """The valid entries of one kind."""
        for path, model in self.validated.entries.items():
            if isinstance(model, kind):
                yield path, model

    def span(self, *path: str | int, key: bool = False) -> Span:
        return span_at(self.root, path, key=True) if key else value_span(self.root, path)

    def owner(self, *path: str | int) -> Span:
        """Where to point when something of the mapping at `path` is missing."""
        return owner_span(self.root, path)

    def error(
        self,
        code: str,
        message: str,
        path: Path,
        expected: str | None = None,
        hint: str | None = None,
        key: bool = False,
    ) -> None:
        """Record an error at the value at `path`, or its key."""
        span = self.span(*path, key=key)
        if span not in self.validated.reported:
            self.diagnostics.error(code, message, span, expected=expected, hint=hint)

    def refer(self, section: str, path: Path, extra: Iterable[str] = (), key: bool = False) -> str | None:
        """The text at `path` (with `key`, its key) if it names an entry of `section`; else report it."""
        name = str(path[-1]) if key else self.text(*path)
        return name if name is not None and self.known(section, name, path, extra, key) else None

    def known(
        self, section: str, name: str, path: Path, extra: Iterable[str] = (), key: bool = False
    ) -> bool:
        names = self.names(section)
        if name in names:
            self.used.add((section, name))
            return True
        extra = list(extra)
        if name in extra:
            return True
        if not self._is_lost(section) and (section, base_of(name)) not in self.validated.failed:
            self.unknown(_SINGULAR[section], name, path, [*extra, *names], key)
        return False

    def _is_lost(self, section: str) -> bool:
        """Whether a section is misspelt or no mapping, which is reported, so that nobody knows its names."""
        if section in self.root.entries:
            return (section,) in self.validated.broken
        return is_misspelt(Spec, (section,), self.root)

    def unknown(
        self,
        what: str,
        name: str,
        path: Path,
        candidates: Iterable[str],
        key: bool = False,
        owner: str | None = None,
    ) -> None:
        """Record that nothing of that kind has that name; `owner` is what it should belong to."""
        names = list(candidates)
        article = "an" if what[0] in "aeiou" else "a"
        expected = one_of(names) if names else f"{article} {what}, but there is none"
        message = f"there is no {what} `{name}`" + (f" in `{owner}`" if owner else "")
        near = did_you_mean(name, [*names, *map(base_of, names)])
        self.error("unknown-reference", message, path, expected, near, key=key)


_SINGULAR = {
    "data": "data source",
    "tasks": "task",
    "trunks": "trunk",
    "recipes": "recipe",
    "evaluations": "evaluation",
}
