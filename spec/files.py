"""Files that a person named: their text, or what is wrong with them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from exc.spec.diagnostics import Diagnostics, Span, did_you_mean, split_lines


def read_text(
    path: Path, diagnostics: Diagnostics, what: str, *, at: Span | None = None, said: str | None = None
) -> str | None:
    """The text of a file, or None with a finding.

    `at` and `said`: where a file of the user's names it, and how; by default it was typed in the terminal.
    """
    shown = said if said is not None else str(path)
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        hint = _nearest_file(path, said)
        diagnostics.error("missing-file", f"there is no file `{shown}`", at, hint=hint)
    except IsADirectoryError:
        found = path / "experiment.yaml"
        hint = f"did you mean `{found}`?" if said is None and found.is_file() else None
        diagnostics.error("missing-file", f"`{shown}` is a folder", at, expected=what, hint=hint)
    except UnicodeDecodeError as error:
        before = split_lines(error.object[: error.start].decode("utf-8"))
        line, column = len(before), len(before[-1]) + 1
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
        if error.object.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = "this is UTF-16, not UTF-8"
        if at is not None:
            message = f"`{shown}` cannot be read, line {line}: {message}"
        span = at if at is not None else Span(str(path), line, column, line, column + 1)
        diagnostics.error("yaml-syntax", message, span, hint="save the file as UTF-8")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        diagnostics.error("missing-file", f"`{shown}` cannot be read: {reason}", at)
    return None


def _nearest_file(path: Path, said: str | None) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    yaml = [name for name in names if name.endswith((".yaml", ".yml"))]
    if said is not None:  # as it would be written there
        yaml = [str(PurePosixPath(said).parent / name) for name in yaml]
    hint = did_you_mean(path.name if said is None else said, yaml)
    if hint is None and yaml and said is None:
        return f"this folder has {', '.join(f'`{name}`' for name in sorted(yaml)[:5])}"
    return hint
