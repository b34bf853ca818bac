"""A spec file -> an Experiment, with everything that is wrong with it found in one run."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path

from exc.spec.check import check_spec
from exc.spec.diagnostics import Diagnostics, Span, did_you_mean, split_lines
from exc.spec.experiment import Experiment
from exc.spec.like import Override, copy_likes
from exc.spec.nodes import Mapping
from exc.spec.shape import shape
from exc.spec.source import parse
from exc.spec.validate import validate


@dataclass(frozen=True)
class LoadResult:
    """What a file gave. `draft` holds what of the spec is valid, so that more can be checked.

    `experiment` is there only without errors; `overrides` are the copied values that their owners changed.
    """

    experiment: Experiment | None
    draft: Experiment | None
    diagnostics: Diagnostics
    sources: Map[str, str] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()


def load_experiment(path: Path) -> LoadResult:
    """Read and check a spec file. Raises nothing: what is wrong is in the result."""
    diagnostics = Diagnostics()
    text = read_text(path, diagnostics, "a spec file")
    return LoadResult(None, None, diagnostics) if text is None else load_text(text, str(path), diagnostics)


def load_text(text: str, file: str, diagnostics: Diagnostics | None = None) -> LoadResult:
    """Check the text of a spec; `file` names it in diagnostics."""
    diagnostics = Diagnostics() if diagnostics is None else diagnostics
    sources = {file: text}
    root = parse(text, file, diagnostics)
    if root is None:
        return LoadResult(None, None, diagnostics, sources)
    if not isinstance(root, Mapping):
        diagnostics.error(
            "wrong-type", "this is not a spec", root.span, expected="a mapping that starts with `version: 1`"
        )
        return LoadResult(None, None, diagnostics, sources)
    copied = copy_likes(shape(root, diagnostics), diagnostics)
    validated = validate(copied.root, copied.failed, copied.sources, diagnostics)
    check_spec(validated, diagnostics)
    draft = Experiment(validated.draft, validated.root, file, sources)
    experiment = None if diagnostics.has_errors else draft
    return LoadResult(experiment, draft, diagnostics, sources, copied.overrides)


def read_text(path: Path, diagnostics: Diagnostics, what: str) -> str | None:
    """The text of a file that the user named, or None with a finding."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        diagnostics.error("missing-file", f"there is no file `{path}`", hint=_nearest_file(path))
    except IsADirectoryError:
        found = path / "experiment.yaml"
        hint = f"did you mean `{found}`?" if found.is_file() else None
        diagnostics.error("missing-file", f"`{path}` is a folder", expected=what, hint=hint)
    except UnicodeDecodeError as error:
        before = split_lines(error.object[: error.start].decode("utf-8"))
        line, column = len(before), len(before[-1]) + 1
        what = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
        if error.object.startswith((b"\xff\xfe", b"\xfe\xff")):
            what = "this is UTF-16, not UTF-8"
        span = Span(str(path), line, column, line, column + 1)
        diagnostics.error("yaml-syntax", what, span, hint="save the file as UTF-8")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        diagnostics.error("missing-file", f"`{path}` cannot be read: {reason}")
    return None


def _nearest_file(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    yaml = [name for name in names if name.endswith((".yaml", ".yml"))]
    hint = did_you_mean(path.name, yaml)
    if hint is None and yaml:
        return f"this folder has {', '.join(f'`{name}`' for name in sorted(yaml)[:5])}"
    return hint
