"""Reads folders of tasks for lm-evaluation-harness: which there are, what they measure, what they read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from exc.compiler.facts import FileFact, HarnessFolder
from exc.spec.diagnostics import Diagnostics, Span
from exc.spec.experiment import Experiment
from exc.spec.words import first_line

_UNNAMED = "none"  # the filter of a task that declares none
# What the harness measures of a task that lists no metrics, by what it asks of the model.
_BY_OUTPUT: Mapping[str, tuple[str, ...]] = {
    "multiple_choice": ("acc", "acc_norm"),
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "generate_until": ("exact_match",),
}

Digest = Callable[
    [str, Span], FileFact | None
]  # the fact of a file by its name relative to the spec's folder


class _Loader(yaml.SafeLoader):
    """YAML of the harness, in which `!function module.name` stands for a function beside the file."""


def _function(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node)).rpartition(".")[2]


_Loader.add_constructor("!function", _function)


def gather_harness(
    draft: Experiment, root: Path, digest: Digest, diagnostics: Diagnostics
) -> dict[str, HarnessFolder]:
    """The folders that evaluations include, by their names as written."""
    found: dict[str, HarnessFolder] = {}
    for name, evaluation in draft.spec.evaluations.items():
        body = evaluation.lm_eval
        if body is None or body.include is None or body.include in found:
            continue
        span = draft.span("evaluations", name, "lm_eval", "include")
        folder = _Folder(root, body.include, span, digest, diagnostics)
        if folder.read():
            files = tuple(folder.files.values())
            found[body.include] = HarnessFolder(folder.tasks, files, folder.whole())
    return found


@dataclass
class _Folder:
    """One folder, as it is read."""

    root: Path
    name: str
    span: Span
    digest: Digest
    diagnostics: Diagnostics
    tasks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, FileFact] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)  # of groups
    failed: bool = False

    def read(self) -> bool:
        """Whether it is one; what is wrong with it is reported."""
        folder = self.root / self.name
        try:
            paths = sorted(
                path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path, folder)
            )
        except (OSError, ValueError):
            paths = []
        if not any(path.suffix == ".yaml" for path in paths):
            self._error("missing-file", f"`{self.name}` holds no task", "a folder with YAML of tasks")
            return False
        for path in paths:
            self._add(Path(os.path.relpath(path, self.root)).as_posix())
        for path in paths:
            if path.suffix == ".yaml":
                self._entry(path)
        return not self.failed

    def whole(self) -> frozenset[str]:
        """The tasks, and the groups whose members are all of this folder."""
        names = set(self.tasks)
        while lacking := {name for name in names if not names.issuperset(self.members.get(name, ()))}:
            names -= lacking
        return frozenset(names)

    def _entry(self, path: Path) -> None:
        try:
            config = load_config(path)
        except (OSError, ValueError, yaml.YAMLError) as error:
            self._error("harness-task", f"`{path.name}` in `{self.name}` cannot be read: {first_line(error)}")
            return
        if isinstance(config.get("group"), str):
            listed = config.get("aggregate_metric_list") or ()
            self.tasks[config["group"]] = tuple(_grouped(listed))
            self.members[config["group"]] = list(_members(config))
        elif isinstance(config.get("task"), str):
            self.tasks[config["task"]] = tuple(_metrics(config))
        else:
            return  # what others include
        for each in _configs(config):
            self._rows(each, path)

    def _rows(self, config: Mapping[str, Any], path: Path) -> None:
        """Add the files that a task reads its rows from: a folder of them, or those that are named."""
        kwargs = config.get("dataset_kwargs")
        folder = kwargs.get("data_dir") if isinstance(kwargs, dict) else None
        within = [name for name in (config.get("dataset_path"), folder) if self._is_folder(name)]
        for name in within:
            self._data(f"{name}/**/*", path)
        if not within:
            for name in _data_files(config):
                if "://" not in name:
                    self._data(name, path)

    def _is_folder(self, name: Any) -> bool:
        return isinstance(name, str) and not Path(name).is_absolute() and (self.root / name).is_dir()

    def _data(self, name: str, path: Path) -> None:
        try:
            matches = [name] if (self.root / name).is_file() else sorted(self._glob(name))
        except (OSError, ValueError):
            matches = []
        if not matches:
            message = f"`{path.name}` in `{self.name}` reads `{name}`, which is not there"
            self._error("missing-file", message, hint="paths in tasks count from the folder of the spec")
        for match in matches:
            self._add(match)

    def _glob(self, name: str) -> Iterator[str]:
        if not Path(name).is_absolute():
            for path in self.root.glob(name):
                if path.is_file():
                    yield path.relative_to(self.root).as_posix()

    def _add(self, name: str) -> None:
        if name not in self.files and (fact := self.digest(name, self.span)) is not None:
            self.files[name] = fact

    def _error(self, code: str, message: str, expected: str | None = None, hint: str | None = None) -> None:
        self.failed = True
        self.diagnostics.error(code, message, self.span, expected=expected, hint=hint)


def load_config(path: Path, depth: int = 0) -> dict[str, Any]:
    """A task's YAML with what it includes. Raises OSError, ValueError or yaml.YAMLError."""
    config = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    if not isinstance(config, dict):
        raise ValueError("it is no mapping")
    if depth > 20:
        raise ValueError("its `include` goes in a circle")
    merged: dict[str, Any] = {}
    includes = config.pop("include", None) or ()
    for name in reversed([includes] if isinstance(includes, str) else list(includes)):
        merged |= load_config(path.parent / str(name), depth + 1)
    return merged | config


def _metrics(config: Mapping[str, Any]) -> list[str]:
    listed = config.get("metric_list")
    if isinstance(listed, list) and listed:
        names = [str(entry["metric"]) for entry in listed if isinstance(entry, dict) and "metric" in entry]
    else:
        names = list(_BY_OUTPUT.get(str(config.get("output_type", "generate_until")), ()))
    declared = config.get("filter_list") or ()
    filters = [str(entry["name"]) for entry in declared if isinstance(entry, dict) and "name" in entry]
    return [_named(name, own) for own in filters or [_UNNAMED] for name in names]


def _grouped(listed: Any) -> Iterator[str]:
    for entry in [listed] if isinstance(listed, dict) else listed:
        if isinstance(entry, dict) and "metric" in entry:
            filters = entry.get("filter_list") or [_UNNAMED]
            for own in [filters] if isinstance(filters, str) else filters:
                yield _named(str(entry["metric"]), str(own))


def _named(metric: str, own: str) -> str:
    return metric if own == _UNNAMED else f"{metric},{own}"


def _configs(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A task or a group, and the tasks that are written down in it."""
    yield config
    listed = config.get("task")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict):
            yield from _configs(entry)


def _members(config: Mapping[str, Any]) -> Iterator[str]:
    """What a group is of, by name."""
    listed = config.get("task")
    for entry in listed if isinstance(listed, list) else [listed]:
        yield str(entry.get("task", entry.get("group"))) if isinstance(entry, dict) else str(entry)


def _data_files(config: Mapping[str, Any]) -> Iterator[str]:
    kwargs = config.get("dataset_kwargs")
    waiting = [kwargs.get("data_files")] if isinstance(kwargs, dict) else []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)


def _is_hidden(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part == "__pycache__" for part in parts)
