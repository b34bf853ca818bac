"""Someone who types commands in the folder of a small study, and what they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exc.cli import main
from tests.compiler.study import STUDY


class Ran:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in out + err

    def json(self) -> Any:
        return json.loads(self.out)


class User:
    """Someone at a terminal in the folder of the study."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def exc(self, *argv: str) -> Ran:
        self._capsys.readouterr()
        try:
            code = main(argv)
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)

    def edit(self, old: str, new: str, name: str = "experiment.yaml") -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


def write_study(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "experiment.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "arithmetic.py").write_text(
        "def documents(num):\n    yield {'text': str(num)}\n", encoding="utf-8"
    )
    for name in ("problems", "held_out"):
        row = {"question": "1+1", "answer": "2", "worked": "2", "text": "1+1 is 2"}
        (folder / "data" / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
