"""Gathers what the compiler must know of the local disk: files with their digests, and the user's code."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from exc.compiler.facts import Facts, FileFact
from exc.compiler.ladder import make_ladder
from exc.compiler.schedules import ScheduleError
from exc.digests import Digests
from exc.harness import gather_harness
from exc.locking import locked
from exc.spec.data import PYTHON_VERIFIER
from exc.spec.diagnostics import Diagnostics, Span, did_you_mean, one_of
from exc.spec.experiment import Experiment
from exc.spec.ladders import Names
from exc.spec.usercode import UserCodeError, code_digest, parameters
from exc.vocabulary import vocabulary_size

_IN_FILES = ("jsonl", "parquet", "text")  # kinds of data whose rows stand in files


@dataclass(frozen=True, slots=True)
class _Folder:
    """What a folder must hold: one file of these names."""

    noun: str
    signs: tuple[str, ...]


_TOKENIZER = _Folder("tokenizer", ("tokenizer.json", "tokenizer_config.json"))
_MODEL = _Folder("model in safetensors form", ("*.safetensors",))


def gather(draft: Experiment, root: Path, diagnostics: Diagnostics) -> Facts:
    """Everything local that the experiment reads; `root` is the spec's folder.

    What is missing or cannot be used is recorded in `diagnostics`, at the place that names it.
    """
    gatherer = _Gatherer(draft, root, diagnostics, Digests.load())
    gatherer.all()
    hub = locked(draft, root, diagnostics)
    harness = gather_harness(draft, root, gatherer.fact, diagnostics)
    gatherer.digests.save()
    return Facts(
        gatherer.files,
        gatherer.code,
        hub=hub.hub,
        refs=hub.refs,
        folders=gatherer.folders,
        vocabularies=gatherer.vocabularies,
        harness=harness,
    )


@dataclass
class _Gatherer:
    draft: Experiment
    root: Path
    diagnostics: Diagnostics
    digests: Digests
    files: dict[str, tuple[FileFact, ...]] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    vocabularies: dict[str, int | None] = field(default_factory=dict)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)  # what is wrong with user code

    def all(self) -> None:
        spec = self.draft.spec
        for name, data in spec.data.items():
            if data.python is not None:
                self._target(data.python, self.draft.span("data", name, "python"))
                if data.python in self.code:
                    self._arguments(name, data.python, data.args)
                self._patterns(data.files, ("data", name, "files"))
            elif data.kind in _IN_FILES:
                self._patterns(getattr(data, data.kind), ("data", name, data.kind), refuse_empty=True)
        for name, task in spec.tasks.items():
            if task.verifier.startswith(PYTHON_VERIFIER):
                self._verifier(
                    task.verifier.removeprefix(PYTHON_VERIFIER), self.draft.span("tasks", name, "verifier")
                )
        for name, trunk in spec.trunks.items():
            if trunk.folder is not None and (names := trunk.folder.names) is not None:
                self._ladder(name, trunk.folder.path, names)
            elif trunk.folder is not None:
                self._folder(trunk.folder.path, self.draft.span("trunks", name, "folder", "path"), _MODEL)
            if trunk.command is not None:
                self._patterns(trunk.command.files, ("trunks", name, "command", "files"))
            run = trunk.pretrain
            folder = run.tokenizer.path if run is not None and run.tokenizer is not None else None
            if folder is not None:
                self._folder(folder, self.draft.span("trunks", name, "pretrain", "tokenizer", "path"))
        for name, stages in spec.recipes.items():
            for index, stage in enumerate(stages):
                if stage.folder is not None:
                    span = self.draft.span("recipes", name, index, "folder", "path")
                    self._folder(stage.folder.path, span, _MODEL)
                if stage.command is not None:
                    self._patterns(stage.command.files, ("recipes", name, index, "command", "files"))

    def _patterns(
        self, patterns: Iterable[str], path: tuple[str | int, ...], refuse_empty: bool = False
    ) -> None:
        for index, pattern in enumerate(patterns):
            self._pattern(pattern, self.draft.span(*path, index), refuse_empty)

    def _pattern(self, pattern: str, span: Span, refuse_empty: bool) -> None:
        """The files of one path or glob pattern."""
        if pattern in self.files:
            return
        found = self._matches(pattern)
        if not found:
            self._missing(pattern, span)
            return
        facts = [fact for name in found if (fact := self.fact(name, span)) is not None]
        for fact in facts:
            if refuse_empty and fact.bytes == 0:
                self.diagnostics.error(
                    "empty-file", f"`{fact.path}` is empty", span, expected="at least one row"
                )
        if len(facts) == len(found):
            self.files[pattern] = tuple(facts)

    def _matches(self, pattern: str) -> list[str]:
        try:
            if (self.root / pattern).is_file():
                return [pattern]
            if not glob.has_magic(pattern):
                return []
            found = glob.glob(pattern, root_dir=self.root, recursive=True)  # noqa: PTH207  # keeps `..` as written
        except (OSError, ValueError):
            return []
        return sorted(Path(name).as_posix() for name in found if (self.root / name).is_file())

    def fact(self, name: str, span: Span) -> FileFact | None:
        """Size and digest of one file; None, reported, where it cannot be read."""
        path = self.root / name
        try:
            size, digest = self.digests.of(path)
        except OSError as error:
            self.diagnostics.error("missing-file", f"`{name}` cannot be read: {error.strerror}", span)
            return None
        return FileFact(Path(name).as_posix(), size, digest)

    def _folder(self, name: str, span: Span, what: _Folder = _TOKENIZER) -> None:
        """The files that lie in a folder itself, hidden ones aside: what is below it is another's."""
        folder = self.root / name
        try:
            if not folder.is_dir():
                self._missing(name, span, "a folder")
                return
            if name in self.files:
                return
            entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
            found = sorted(
                path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()
                for path in entries
                if path.is_file()
            )
        except (OSError, ValueError):
            self._missing(name, span, "a folder")
            return
        if not entries:
            self.diagnostics.error("empty-file", f"the folder `{name}` is empty", span)
            return
        if not any(fnmatch(file.rpartition("/")[2], sign) for file in found for sign in what.signs):
            expected = one_of(what.signs)
            message = f"the folder `{name}` holds no {what.noun}"
            self.diagnostics.error("missing-file", message, span, expected=expected)
            return
        facts = [fact for file in found if (fact := self.fact(file, span)) is not None]
        if len(facts) == len(found):
            self.files[name] = tuple(facts)
            if what is _TOKENIZER:
                self.vocabularies[name] = vocabulary_size(folder)

    def _ladder(self, trunk: str, path: str, names: Names) -> None:
        """The checkpoints in a folder: which there are, and the files of those that are asked for."""
        span = self.draft.span("trunks", trunk, "folder", "path")
        folder = self.root / path
        try:
            if not folder.is_dir():
                self._missing(path, span, "a folder")
                return
            self.folders[path] = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))
        except (OSError, ValueError):
            self._missing(path, span, "a folder")
            return
        ladder, schedule = make_ladder(names, self.folders), self.draft.spec.trunks[trunk].checkpoints
        try:
            steps = ladder.resolve(schedule).steps if schedule is not None else ()
        except ScheduleError:
            return  # which is an error at its place in the spec
        for _, step in steps:
            self._folder(f"{path}/{ladder.at(step).name}", span, _MODEL)

    def _missing(self, name: str, span: Span, what: str = "a file") -> None:
        has_magic = glob.has_magic(name)
        parent = name.rpartition("/")[0]
        try:
            wants_folder = what == "a folder"
            entries = (self.root / parent).iterdir()
            names = sorted(entry.name for entry in entries if entry.is_dir() == wants_folder)
        except (OSError, ValueError):
            names = []
        near = did_you_mean(name, [f"{parent}/{entry}" if parent else entry for entry in names])
        exists = not has_magic and _exists(self.root / name)
        message = (
            f"`{name}` matches no file" if has_magic else f"there is no {what.removeprefix('a ')} `{name}`"
        )
        if exists:
            message = f"`{name}` is {'no folder' if what == 'a folder' else 'a folder'}"
        elif _is_link(self.root / name):
            message, near = f"`{name}` is a link that leads nowhere", None
        hint = self._beside(name, span) or near or "paths count from the folder of the spec"
        self.diagnostics.error("missing-file", message, span, expected=what if exists else None, hint=hint)

    def _beside(self, name: str, span: Span) -> str | None:
        """A hint, if the path was meant to count from the folder of an extended file, where it is written."""
        folder = Path(span.file).parent
        if span.file == self.draft.file or not _exists(folder / name):
            return None
        path = Path(os.path.relpath(folder / name, self.root)).as_posix()
        return f"paths count from the folder of the spec, also in a file that it extends: write `{path}`"

    def _target(self, target: str, span: Span) -> None:
        """The digest of a Python callable."""
        if target in self.code:
            return
        try:
            self.code[target] = code_digest(self.root, target)
        except UserCodeError as error:
            if error.message in self.reported:
                return  # of a module that cannot be read, once is enough
            self.reported.add(error.message)
            self.diagnostics.error("user-code", error.message, span, expected=error.expected, hint=error.hint)

    def _verifier(self, target: str, span: Span) -> None:
        """The digest of a verifier, which is called with three arguments by place."""
        self._target(target, span)
        takes = parameters(self.root, target) if target in self.code else None
        if takes is None or (takes.positional and takes.positional[0] <= 3 <= takes.positional[1]):
            return
        expected = "a function of the completion, the answer and the row"
        message = f"`{target}` does not take the three arguments that a verifier is called with"
        self.diagnostics.error("user-code", message, span, expected=expected)

    def _arguments(self, name: str, target: str, given: Mapping[str, object]) -> None:
        """Whether a data source's callable takes its `args`."""
        takes = parameters(self.root, target)
        if takes is None:
            return
        for key in given:
            if key not in takes.names and not takes.open:
                self.diagnostics.error(
                    "user-code",
                    f"`{target}` takes no argument `{key}`",
                    self.draft.span("data", name, "args", key, key=True),
                    expected=one_of(takes.names),
                    hint=did_you_mean(key, takes.names),
                )
        missing = [key for key in takes.required if key not in given]
        if missing and all(key in takes.names for key in given):
            names = ", ".join(f"`{key}`" for key in missing)
            where = ("data", name, "args") if given else ("data", name, "python")
            self.diagnostics.error(
                "user-code", f"`{target}` needs {names} in `args`", self.draft.span(*where, key=bool(given))
            )


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
