"""Test cases that are also documentation: Markdown sections with fenced blocks.

A case is a heading with at least one fenced block below it. With EXC_UPDATE_GOLDEN=1 in the
environment, `check` writes the block that it would compare with; run that without xdist.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UPDATE = "EXC_UPDATE_GOLDEN"
_HEADING = re.compile(r"#{1,6} +(.+)")
_FENCE = re.compile(r"(`{3,})(.*)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `info` is what follows the opening fence: a language, then maybe a file name."""

    info: str
    text: str

    @property
    def language(self) -> str:
        return self.info.split(" ")[0]

    @property
    def file(self) -> str | None:
        """The file that the block stands for, from "yaml data/more.yaml"."""
        _, _, name = self.info.partition(" ")
        return name.strip() or None


@dataclass(frozen=True, slots=True)
class Case:
    """One section of a Markdown file."""

    name: str
    path: Path
    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        return f"{self.path.stem}: {self.name}"

    def block(self, info: str) -> Block:
        """The one block with that info. Raises LookupError when there is none, or more."""
        found = [block for block in self.blocks if block.info == info]
        if len(found) != 1:
            raise LookupError(f"{self.path}: {self.name}: {len(found)} blocks `{info}`, not one")
        return found[0]

    def check(self, info: str, actual: str) -> None:
        """Assert that the block holds `actual`, or write it there when updating."""
        wanted = self.block(info).text
        if os.environ.get(UPDATE) and wanted != actual:
            _rewrite(self, info, actual)
            return
        assert actual == wanted, f"{self.path}: {self.name}: {UPDATE}=1 accepts this text:\n{actual}"


def cases(folder: Path, pattern: str = "*.md") -> list[Case]:
    """All cases of the Markdown files in `folder`, in order of file name and place."""
    return [case for path in sorted(folder.glob(pattern)) for case in parse(path)]


def parse(path: Path) -> list[Case]:
    """The cases of one file. Raises ValueError for a fence that is never closed or a name used twice."""
    found: list[Case] = []
    name, blocks = "", list[Block]()
    lines = iter(path.read_text(encoding="utf-8").split("\n"))
    for line in lines:
        if heading := _HEADING.fullmatch(line):
            found += [Case(name, path, tuple(blocks))] if blocks else []
            name, blocks = heading[1].strip(), []
        elif fence := _FENCE.match(line):
            blocks.append(Block(fence[2].strip(), _body(lines, fence[1], path)))
    found += [Case(name, path, tuple(blocks))] if blocks else []
    names = [case.name for case in found]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: a heading is used twice")
    return found


def _body(lines: Iterator[str], fence: str, path: Path) -> str:
    body: list[str] = []
    for line in lines:
        if line == fence:
            return "\n".join(body)
        body.append(line)
    raise ValueError(f"{path}: a fence is never closed")


def _rewrite(case: Case, info: str, actual: str) -> None:
    """Put `actual` into the block, whatever other cases of the file have become meanwhile."""
    lines = case.path.read_text(encoding="utf-8").split("\n")
    heading = next(n for n, line in enumerate(lines) if _is_heading(line, case.name))
    start = next(n for n in range(heading, len(lines)) if _is_fence(lines[n], info))
    fence = "`" * (len(lines[start]) - len(lines[start].lstrip("`")))
    end = next(n for n in range(start + 1, len(lines)) if lines[n] == fence)
    lines[start + 1 : end] = actual.split("\n")
    case.path.write_text("\n".join(lines), encoding="utf-8")


def _is_heading(line: str, name: str) -> bool:
    found = _HEADING.fullmatch(line)
    return found is not None and found[1].strip() == name


def _is_fence(line: str, info: str) -> bool:
    found = _FENCE.match(line)
    return found is not None and found[2].strip() == info
