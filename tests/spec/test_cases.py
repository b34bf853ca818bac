"""The literate cases: what a person wrote, and exactly what they are told.

`cases/source-*.md` are about the text alone; every other file is loaded as a whole experiment.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.spec.diagnostics import Diagnostics
from exc.spec.render import render_text
from exc.spec.source import parse
from tests.literate import Case, cases

FOLDER = Path(__file__).parent / "cases"
SPEC = "experiment.yaml"
WIDTH = 80
SOURCE_CASES = cases(FOLDER, "source-*.md")
LOAD_CASES = [case for case in cases(FOLDER) if case not in SOURCE_CASES]


@pytest.mark.parametrize("case", SOURCE_CASES, ids=str)
def test_text_is_diagnosed(case: Case) -> None:
    text = case.block("yaml").text
    diagnostics = Diagnostics()
    parse(text, SPEC, diagnostics)
    case.check("text", render_text(diagnostics, {SPEC: text}, color=False, width=WIDTH))


@pytest.mark.parametrize("case", LOAD_CASES, ids=str)
def test_experiment_is_diagnosed(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exc.spec.load import load_experiment

    for block in case.blocks:
        if block.language != "text":
            path = tmp_path / (block.file or SPEC)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # so that every path is shown as a user in that folder typed it
    result = load_experiment(Path(SPEC))
    case.check("text", render_text(result.diagnostics, result.sources, color=False, width=WIDTH))
