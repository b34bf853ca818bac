"""The code blocks of the documentation, and what runs them.

A page is run from top to bottom in a folder of its own. What a block is follows from its fence:

    ```console          `$ ` a command, below it what it prints; a line `...` stands for any lines, `...` in a
                        line for any text; `> ` goes on with the command of the line before
    ```sh               commands that must succeed; what they print is not compared
    ```python           run in order, with the names of the blocks above
    ```yaml             a part of a spec: laid over `experiment.yaml`, it must be without errors
    ```LANGUAGE FILE    the content of a file, which is written

and from a comment on the line above it:

    <!-- exits 1 -->            how the last command of the block ends, where that is not with 0
    <!-- part of FILE -->       the block says nothing that is not in that YAML file
    <!-- as in FILE -->         its lines stand in that file, in this order
    <!-- checked by: NAME -->   that test reads the block
    <!-- not run: WHY -->       nothing runs it; tests/test_docs_blocks.py counts these

`<!-- blocks: empty folder -->` at the top of a page says where it starts: in an empty folder, or in a copy of
a `finished study`; `slow` behind it is the test's marker. `<!-- ci from here -->` leaves what follows to the
long tests.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exc.spec.diagnostics import Diagnostics
from exc.spec.profile import load_profile
from tests.compiler.study import loaded

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 1800.0  # generous: it only ends what hangs
LANGUAGES = {"console", "sh", "python", "yaml", "text"}
_FENCE = re.compile(r"(?P<ticks>`{3,})(?P<info>.*)")
_COMMENT = re.compile(r"<!-- (.+?) -->")
_START = re.compile(r"<!-- blocks: (empty folder|finished study)(, slow)? -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is that of its fence, counted from 1; `mark` the comment above it."""

    page: str
    line: int
    info: str
    text: str
    mark: str
    ci: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def language(self) -> str:
        return self.info.split(" ")[0]

    @property
    def file(self) -> str:
        """The file that it is the content of, or nothing."""
        return self.info.partition(" ")[2].strip()

    def marked(self, word: str) -> str | None:
        """What the comment says behind a word, or None where it does not begin with it."""
        return self.mark.removeprefix(word).strip() if self.mark.startswith(word) else None


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its blocks; `start` is where they run, nothing where the page does not say."""

    path: Path
    start: str
    slow: bool
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix() if self.path.is_relative_to(ROOT) else self.path.name


def read_page(path: Path) -> Page:
    """The blocks of a page. Raises ValueError for a fence that is never closed and for an indented block."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    text = path.read_text(encoding="utf-8")
    start = _START.search(text)
    blocks = tuple(_blocks(name, text.split("\n")))
    return Page(path, start[1] if start else "", bool(start and start[2]), blocks)


def _blocks(name: str, lines: list[str]) -> Iterator[Block]:
    number, ci, before = 0, False, ""
    while number < len(lines):
        line = lines[number]
        ci |= line == "<!-- ci from here -->"
        if fence := _FENCE.fullmatch(line):
            try:
                end = lines.index(fence["ticks"], number + 1)
            except ValueError as error:
                raise ValueError(f"{name}:{number + 1}: a fence is never closed") from error
            comment = _COMMENT.fullmatch(before)
            text = "\n".join(lines[number + 1 : end])
            yield Block(name, number + 1, fence["info"].strip(), text, comment[1] if comment else "", ci)
            number = end
        elif line.startswith("    ") and not before:
            raise ValueError(f"{name}:{number + 1}: an indented block; use a fence")
        before = lines[number]
        number += 1


# --- what a command prints ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and the lines below it."""

    text: str
    printed: tuple[str, ...]


def commands(block: Block) -> list[Command]:
    """Raises ValueError when the block does not begin with a command."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif not found:
            raise ValueError(f"{block}: does not begin with `$ `")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", [])
        else:
            found[-1][1].append(line)
    return [Command(text, tuple(_stripped(lines))) for text, lines in found]


def matches(expected: tuple[str, ...], printed: str) -> bool:
    """Whether a text is as expected, spaces at the ends of lines aside."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*".join(map(re.escape, line.split("..."))) + "\n"
    text = "".join(f"{line}\n" for line in _stripped(printed.split("\n")))
    return re.fullmatch(pattern, text) is not None


def _stripped(lines: list[str]) -> list[str]:
    """Without spaces at ends of lines, nor empty lines at either end."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").split("\n") if any(lines) else []


# --- running ------------------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Somebody who does what a page says. `folder` is where they are by now."""

    folder: Path
    scratch: Path
    names: dict[str, Any] = field(default_factory=dict)

    def follow(self, page: Page, *, ci: bool) -> None:
        """Run the blocks of a page. Raises AssertionError at the first that is not as the page says."""
        for block in page.blocks:
            if (ci or not block.ci) and not any(map(block.marked, ("not run:", "checked by:"))):
                self.do(block)

    def do(self, block: Block) -> None:
        """Run one block."""
        if (whole := block.marked("part of")) is not None:
            self._is_part(block, whole)
        elif (whole := block.marked("as in")) is not None:
            self._is_in(block, whole)
        elif block.file:
            self._write(block)
        elif block.language == "console":
            *before, last = commands(block)
            for command in before:
                self._console(block, command, 0)
            self._console(block, last, int(block.marked("exits") or 0))
        elif block.language == "sh":
            code, printed = self.run(f"set -eo pipefail\n{block.text}")
            assert code == 0, f"{block}: exit code {code}\n{printed}"
        elif block.language == "python":
            self._python(block)
        elif block.language == "yaml":
            self._overlay(block)
        else:
            raise AssertionError(f"{block}: a block `{block.info}` is run by nothing, and does not say why")

    def run(self, command: str) -> tuple[int, str]:
        """Exit code, and what it said on both streams; a `cd` in it is kept."""
        place, said = self.scratch / "place", self.scratch / "said"
        # By a file and not by a pipe: what goes on in the background would keep a pipe open.
        with said.open("wb") as stream:
            done = subprocess.run(
                ["bash", "-c", f"trap 'pwd >{shlex.quote(str(place))}' EXIT\n{command}"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
                check=False,
            )
        self.folder = Path(place.read_text(encoding="utf-8").rstrip("\n"))
        return done.returncode, said.read_text(encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("EXC_")}
        return {
            **bare,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.scratch / "cache"),
            "XDG_CONFIG_HOME": str(self.scratch / "config"),
            "OMP_NUM_THREADS": "1",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "100",
            "NO_COLOR": "1",
        }

    def _python(self, block: Block) -> None:
        there = set(sys.modules)
        sys.path.insert(0, str(self.folder))
        try:
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(None):
                # Empty lines in front, so that a traceback has the line of the page.
                exec(compile("\n" * block.line + block.text, block.page, "exec"), self.names)
        finally:
            sys.path.remove(str(self.folder))
            for name in set(sys.modules) - there:
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(self.folder)):
                    del sys.modules[name]

    def _console(self, block: Block, command: Command, wanted: int) -> None:
        code, printed = self.run(command.text)
        assert code == wanted, f"{block}: $ {command.text}\nexit code {code}, not {wanted}\n{printed}"
        assert matches(command.printed, printed), f"{block}: $ {command.text}\nprints\n{printed}"

    def _write(self, block: Block) -> None:
        path = self.folder / block.file
        assert path.resolve().is_relative_to(self.folder.resolve()), f"{block}: outside of the page's folder"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text + "\n", encoding="utf-8")
        if block.file == "profiles.yaml":
            diagnostics = Diagnostics()
            for name in loaded(block.text):
                load_profile(name, self.folder, diagnostics)
            assert list(diagnostics) == [], f"{block}: {list(diagnostics)}"
        elif path.suffix == ".yaml" and not path.with_suffix(".py").exists():
            code, printed = self.run(f"exc check {shlex.quote(block.file)}")
            assert code == 0, f"{block}: {printed}"

    def _overlay(self, block: Block) -> None:
        """As a spec of its own would be that extends the one here."""
        overlay = self.folder / "overlay-of-the-page.yaml"
        overlay.write_text(f"extends: [experiment.yaml]\n{block.text}\n", encoding="utf-8")
        try:
            code, printed = self.run(f"exc check {overlay.name}")
        finally:
            overlay.unlink()
        assert code == 0, f"{block}: {printed}"

    def _is_part(self, block: Block, file: str) -> None:
        full = loaded((self.folder / file).read_text(encoding="utf-8"))
        found = list(differences(loaded(block.text), full))
        assert not found, f"{block}: {file}: {'; '.join(found)}"

    def _is_in(self, block: Block, file: str) -> None:
        text = (self.folder / file).read_text(encoding="utf-8")
        expected = ("...", *block.text.split("\n"), "...")
        assert matches(expected, text), f"{block}: is not in {file}:\n{text}"


def differences(part: Any, full: Any, path: str = "") -> Iterator[str]:
    """Where `part` says something that `full` does not; what it leaves out is no difference."""
    if isinstance(part, dict) and isinstance(full, dict):
        for key, value in part.items():
            if key in full:
                yield from differences(value, full[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is not there"
    elif isinstance(part, list) and isinstance(full, list) and len(part) == len(full):
        for index, (value, other) in enumerate(zip(part, full, strict=True)):
            yield from differences(value, other, f"{path}.{index}")
    elif part != full or type(part) is not type(full):
        yield f"{path} is {part!r}, not {full!r}"
