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

    def _first_row(self, data: Data) -> Known | None:
        if data.jsonl is None:
            return None
        files = [fact.path for pattern in data.jsonl for fact in self.facts.files.get(pattern, ())]
        if not files:
            return None
        try:
            with (self.root / files[0]).open("rb") as file:
                lines = iter(lambda: file.readline(_MOST_BYTES), b"")
                line = next((line for line in lines if line.strip()), b"")
            row = json.loads(line.decode("utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            return None  # the job that reads it names the row
        return Known(files[0], tuple(row)) if isinstance(row, dict) else None


def _transformed(name: str, data: Data, before: Known) -> Known:
    if data.pairs is None:
        return before
    rest = (column for column in before.columns if column not in (DEMONSTRATIONS, WRONG))
    return Known(name, (*rest, CHOSEN, REJECTED))
