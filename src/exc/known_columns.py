"""The columns that the rows of a data source have, as far as can be told before anything runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from exc.compiler.facts import Facts
from exc.compiler.rows import DEMONSTRATIONS, METADATA, prompt_fields
from exc.spec.data import RATED, Data, Samples
from exc.spec.experiment import Spec

TEXT = "text"  # the one column of text sources
WRONG, CHOSEN, REJECTED = "wrong", "chosen", "rejected"  # what pairs are made of, and what they are
_MOST_BYTES = 1 << 20  # of a first row
_PARQUET = b"PAR1"  # what such a file begins with


@dataclass(frozen=True, slots=True)
class Known:
    name: str  # of the file, or of the source
    columns: tuple[str, ...]


@dataclass
class KnownColumns:
    """Looks at the first row of files, and follows what is made of it. None: it cannot be told."""

    spec: Spec
    root: Path
    facts: Facts
    _found: dict[str, Known | None] = field(default_factory=dict)

    def after(self, name: str) -> Known | None:
        """The columns of a source as its readers see it."""
        if name not in self._found:
            self._found[name] = None  # for one that is made of itself, which is reported
            data = self.spec.data.get(name)
            before = self.before(name)
            self._found[name] = before if data is None or before is None else _transformed(name, data, before)
        return self._found[name]

    def before(self, name: str) -> Known | None:
        """The columns of a source before its own transforms."""
        data = self.spec.data.get(name)
        if data is None:
            return None
        if data.data is not None:
            return self.after(data.data)
        if data.samples is not None:
            return self._rated(name, data.samples)
        if data.hub is not None:
            return None
        if data.reasoning_gym is not None:
            return Known(name, ("question", "answer", METADATA))
        if data.text is not None:
            return Known(name, (TEXT,))
        return self._first_row(data)

    def _rated(self, name: str, samples: Samples) -> Known | None:
        task = self.spec.tasks.get(samples.task)
        split = task.splits.get(samples.split) if task is not None else None
        if task is None or split is None:
            return None
        scored = [METADATA] if task.verifier == "reasoning_gym" else []
        try:
            fields = dict.fromkeys([*prompt_fields(task.prompt), "answer", *scored, *split.columns])
        except ValueError:  # braces that do not match, which is reported
            return None
        return Known(name, (*(field for field in fields if field != DEMONSTRATIONS), *RATED))

    def fault(self, data: Data) -> str | None:
        """What is wrong with the first row of a source's first file, if there is none there."""
        name, line = self._first_line(data)
        if data.parquet is not None:
            return f"`{name}` is no Parquet file" if name and not line.startswith(_PARQUET) else None
        if not line.strip() or len(line) == _MOST_BYTES:
            return None
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except UnicodeDecodeError:
            return f"the first row of `{name}` is not UTF-8"
        except (ValueError, RecursionError):
            return f"the first row of `{name}` is not JSON"
        what = "a list" if isinstance(row, list) else "no mapping"
        return None if isinstance(row, dict) else f"the first row of `{name}` is {what}"

    def _first_line(self, data: Data) -> tuple[str, bytes]:
        """The first file of a source, and its first line that is not blank; nothing of none."""
        patterns = data.jsonl or data.parquet or ()
        files = [fact.path for pattern in patterns for fact in self.facts.files.get(pattern, ())]
        if not files:
            return "", b""
        try:
            with (self.root / files[0]).open("rb") as file:
                lines = iter(lambda: file.readline(_MOST_BYTES), b"")
                return files[0], next((line for line in lines if line.strip()), b"")
        except OSError:
            return "", b""

    def _first_row(self, data: Data) -> Known | None:
        if data.jsonl is None:
            return None
        name, line = self._first_line(data)
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None
        return Known(name, tuple(row)) if isinstance(row, dict) else None


def _transformed(name: str, data: Data, before: Known) -> Known:
    if data.pairs is None:
        return before
    rest = (column for column in before.columns if column not in (DEMONSTRATIONS, WRONG))
    return Known(name, (*rest, CHOSEN, REJECTED))
