"""`extends:` puts files under a spec: maps merge deep, the later file and then the spec itself wins.

`null` deletes what a file below says; lists replace. Every node keeps the place where it was written.
"""

from __future__ import annotations

import posixpath
from collections.abc import Container
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path

from exc.spec.cells import SECTIONS
from exc.spec.diagnostics import Diagnostics, Label, Span, did_you_mean, one_of
from exc.spec.expected import found
from exc.spec.files import read_text
from exc.spec.nodes import Mapping, Node, Scalar, Sequence, plain
from exc.spec.source import parse

KEY = "extends"


@dataclass(frozen=True)
class Extended:
    """The spec with what it extends merged in, and the text of every file that was read, by its name.

    Not `is_whole`: some file could not be had, which is reported.
    """

    root: Mapping
    sources: Map[str, str]
    is_whole: bool


def extend(root: Mapping, file: str, text: str, diagnostics: Diagnostics) -> Extended:
    """Merge what `root`, which was read from `file`, extends.

    Paths count from the folder of the file that says them. `extends` itself stays, as a list.
    """
    reader = _Reader(diagnostics, {file: text}, [_real(file)], [posixpath.basename(file)])
    merged = reader.merged(root, file)
    return Extended(merged or root, reader.sources, merged is not None)


@dataclass
class _Reader:
    diagnostics: Diagnostics
    sources: dict[str, str]
    open: list[Path]  # the files that are being followed, for cycles
    names: list[str]  # what they are called
    versions: list[tuple[object, Span]] = field(default_factory=list)

    def merged(self, root: Mapping, file: str) -> Mapping | None:
        """The mapping over all that it extends."""
        listed = self._listed(root.entries.get(KEY))
        if listed is None:
            return None
        version = root.entries.get("version")
        if version is not None:
            self._check_version(version)
        below: Mapping | None = None
        whole = True
        for item in listed:
            base = self._base(item, file)
            if base is None:
                whole = False
            else:
                below = base if below is None else merge(below, base)
        own = _with_list(root, listed)
        if not whole:
            return None
        if below is None:
            return own
        is_top = len(self.open) == 1  # of a file below, what is empty may be filled in above
        return merge(below, self._without_vain(own, below) if is_top else own)

    def _without_vain(self, own: Mapping, below: Mapping) -> Mapping:
        """The spec without the entries that it deletes, and that no file below has, which are reported."""
        entries = dict(own.entries)
        for section in (*SECTIONS, "accept"):
            node, under = entries.get(section), below.entries.get(section)
            if not isinstance(node, Mapping):
                continue
            names = list(under.entries) if isinstance(under, Mapping) else []
            vain = [name for name, entry in node.entries.items() if is_null(entry) and name not in names]
            for name in vain:
                self.diagnostics.error(
                    "unknown-reference",
                    f"no file below has `{name}` in `{section}`, so `null` deletes nothing",
                    node.keys[name],
                    expected=one_of(names) if names else None,
                    hint=did_you_mean(name, names),
                )
            if vain:
                entries[section] = _without(node, vain)
        return Mapping(entries, own.keys, own.span)

    def _listed(self, node: Node | None) -> list[Scalar] | None:
        """The files that are named, or None with a finding."""
        if node is None or is_null(node):
            return []
        items = node.items if isinstance(node, Sequence) else [node]
        names = [item for item in items if isinstance(item, Scalar) and isinstance(item.value, str)]
        for item in items:
            if item not in names:
                self.diagnostics.error(
                    "wrong-type",
                    f"`{KEY}` names {'nothing' if is_null(item) else found(item)}",
                    item.span,
                    expected="a file, or a list of files",
                )
        return names if len(names) == len(items) else None

    def _base(self, item: Scalar, file: str) -> Mapping | None:
        """The file that `item` names, with what it extends in its turn, and without its own `extends`."""
        said = str(item.value)
        name = str(Path(posixpath.join(posixpath.dirname(file), said)))
        real = _real(name)
        if real in self.open:
            chain = [*self.names[self.open.index(real) :], self.names[self.open.index(real)]]
            self.diagnostics.error(
                "extends-cycle",
                f"these files extend each other: {' -> '.join(chain)}",
                item.span,
                hint="a file that both need can be extended by both",
            )
            return None
        root = self._read(name, said, item.span)
        if root is None:
            return None
        self.open.append(real)
        self.names.append(said)
        merged = self.merged(root, name)
        self.open.pop()
        self.names.pop()
        return _without(merged, [KEY]) if merged is not None else None

    def _read(self, name: str, said: str, span: Span) -> Mapping | None:
        text = read_text(Path(name), self.diagnostics, "a file", at=span, said=said)
        if text is None:
            return None
        self.sources[name] = text
        root = parse(text, name, self.diagnostics)
        if root is not None and not isinstance(root, Mapping):
            self.diagnostics.error(
                "wrong-type",
                f"`{said}` holds {found(root)}",
                span,
                expected="a mapping with sections of a spec",
                labels=[Label(root.span, "this")] if root.span.line == root.span.end_line else (),
            )
        return root if isinstance(root, Mapping) else None

    def _check_version(self, node: Node) -> None:
        """The spec and all that it extends are of one version."""
        version = plain(node)
        if self.versions and version != self.versions[0][0]:
            first, span = self.versions[0]
            self.diagnostics.error(
                "bad-value",
                f"`version` is {version} here, and {first} in what extends this file",
                node.span,
                expected=one_of([str(first)]),
                labels=[Label(span, "given there")],
            )
        else:
            self.versions.append((version, node.span))


def merge(below: Mapping, over: Mapping) -> Mapping:
    """Two mappings as one, `over` winning: mappings go key by key, `null` deletes, all else replaces."""
    entries, keys = dict(below.entries), {**below.keys, **over.keys}
    for key, value in over.entries.items():
        before = entries.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            entries[key] = merge(before, value)
        elif before is not None and is_null(value):
            del entries[key]
        else:
            entries[key] = value
    return Mapping(entries, {key: keys[key] for key in entries}, over.span)


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _with_list(root: Mapping, listed: list[Scalar]) -> Mapping:
    if KEY not in root.entries:
        return root
    entries = {**root.entries, KEY: Sequence(list(listed), root.entries[KEY].span)}
    return Mapping(entries, root.keys, root.span)


def _without(node: Mapping, names: Container[str]) -> Mapping:
    entries = {key: value for key, value in node.entries.items() if key not in names}
    return Mapping(entries, {key: node.keys[key] for key in entries}, node.span)


def _real(name: str) -> Path:
    try:
        return Path(name).resolve()
    except (OSError, RuntimeError, ValueError):
        return Path(name)
